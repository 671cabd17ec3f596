"""The recommended model, doubts about figures, and examples of translations."""

import json
from pathlib import Path

import pytest
from made_results import write_results

from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.report.advice import doubts, examples, recommendation, recommended
from hat.report.summary import print_summary, write_summary
from hat.schemas.catalogue import artifact

ROOT = Path(__file__).parents[3]


@pytest.fixture
def scope(tmp_path):
    return DeviceScope(Settings(folder=ROOT / "config"), write_results(tmp_path), "demo", "local")


def row(budget_ms, latency_ms, bleu, *, within=True, high=None, predicted=None):
    return {
        "budget": f"{budget_ms}ms",
        "budget_ms": float(budget_ms),
        "latency_ms": latency_ms,
        "latency_low_ms": None if high is None else 2 * latency_ms - high,
        "latency_high_ms": high,
        "predicted_latency_ms": predicted,
        "within_budget": within,
        "bleu": bleu,
    }


def pair(first, second, difference, significant):
    return {"first": first, "second": second, "difference": difference, "significant": significant}


def test_the_fastest_of_equally_good_models_within_their_budget_is_recommended():
    rows = [row(10, 8.0, 20.0), row(20, 15.0, 21.0), row(30, 33.0, 25.0, within=False)]
    tested = {"pairs": [pair("10ms", "20ms", 1.0, False), pair("20ms", "30ms", 4.0, True)]}
    assert recommended(rows, tested)["budget"] == "10ms"
    assert recommendation(rows, tested).startswith("Use 10ms: BLEU 20.0, not significantly worse than the best BLEU")
    tested["pairs"][0]["significant"] = True
    assert recommended(rows, tested)["budget"] == "20ms"
    # The same comparison named the other way round.
    assert recommended(rows, {"pairs": [pair("20ms", "10ms", -1.0, True)]})["budget"] == "20ms"
    assert recommended([rows[2]], tested) is None
    assert recommendation([rows[2]], tested).startswith("No model was measured within its budget")


def test_what_cannot_be_trusted_is_said(scope):
    unsure, wrong, fine = (
        row(13, 10.3, 1.0, high=15.5),
        row(20, 19.0, 2.0, predicted=12.0),
        row(30, 29.0, 3.0, high=29.5),
    )
    assert doubts(scope, [fine]) == []
    (found, again) = doubts(scope, [unsure, fine])
    assert found == "13ms: measured 10.3 [5.1, 15.5] ms, so it may exceed its budget of 13 ms."
    assert again == "`hat latency measure demo local BUDGET` measures a model again."
    assert doubts(scope, [wrong])[0].startswith("20ms: takes 58 % more than predicted (19.0 against 12.0 ms)")
    (explained,) = doubts(scope, [row(17, 10.0, 2.0, high=10.4, predicted=10.1)])
    assert explained.startswith("17ms: predicted to use 59% of its budget; no slower network")
    errors = scope.predictor / "errors.json"
    errors.write_text(json.dumps(json.loads(errors.read_text()) | {"reference_drift_percent": 40.0}))
    (drifted,) = doubts(scope, [fine])
    assert drifted.startswith("The speed of local changed by 40 % while latencies were sampled")


def test_examples_are_short_test_sentences_with_every_translation(scope, capsys):
    summary = write_summary(scope, [])
    found = summary["examples"]
    assert len(found) == 5
    assert len({each["source"] for each in found}) == 5
    assert all(set(each["translations"]) == {"40ms", "60ms", "0.1s"} for each in found)
    references = (scope.data / "raw" / "test.de").read_text().splitlines()
    position = references.index(found[-1]["reference"])
    lines = (scope.of("0.1s").folder / "hypotheses.txt").read_text().splitlines()
    assert found[-1]["translations"]["0.1s"] == lines[position]
    assert artifact("summary").problems(scope.results.tables / "demo-local.json") == []
    print_summary(summary, scope)
    printed = capsys.readouterr().out
    assert found[0]["source"] in printed and summary["recommendation"] in printed
    (scope.data / "raw" / "test.de").unlink()
    assert examples(scope, summary["rows"]) == []
