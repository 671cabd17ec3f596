"""Several processes that train one network together."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest
import torch

from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.config.training import Training
from hat.data.binary.batches import PairedSplit, TrainingBatches
from hat.errors import HatError, InputError
from hat.train import checkpoints
from hat.train.processes import TrainingResources, joined
from hat.train.stages import train_supertransformer

TWENTY = {"updates": 20, "dropout": 0.0, "save_every": 10, "tensorboard": False, "threads": 1}


def train(settings: Settings, results, *options: str) -> subprocess.CompletedProcess:
    """The verb, as a rule calls it."""
    command = [sys.executable, "-m", "hat", "--config-dir", settings.folder, "--results", results.root, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def in_two_processes(work: Callable[[], object]) -> None:
    """Do the same in two processes, with the variables that torchrun gives them; forked, so that torch is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    context, started = multiprocessing.get_context("fork"), []
    for rank in ("0", "1"):
        with patch.dict(os.environ, shared | {"RANK": rank, "LOCAL_RANK": rank}):
            started.append(context.Process(target=work))
            started[-1].start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0]


@pytest.mark.parametrize(
    "overrides",
    [
        # One batch of an update, of which each process takes half of the sentences.
        {"sampling": "uniform", "batch_tokens": 256},
        # Two batches, one for each process, of other Architectures.
        {"sampling": "uniform", "accumulate": 2, "sample_for": "batch"},
        # Four batches, two for each process, several Architectures of each: gradients are exchanged once.
        {"sampling": "sandwich", "accumulate": 4},
    ],
    ids=["half a batch each", "a batch each", "accumulated"],
)
def test_two_processes_end_with_the_weights_of_one(project, overrides, tmp_path):
    folder, results = project[0].folder, project[1]
    settings = Settings({"tasks": {"toy": {"supertransformer": TWENTY | overrides}}}, folder=folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    place = results.supertransformer("toy")
    alone = checkpoints.load(place / "checkpoint.pt")["model"]
    alone_rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    place.rename(tmp_path / "alone")
    in_two_processes(lambda: train_supertransformer(TaskScope(settings, results, "toy"), TrainingResources(threads=2)))
    assert json.loads((place / "config.json").read_text())["processes"] == 2
    together = checkpoints.load(place / "checkpoint.pt")["model"]
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=0, atol=1e-5, msg=name)
    rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    for row, wanted in zip(rows, alone_rows, strict=True):
        for name in ("event", "update", "tokens", "architecture"):
            assert row.get(name) == wanted.get(name)
        for name in ("loss", "nll", "learning_rate", "gradient_norm"):
            assert row.get(name) == (pytest.approx(wanted[name], rel=1e-4) if name in wanted else None)


def test_two_processes_go_on_from_the_newest_whole_checkpoint(project, tmp_path):
    folder, results = project[0].folder, project[1]
    chosen = TWENTY | {"save_every": 5, "keep_checkpoints": 4}
    settings = Settings({"tasks": {"toy": {"supertransformer": chosen}}}, folder=folder)
    in_two_processes(lambda: train_supertransformer(TaskScope(settings, results, "toy"), TrainingResources(threads=2)))
    place = results.supertransformer("toy")
    whole = checkpoints.load(place / "checkpoint.pt")["model"]
    rows = (place / "metrics.jsonl").read_text().splitlines()
    saved = sorted(place.glob("partial/*/update-*.pt"))
    assert [path.stem for path in saved] == [f"update-{update:08d}" for update in (5, 10, 15, 20)]
    saved[3].unlink()
    saved[2].write_bytes(saved[2].read_bytes()[:2000])
    for made in ("checkpoint.pt", "config.json"):
        (place / made).unlink()
    # The verb starts as many processes as it has threads for.
    log = tmp_path / "both.log"
    verb = [
        "--log",
        log,
        "--set",
        f"tasks.toy.supertransformer={json.dumps(chosen)}",
        "supertransformer",
        "train",
        "toy",
    ]
    done = train(settings, results, *verb, "--threads", "2")
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert f"{saved[2]}: not a whole checkpoint" in done.stdout
    assert f"{saved[2]}: not a whole checkpoint" in log.read_text()
    assert json.loads((place / "config.json").read_text())["processes"] == 2
    again = checkpoints.load(place / "checkpoint.pt")["model"]
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
    events = [
        [json.loads(line)["event"] for line in lines]
        for lines in (rows, (place / "metrics.jsonl").read_text().splitlines())
    ]
    assert events[0] == events[1]


def test_a_mistake_is_told_once(project):
    settings, results = project
    (results.data("toy") / "dict.en.txt").unlink()
    limited = ["--set", "tasks.toy.supertransformer.threads=1"]
    done = train(settings, results, *limited, "supertransformer", "train", "toy", "--threads", "2")
    assert done.returncode == 2
    assert done.stderr.count("hat: ") == 1
    assert "dict.en.txt: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_shares_are_the_whole_update_whatever_the_number_of_processes(project):
    settings, results = project
    split = PairedSplit(results.data("toy"), settings.task("toy"), "train")
    batches = TrainingBatches(split, 128, seed=1)

    def sentences(accumulate: int, processes: int) -> list[tuple[int, ...]]:
        shares = [batches.share(3, accumulate, rank, processes) for rank in range(processes)]
        assert len({share.tokens for share in shares}) == 1
        assert sum(batch.tokens for share in shares for batch in share.batches) == shares[0].tokens
        assert len({len(share.batches) for share in shares}) == 1
        numbers = [number for share in shares for number in share.numbers]
        assert len(set(numbers)) == len(numbers)
        return sorted(
            tuple(int(token) for token in row if token != 1)
            for share in shares
            for batch in share.batches
            if batch.tokens
            for row in batch.source
        )

    for accumulate in (1, 4, 6):
        alone = sentences(accumulate, 1)
        assert len(alone) == sum(len(batches.numbers(2 * accumulate + i)) for i in range(accumulate))
        for processes in (2, 3, 40):
            assert sentences(accumulate, processes) == alone


def test_a_process_without_sentences_has_nothing_to_learn_from(project):
    settings, results = project
    batches = TrainingBatches(PairedSplit(results.data("toy"), settings.task("toy"), "train"), 16, seed=1)
    smallest = min(range(50), key=lambda index: len(batches.numbers(index)))
    size = len(batches.numbers(smallest))
    share = batches.share(smallest + 1, 1, size, size + 1)
    assert share.batches[0].tokens == 0
    assert bool((share.batches[0].target == 1).all())
    assert share.tokens == int(np.sum(batches.split.target.sizes[batches.numbers(smallest)]))


@pytest.mark.parametrize(
    ("threads", "gpus", "own", "count"), [(8, 0, 0, 1), (64, 0, 16, 4), (8, 0, 16, 1), (8, 4, 0, 4), (8, 4, 2, 4)]
)
def test_resources_decide_the_number_of_processes(threads, gpus, own, count):
    assert TrainingResources(threads=threads, gpus=gpus).processes(Training(threads=own)) == count


def test_what_needs_a_gpu_says_so():
    with (
        pytest.raises(InputError, match="precision: fp16 needs a GPU"),
        joined(Training(precision="fp16"), TrainingResources(threads=1)),
    ):
        pass
    if not torch.cuda.is_available():
        with (
            pytest.raises(HatError, match="3 GPUs are required, but this machine has 0"),
            joined(Training(), TrainingResources(threads=1, gpus=3)),
        ):
            pass
