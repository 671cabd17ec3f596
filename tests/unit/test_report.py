import csv
import json
from pathlib import Path

import pytest
from made_results import write_results

from hat.artifacts.layout import Results
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.errors import InputError
from hat.report.summary import comparisons
from hat.report.summary_table import write_summary

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings():
    return Settings(folder=ROOT / "config")


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path)


def test_summary_of_everything_scored(settings, results):
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), [])
    assert [row["budget"] for row in summary["rows"]] == ["40ms", "60ms", "0.1s"]
    assert summary["rows"][0]["training_s"] == 6.0
    path = results.tables / "demo-local"
    with open(f"{path}.csv", newline="") as stream:
        assert [row["bleu"] for row in csv.DictReader(stream)] == ["4.0", "5.0", "6.0"]
    assert json.loads(Path(f"{path}.json").read_text())["rows"] == summary["rows"]
    assert "| 0.1s | 78.0 ± 1.0 | 79.0 | yes | 6.0 |" in Path(f"{path}.md").read_text()


def test_chosen_budgets_win_over_what_lies_there(settings, results):
    results.budgets("demo", "local").write_text('{"budgets": ["60ms", "40ms"]}')
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), [])
    assert [row["budget"] for row in summary["rows"]] == ["40ms", "60ms"]
    named = write_summary(DeviceScope(settings, results, "demo", "local"), ["0.1s"])
    assert [row["budget"] for row in named["rows"]] == ["0.1s"]


def test_comparisons_are_honest(settings, results):
    rows = write_summary(DeviceScope(settings, results, "demo", "local"), [])["rows"]
    sentences = comparisons(rows)
    assert sentences[0].startswith("40ms: has learnt: validation loss 4.50 nats a token; untrained 8.50 (+4.00)")
    assert "Larger budgets are better by BLEU: yes (4.00, 5.00, 6.00)." in sentences
    assert "3 of 3 deployed models were measured within their budget." in sentences
    rows[1].update(validation_loss=6.4)
    assert comparisons(rows)[1].startswith("60ms: has hardly learnt")
    rows[2].update(bleu=4.5, validation_loss=7.0, within_budget=False)
    sentences = comparisons(rows)
    assert "0.1s: has NOT learnt" in sentences[2]
    assert "Larger budgets are better by BLEU: NO (4.00, 5.00, 4.50)." in sentences
    assert "2 of 3 deployed models were measured within their budget." in sentences


def test_nothing_scored_yet(settings, tmp_path):
    with pytest.raises(InputError, match="no budget has been scored and measured there yet"):
        write_summary(DeviceScope(settings, Results(tmp_path), "demo", "local"), [])


def test_baselines_that_were_scored_are_shown(settings, results):
    place, trained = results.budget("demo", "local", "transformer-base"), results.baseline("demo", "transformer-base")
    place.mkdir()
    trained.mkdir(parents=True)
    (trained / "metrics.jsonl").write_text('{"event": "train", "tokens": 900, "tokens_per_s": 100.0}\n')
    (place / "latency.json").write_text(json.dumps({"latency_ms": 400.0, "spread_ms": 8.0}))
    assert len(write_summary(DeviceScope(settings, results, "demo", "local"), [])["rows"]) == 3
    score = json.loads((results.budget("demo", "local", "40ms") / "score.json").read_text()) | {"bleu": 9.0}
    del score["inherited_loss"]
    (place / "score.json").write_text(json.dumps(score))
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), ["40ms", "60ms"])
    assert [row["budget"] for row in summary["rows"]] == ["40ms", "60ms", "transformer-base"]
    assert summary["rows"][2]["training_s"] == 9.0
    assert (
        "| transformer-base | 400.0 ± 4.0 | - | - | 9.0 | 20.0 | 4.50 | - | 8.50 |"
        in Path(f"{results.tables}/demo-local.md").read_text()
    )
    assert "Larger budgets are better by BLEU: yes (4.00, 5.00)." in summary["comparisons"]


def test_differences_are_tested(settings, results):
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), [])
    assert "60ms is" in summary["comparisons"][-2] and "(p = 0.0" in summary["comparisons"][-2]
    # With the same translations there is no difference.
    same = (results.budget("demo", "local", "60ms") / "hypotheses.txt").read_text()
    (results.budget("demo", "local", "0.1s") / "hypotheses.txt").write_text(same)
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), [])
    assert summary["comparisons"][-1] == "0.1s and 60ms do not differ in BLEU."
