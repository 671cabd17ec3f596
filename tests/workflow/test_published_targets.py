"""A published network from a checkpoint that was put by hand to its score, by the workflow."""

import json
import shutil

import pytest
import yaml
from published_splits import packed_splits

from hat.data.sources.download import location
from hat.published.catalogue import published_model
from hat.published.checkpoint import read_checkpoint

NAME = "HAT_wmt14ende_xeon@278.7ms_bleu@27.9"
TARGET = f"results/published/{NAME}/bleu.txt"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def test_a_published_network_is_converted_measured_and_scored(project, tmp_path_factory, checkpoint_file):
    file = checkpoint_file("sub")
    weights = read_checkpoint(file).model
    sizes = [weights[f"{side}.embed_tokens.weight"].size(0) for side in ("encoder", "decoder")]
    packed = packed_splits(tmp_path_factory.mktemp("splits"), sizes)
    task = {
        "data": {"archive": {"kind": "file", "path": str(packed)}},
        "latency": {"passes": 1, "repeats": 1, "source_length": 5, "target_length": 5},
        "scoring": {"max_length_extra": 8},
    }
    (project.folder / "small.yaml").write_text(yaml.safe_dump({"tasks": {"wmt14ende": task}}))
    place = location(published_model(NAME).source, project.folder / "results/downloads")
    place.parent.mkdir(parents=True)
    shutil.copyfile(file, place)
    project.snakemake(TARGET, "--configfile", "small.yaml")
    out = (project.folder / TARGET).parent
    latency, score = (json.loads((out / name).read_text()) for name in ("latency.json", "score.json"))
    assert latency["device"] == "local"
    assert latency["latency_ms"] > 0
    assert (latency["published_latency_ms"], score["published_bleu_of_words"]) == (278.7, 27.9)
    assert score["sentences"] == 12
    first, signature = (out / "bleu.txt").read_text().splitlines()
    assert float(first) == pytest.approx(score["bleu"], abs=0.01)
    assert "nrefs:1" in signature
    assert "Nothing to be done" in project.snakemake(TARGET, "--configfile", "small.yaml")
    # Nothing of the task's own data, networks and searches is needed.
    assert not (project.folder / "results/wmt14ende/data").exists()
