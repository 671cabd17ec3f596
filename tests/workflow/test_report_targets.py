"""Figures, report and Snakemake's own report as targets, on a finished run."""

import json
import os

import pandas as pd
import pytest

from hat.artifacts.table import SEARCH
from hat.schemas.catalogue import check

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]


def test_a_random_search_is_made_where_asked_for_and_drawn(finished):
    folder = f"results/smoke/local/{finished.budgets()[0]}"
    target = f"{folder}/random-search.parquet"
    assert finished.would_run(target) == {"random_search"}
    finished.snakemake(target)
    found, searched = (pd.read_parquet(finished.folder / folder / name) for name in ("random-search.parquet", SEARCH))
    assert 0 < len(found) <= 1 + searched["order"].max()
    # The figure is drawn again, and nothing else is made.
    assert finished.would_run() == {"draw_figures", "demo"}
    finished.snakemake()
    assert "random, expected" in (finished.folder / "results/figures/smoke-local/search.csv").read_text()


def test_everything_is_drawn_and_reported(finished):
    output = finished.snakemake("figures", "results/report.html")
    assert "results/tables/cost.csv is missing; `snakemake results/tables/cost.csv` makes it" in output
    shared = finished.folder / "results"
    index = json.loads((shared / "figures/overall/figures.json").read_text())
    assert [figure["name"] for figure in index["figures"]] == ["workflow"]
    rules = (shared / "figures/overall/workflow.csv").read_text()
    assert "search,train_subtransformer" in rules
    assert check(shared)[1] == []
    page = (shared / "report.html").read_text()
    assert len(page) < 10_000_000
    for budget in finished.budgets():
        score = json.loads((finished.results / budget / "score.json").read_text())
        assert f'data-value="{score["bleu"]!r}"' in page
    # It is made again when what it shows has changed, and only then.
    assert finished.would_run("results/report.html") == set()
    changed = finished.results / finished.budgets()[0] / "latency.json"
    before = changed.stat()
    os.utime(changed)
    assert finished.would_run("results/report.html") == {"report"}
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_snakemakes_own_report_has_captions(finished):
    finished.snakemake("--report", "own.html")
    own = (finished.folder / "own.html").read_text()
    for caption in ("BLEU against latency of smoke on local", "Every budget of smoke on local"):
        assert caption in own
