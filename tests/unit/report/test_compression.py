"""A trained network quantised, scored, and compared with Transformer-Big."""

import json

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from hat.artifacts.files import read_json
from hat.cli.app import app
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings
from hat.deploy.export import export_model
from hat.errors import InputError
from hat.evaluate.stages import score
from hat.report.compression import write_compression
from hat.space.search_space import SearchSpace
from hat.train.stages import train_subtransformer

BIG = {
    "kind": "transformer",
    "qkv_dim": 16,
    "encoder_embed_dim": 16,
    "encoder_ffn_dim": [32, 32],
    "encoder_heads": [2, 2],
    "decoder_embed_dim": 16,
    "decoder_ffn_dim": [32],
    "decoder_self_heads": [2],
    "decoder_cross_heads": [2],
    "decoder_cross_span": [1],
}
# An attention and a feed-forward network of it; encoder layers have one attention, decoder layers two.
ATTENTION, FEED_FORWARD = 4 * 17 * 16 + 32, 17 * 32 + 33 * 16 + 32


@pytest.fixture
def trained(project):
    """A project with a trained SubTransformer of random start, and a test split."""
    settings, results = project
    (settings.folder / "devices/local.yaml").write_text("connection: local\nbeam: 2\nshortlist: false\n")
    (settings.folder / "baselines").mkdir()
    (settings.folder / "baselines/transformer-big.yaml").write_text(yaml.safe_dump({"network": BIG}))
    short = {"updates": 2, "validate_every": 2, "save_every": 2, "initial_weights": "random"}
    settings = Settings({"tasks.toy": {"subtransformer": short}}, settings.folder)
    place = results.budget("toy", "local", "50ms")
    place.mkdir(parents=True)
    smallest = SearchSpace(settings.space_of("toy")).smallest.to_dict()
    (place / "architecture.json").write_text(json.dumps({"architecture": smallest}))
    train_subtransformer(BudgetScope(settings, results, "toy", "local", "50ms"))
    data = results.data("toy")
    (data / "codes").write_text("#version: 0.2\nw 1\n")
    (data / "raw").mkdir()
    for language in ("en", "de"):
        (data / "raw" / f"test.{language}").write_text("w1 w2\nw3\n")
    return settings, results


def test_a_trained_network_is_quantised_scored_and_compared(trained):
    settings, results = trained
    place = results.budget("toy", "local", "50ms")
    with pytest.raises(InputError, match="no variant of a model has been scored yet"):
        write_compression(DeviceScope(settings, results, "toy", "local"), [])
    export_model(BudgetScope(settings, results, "toy", "local", "50ms"))
    fp32 = {"bleu": 1.0, "chrf": 2.0, "sentences": 2, "bleu_signature": "a", "chrf_signature": "b"}
    (place / "score.json").write_text(json.dumps(fp32))
    (place / "latency.json").write_text('{"latency_ms": 5.0}')
    for variant in ("quantized-4bit", "quantized-8bit", "int8"):
        folder = export_model(BudgetScope(settings, results, "toy", "local", "50ms"), variant)
        assert folder == place / variant / "model"
        assert score(BudgetScope(settings, results, "toy", "local", "50ms"), variant) == folder.parent / "score.json"
        assert {path.name for path in folder.parent.iterdir()} >= {"bleu.txt", "score.json", "hypotheses.txt"}
        assert len((folder.parent / "hypotheses.txt").read_text().splitlines()) == 2
    table = write_compression(DeviceScope(settings, results, "toy", "local"), [])
    layers = 3 * ATTENTION + 2 * FEED_FORWARD + ATTENTION + FEED_FORWARD
    reference = {"name": "transformer-big", "params": layers + 40 * 16, "params_without_embeddings": layers}
    assert table["reference"] == reference
    model = read_json(place / "model/model.json")
    assert [row["precision"] for row in table["rows"]] == ["fp32", "int8", "kmeans8", "kmeans4"]
    assert [row["runtime"] for row in table["rows"]] == ["torch", "onnxruntime", "torch", "torch"]
    assert [row["latency_ms"] for row in table["rows"]] == [5.0, None, None, None]
    eight = table["rows"].pop(1)
    assert eight["counted_bytes"] == model["parameters"]
    files = (place / "int8/model/network").iterdir()
    assert eight["network_bytes"] == sum(file.stat().st_size for file in files)
    for row, name in zip(table["rows"], ("", "quantized-8bit", "quantized-4bit"), strict=True):
        file = place / name / "model/network/weights.npz"
        assert row["network_bytes"] == file.stat().st_size
        with np.load(file) as stored:
            parts = [stored[part].nbytes for part in stored.files if not part.endswith(":shape")]
        assert row["counted_bytes"] == sum(parts)
        assert row["times_smaller"] == pytest.approx(4 * reference["params"] / sum(parts))
        inner = model["parameters"] - 40 * 16
        assert row["published_bytes"] == inner * row["bits"] / 8
        assert row["published_times_smaller"] == pytest.approx(32 / row["bits"] * layers / inner)
    written = results.tables / "toy-local-compression.md"
    assert "| 50ms | torch kmeans4 |" in written.read_text()
    assert "| 5.0 |" in written.read_text()


def test_forms_are_exported_by_name(trained):
    settings, results = trained
    options = ["--config-dir", str(settings.folder), "--results", str(results.root)]
    ran = CliRunner().invoke(app, [*options, "export", "toy", "local", "50ms", "--form", "int5"])
    assert ran.exit_code == 2
    assert "'int5' is unknown, expected fp32, int8, int4, quantized-8bit or quantized-4bit" in ran.output
    published = ["--set", "tasks.toy.compression.embeddings=false"]
    ran = CliRunner().invoke(app, [*options, *published, "export", "toy", "local", "50ms", "--form", "quantized-4bit"])
    assert ran.exit_code == 0, ran.output
    model = read_json(results.budget("toy", "local", "50ms") / "quantized-4bit" / "model/model.json")
    assert (model["precision"], model["runtime"], model["bits"]) == ("kmeans4-published", "torch", 4)
