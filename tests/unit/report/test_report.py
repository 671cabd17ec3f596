import csv
import json
import shlex
import sys
from pathlib import Path

import pytest
from made_results import write_results

from hat.artifacts.layout import Results
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.errors import InputError
from hat.report.next_steps import next_steps, program
from hat.report.overall_tables import TABLES, make_tables
from hat.report.summary import COLUMNS, comparisons, write_summary

ROOT = Path(__file__).parents[3]


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
    assert "| 0.1s | 78.0 [77.5, 79.2] | 79.0 | yes | 6.0 |" in Path(f"{path}.md").read_text()


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
        "| transformer-base | 400.0 | - | - | 9.0 | 20.0 | 4.50 | - | 8.50 |"
        in Path(f"{results.tables}/demo-local.md").read_text()
    )
    assert "Larger budgets are better by BLEU: yes (4.00, 5.00)." in summary["comparisons"]


def test_console_and_report_give_one_name_one_meaning(settings, results):
    """Parameters, latencies and their intervals of the summary and of the main table."""
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), ["40ms"])["rows"][0]
    row = make_tables(settings, results)["main"][0]
    assert row["model"] == summary["budget"]
    main = TABLES["main"].columns
    for title in set(COLUMNS) & set(main) - {"energy, J"}:
        shown = main[title](row)
        assert COLUMNS[title](summary) == (shown.partition(" [")[0] if title == "BLEU" else shown), title
    assert {"latency, ms", "BLEU", "chrF", "parameters, M", "training"} <= set(COLUMNS) & set(main)
    assert main["parameters, M"](row) == f"{row['params_m']:.2f}"
    assert main["without embeddings, M"](row) == f"{row['params_without_embeddings_m']:.2f}"


def test_next_steps_name_what_was_made(settings, results, tmp_path, monkeypatch):
    scope = DeviceScope(settings, results, "demo", "local")
    rows = write_summary(scope, [])["rows"]
    page = results.root / "report.html"
    assert next_steps(scope, rows, None) == [f"{program('snakemake')} {page}"]
    for budget in ("40ms", "60ms", "0.1s"):
        model = results.budget("demo", "local", budget) / "model"
        model.mkdir()
        (model / "model.json").write_text("{}")
    lines = ("Too short", "It's hard to quote this", "In the beginning it is said", "One more is here")
    (results.data("demo") / "raw/validation.de").write_text("".join(f"{line}\n" for line in lines))
    page.write_text("")
    opener = tmp_path / "bin" / ("open" if sys.platform == "darwin" else "xdg-open")
    opener.parent.mkdir()
    opener.write_text("#!/bin/sh\n")
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(opener.parent))
    # The best of those within their budgets.
    rows[2]["within_budget"] = False
    translate, serve, show = next_steps(scope, rows, None)
    best = str(results.budget("demo", "local", "60ms") / "model")
    assert shlex.split(translate)[1:] == ["translate", "--model", best, "In the beginning it is said"]
    assert shlex.split(serve)[1:] == ["serve", "--model", best]
    assert show == f"{opener.name} {page}"
    opener.unlink()
    assert next_steps(scope, rows, None)[-1] == f"{page}, in a browser"


def test_differences_are_tested(settings, results):
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), [])
    assert "60ms is" in summary["comparisons"][-2] and "(p = 0.0" in summary["comparisons"][-2]
    # With the same translations there is no difference.
    same = (results.budget("demo", "local", "60ms") / "hypotheses.txt").read_text()
    (results.budget("demo", "local", "0.1s") / "hypotheses.txt").write_text(same)
    summary = write_summary(DeviceScope(settings, results, "demo", "local"), [])
    assert summary["comparisons"][-1] == "0.1s and 60ms do not differ in BLEU."
