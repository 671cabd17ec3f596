"""Baselines of both kinds, trained, exported, measured and scored where a budget would stand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hat.schemas.catalogue import check

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]
TRANSFORMER = {
    "kind": "transformer",
    "norm": "pre",
    "qkv_dim": 32,
    "encoder_embed_dim": 32,
    "encoder_ffn_dim": [64, 48],
    "encoder_heads": [2, 4],
    "decoder_embed_dim": 24,
    "decoder_ffn_dim": [64],
    "decoder_self_heads": [2],
    "decoder_cross_heads": [2],
    "decoder_cross_span": [2],
}
EVOLVED = {"kind": "evolved", "width": 32, "heads": 2, "wide_heads": 4, "encoder_cells": 1, "decoder_cells": 1}
BASELINES = {"small": {"network": TRANSFORMER}, "evolved": {"network": EVOLVED, "training": {"updates": 30}}}
WITHOUT_SHORTLIST = "devices={shipped: {shortlist: false}, local: {shortlist: false}}"
AFTER_DATA = {"train_baseline", "export_model", "measure_model", "score"}


def add_baselines(project) -> list[str]:
    """Targets of the small baselines, whose files are written into a project."""
    for name, content in BASELINES.items():
        (project.folder / f"config/baselines/{name}.yaml").write_text(yaml.safe_dump(content))
    return [f"results/smoke/shipped/{name}/bleu.txt" for name in BASELINES]


def place(compared, name) -> Path:
    """Folder of a baseline on the device."""
    return compared.folder / "results/smoke/shipped" / name


@pytest.fixture(scope="module")
def compared(finished):
    targets = add_baselines(finished)
    assert finished.would_run(*targets) == AFTER_DATA
    finished.snakemake(*targets)
    return finished


def test_a_baseline_needs_no_search(project):
    data = {"fetch_sources", "extract_corpus", "tokenise_corpus", "binarise_corpus"}
    names = ("transformer-base", "transformer-big", "evolved-transformer", "evolved-transformer-big")
    targets = [f"results/smoke/shipped/{name}/bleu.txt" for name in names]
    shortlist = {"train_supertransformer", "make_shortlist"}
    assert project.would_run(*targets) == data | shortlist | AFTER_DATA
    assert project.would_run(*targets, "--config", WITHOUT_SHORTLIST) == data | AFTER_DATA
    assert "train_baseline" not in project.would_run("results/smoke/local/50ms/bleu.txt")


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_scored_and_measured(compared, name):
    folder = place(compared, name)
    trained = compared.folder / "results/smoke/baselines" / name
    score, latency, model = (
        json.loads((folder / file).read_text()) for file in ("score.json", "latency.json", "model/model.json")
    )
    assert float((folder / "bleu.txt").read_text().splitlines()[0]) == pytest.approx(score["bleu"], abs=0.01)
    assert score["validation_loss"] < score["untrained_loss"]
    assert latency["latency_ms"] > 0
    assert model["baseline"] == latency["baseline"] == name
    assert model["kind"] == latency["kind"] == BASELINES[name]["network"]["kind"]
    assert model["architecture"] == latency["architecture"]
    assert model["shape"] == latency["conditions"]["workload"]["shape"]
    # Nothing was promised, predicted or inherited.
    for content in (score, latency, model):
        assert not [key for key in content if "budget" in key or "predict" in key or "inherited" in key]
    assert {path.name for path in folder.iterdir()} & {"architecture.json", "search.parquet", "subtransformer"} == set()
    settings = json.loads((trained / "config.json").read_text())
    assert settings["training"]["updates"] == {"small": 40, "evolved": 30}[name]
    assert settings["parameters"] == score["parameters"]


def test_artifacts_are_as_their_schemas_say(compared):
    assert check(compared.folder / "results")[1] == []


def test_a_baseline_translates(compared):
    for name in BASELINES:
        command = [
            str(Path(sys.executable).with_name("hat")),
            "translate",
            "--model",
            str(place(compared, name) / "model"),
        ]
        ran = subprocess.run([*command, "bada fado", ""], capture_output=True, text=True, check=True)
        assert len(ran.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("search={iterations: 9}", set()),
        ("baselines={small: {network: {decoder_ffn_dim: [32]}}}", AFTER_DATA),
        ("tasks={smoke: {subtransformer: {label_smoothing: 0.2}}}", AFTER_DATA),
    ],
)
def test_a_setting_reruns_what_depends_on_it(compared, override, expected):
    target = "results/smoke/shipped/small/bleu.txt"
    assert compared.would_run(target, "--config", override) == expected


def test_a_second_device_does_not_train_it_again(compared):
    (compared.folder / "config/devices/other.yaml").write_text("connection: local\nthreads: 2\n")
    try:
        wanted = {"export_model", "measure_model", "score"}
        assert compared.would_run("results/smoke/other/small/bleu.txt") == wanted
    finally:
        (compared.folder / "config/devices/other.yaml").unlink()
