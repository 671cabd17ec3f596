"""`hat status` and `hat explain`: what exists, and where the time goes."""

import json
from pathlib import Path

import pytest
from made_results import BUDGETS, architecture, write_results
from typer.testing import CliRunner

from hat.artifacts.files import write_json
from hat.cli.app import app
from hat.latency.predictor.predictor import LatencyPredictor
from hat.measure.workload import Workload
from hat.space.architecture import Architecture
from hat.space.profile import PUBLISHED_SHAPE

ROOT = Path(__file__).parents[3]


def run(results, *arguments):
    options = ["--config-dir", str(ROOT / "config"), "--results", str(results.root)]
    return CliRunner().invoke(app, [*options, *map(str, arguments)])


@pytest.fixture(scope="module")
def predictor():
    points = [Architecture.from_dict(architecture(layers, ffn)) for layers in (1, 2, 3) for ffn in (256, 512, 1024)]
    workload = Workload(shape=PUBLISHED_SHAPE, source_length=30, target_length=30, beam=5)
    latencies = [20.0 * point.decoder_layers + sum(point.decoder_ffn_dim) / 500 for point in points]
    return LatencyPredictor.fit(workload, points, latencies)


@pytest.fixture
def results(tmp_path, predictor):
    made = write_results(tmp_path)
    write_json(made.predictor("demo", "local") / "predictor.json", predictor.to_dict())
    return made


def test_explain_says_where_the_time_goes(results, predictor):
    file = results.budget("demo", "local", "60ms") / "architecture.json"
    found = json.loads(run(results, "explain", file, "local", "--json").stdout)
    point = Architecture.from_dict(architecture(2))
    assert found["predicted_latency_ms"] == pytest.approx(predictor.predict([point])[0])
    assert (found["task"], found["digest"], found["measured_latency_ms"]) == ("demo", point.digest, None)
    shares = [part["ms"] for part in found["components"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(part["percent"] for part in found["components"]) == pytest.approx(100)
    latency = json.loads((file.parent / "latency.json").read_text())
    measured = latency | {"digest": point.digest, "conditions": {"device": "local"}}
    (file.parent / "latency.json").write_text(json.dumps(measured))
    assert "Measured there, end to end: 58.00 ms." in run(results, "explain", file, "local").output


def test_explain_refuses_in_a_sentence(results, tmp_path):
    file = tmp_path / "one.json"
    file.write_text(json.dumps(architecture(1)))
    for arguments, said in (
        ((file, "local"), "belongs to no task; give --task"),
        ((file, "rpi4", "--task", "demo"), "predictor.json is missing; `snakemake"),
        ((file, "nosuch"), "device 'nosuch' is unknown"),
        ((file, "local", "--task", "nosuch"), "task 'nosuch' is unknown"),
        ((tmp_path / "none.json", "local"), "no such file"),
    ):
        ran = run(results, "explain", *arguments)
        assert ran.exit_code == 2
        assert said in " ".join(ran.output.split()), ran.output


def test_status_shows_what_exists(results):
    (results.budget("demo", "local", "40ms") / "subtransformer" / "checkpoint.pt").write_bytes(b"x")
    rows = json.loads(run(results, "status", "--json").stdout)
    assert [row["model"] for row in rows] == list(BUDGETS)
    first = rows[0]
    assert [first[name] for name in ("searched", "trained", "exported", "measured", "scored")] == [
        True, True, False, True, True,
    ]  # fmt: skip
    assert rows[1]["trained"] is False and first["predictor"] and not first["supertransformer"]
    assert json.loads(run(results, "status", "bibleende", "--json").stdout) == []
    assert "nothing has been made yet" in run(results, "status", "bibleende").output
    ran = run(results, "status", "nosuch")
    assert ran.exit_code == 2 and "task 'nosuch' is unknown" in ran.output
