"""Evaluations by workers: what they read, GPUs, and one that is killed."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.errors import HatError
from hat.search.workers import Workers
from hat.space.search_space import SearchSpace
from hat.train.stages import train_supertransformer


@pytest.mark.parametrize("objective", ["loss", "bleu"])
@pytest.mark.parametrize("requests", [1, 3])
def test_evaluations_on_gpus_want_as_many(project, requests, objective):
    count = torch.cuda.device_count()
    settings = Settings({"search": {"gpus": count + 2}}, folder=project[0].folder)
    workers = Workers(TaskScope(settings, project[1], "toy"), objective)
    wanted = [(SearchSpace(settings.space_of("toy")).smallest, 0, 1)] * requests
    with pytest.raises(HatError, match=f"{count + 2} GPUs are required, but this machine has {count}"):
        list(workers.sums(wanted))


def test_a_worker_that_is_killed_is_said_in_a_sentence(project):
    train_supertransformer(TaskScope(*project, "toy"))
    settings = Settings({"search": {"workers": 2}}, folder=project[0].folder)
    workers = Workers(TaskScope(settings, project[1], "toy"))
    found = workers.sums([(SearchSpace(settings.space_of("toy")).smallest, 0, 1)] * 5000)
    next(found)
    for child in multiprocessing.active_children():
        child.kill()
    with pytest.raises(HatError, match="a worker process was killed"):
        list(found)
    workers.close()


def test_search_reads_validation_data_only(project, tmp_path):
    """All that is opened by evaluating, in this process and by workers; the sums of both are the same."""
    settings, results = project
    train_supertransformer(TaskScope(settings, results, "toy"))
    script = """
import sys
opened = []
sys.addaudithook(lambda event, values: opened.append(str(values[0])) if event == "open" else None)
from pathlib import Path
from hat.artifacts.layout import Results
from hat.search.workers import Workers
from hat.config.settings import Settings
from hat.config.scope import TaskScope
from hat.space.search_space import SearchSpace

if __name__ == "__main__":
    folder, root = sys.argv[1:]
    sums = {}
    for workers in (1, 2):
        settings = Settings({"search": {"workers": workers, "validation_sentences": 12}}, Path(folder))
        space = SearchSpace(settings.space_of("toy"))
        made = Workers(TaskScope(settings, Results(root), "toy"))
        requests = [(point, 0, made.blocks) for point in (space.largest, space.smallest)]
        requests.append((space.largest, 1, 3))
        sums[workers] = list(made.sums(requests))
        made.close()
    assert sums[1] == sums[2], sums
    assert sum(map(sum, (tokens for _, tokens in sums[1][:1]))) > 0
    print("\\n".join(path for path in opened if path.startswith(root)))
"""
    path = tmp_path / "evaluate.py"
    path.write_text(script)
    command = [sys.executable, str(path), str(settings.folder), str(results.root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    opened = {Path(line).name for line in ran.stdout.split()}
    assert "checkpoint.pt" in opened
    assert any(name.startswith("validation.") for name in opened)
    assert not [name for name in opened if name.startswith(("test.", "train."))]
