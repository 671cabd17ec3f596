"""The whole DAG on a made corpus, with real training, measuring, searching, scoring."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hat.artifacts.layout import target_of
from hat.schemas.catalogue import check

pytestmark = pytest.mark.timeout(3600)


def test_everything_is_made(finished):
    shared = finished.folder / "results"
    for name in (
        "smoke/data/counts.json",
        "smoke/data/binary/counts.json",
        "smoke/supertransformer/checkpoint.pt",
        "smoke/supertransformer/metrics.jsonl",
        "smoke/supertransformer/config.json",
        "smoke/shortlist/shortlist.json",
        "smoke/local/latency/dataset.parquet",
        "smoke/local/predictor/predictor.json",
        "smoke/local/predictor/errors.json",
        "smoke/local/budgets.json",
        "tables/smoke-local.csv",
        "tables/smoke-local.md",
        "tables/smoke-local.json",
        "figures/smoke-local/predictor.pdf",
        "figures/smoke-local/trade-off.png",
        "figures/smoke-local/search.csv",
        "figures/smoke-local/latency-dimensions.png",
        "figures/smoke-local/architectures.pdf",
        "figures/smoke-local/training.txt",
        "smoke/search/evaluations.jsonl",
        "smoke/local/search/front.json",
        "smoke/local/search/candidates.parquet",
        "smoke/local/search/front.parquet",
        "smoke/local/search/measurements.jsonl",
    ):
        assert (shared / name).stat().st_size > 0, name
    wanted = json.loads((finished.results / "budgets.json").read_text())["budgets"]
    assert len(wanted) == 2
    assert set(wanted) <= set(finished.budgets())


def test_each_budget_is_scored_and_measured(finished):
    for budget in finished.budgets():
        folder = finished.results / budget
        score = json.loads((folder / "score.json").read_text())
        first, second, *note = (folder / "bleu.txt").read_text().splitlines()
        winner = json.loads((folder / "architecture.json").read_text())
        status = winner["verification"]["status"]
        assert status in ("met", "not met")
        assert (status == "met") == (winner["measured_latency_ms"] <= winner["budget_ms"]) == (note == [])
        assert float(first) == pytest.approx(score["bleu"], abs=0.01)
        assert second == score["bleu_signature"]
        assert score["validation_loss"] < score["untrained_loss"]
        assert json.loads((folder / "latency.json").read_text())["latency_ms"] > 0
        assert json.loads((folder / "model" / "model.json").read_text())


def test_artifacts_are_as_their_schemas_say(finished):
    count, problems = check(finished.folder / "results")
    assert count > 40
    assert problems == []


def test_missing_artifacts_are_named_with_targets_that_exist(finished):
    files = [path.relative_to(finished.folder) for path in (finished.folder / "results").rglob("*") if path.is_file()]
    targets = {target for file in files if (target := target_of(file)) is not None}
    assert len(targets) > 20
    # Snakemake refuses what no rule makes.
    assert finished.would_run(*targets) == set()
    unnamed = {file.name for file in files if file.suffix == ".json" and target_of(file) is None}
    assert unnamed <= {".made.json", "figures.json", "smoke-local.json", "state.json"} | {
        file.name for file in files if "partial" in file.parts
    }


def test_summary_is_printed(finished):
    assert "smoke on local" in finished.output
    assert "Larger budgets are better by BLEU" in finished.output


def test_a_run_shows_a_line_for_each_stage_and_a_share_that_only_grows(finished):
    # Errors and progress go to standard error, which follows the summary here.
    first = "Using workflow specific profile"
    lines = (first + finished.output.partition(first)[2]).splitlines()
    # Two of Snakemake's before the workflow is read, what is to run, a line for each stage, the end.
    assert re.match(
        r"\d+ stages to run, and about 11 more once budgets are chosen; their logs: results/logs/", lines[2]
    )
    shown = [re.fullmatch(r" *(\d+) %  +((?:\d[\d.]* (?:min|s|h) ?)+) (smoke.*)", line) for line in lines[3:-1]]
    assert all(shown), lines
    shares = [int(match[1]) for match in shown]
    assert shares == sorted(shares)
    assert shares[0] < 20
    assert shares[-1] == 100
    assert len(set(shares)) > 0.9 * len(shares)
    assert shown[-1][3] == "smoke, local: all budgets are done"
    assert sum("train the SubTransformer" in match[3] for match in shown) == 2
    log = re.fullmatch(r"Done, after .*; Snakemake's own log: (\S+)", lines[-1])[1]
    assert (finished.folder / log).read_text().count("Finished jobid") == len(shown)


def test_the_commands_to_go_on_with_run(finished):
    after = finished.output.partition("Go on with:\n")[2].splitlines()
    translate, serve, report = [line.strip() for line in itertools.takewhile(lambda line: line[:2] == "  ", after)]
    ran = subprocess.run(
        translate, shell=True, check=False, cwd=finished.folder, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 1
    folder = serve.partition(" --model ")[2]
    assert serve.split()[-3:] == ["serve", "--model", folder]
    assert (finished.folder / folder / "model.json").exists()
    assert finished.would_run(*report.split()[1:]) == {"report"}


def test_snakemake_shows_its_own_blocks_where_somebody_asks_for_them(finished):
    lost = finished.results / "budgets.json"
    content = lost.read_text()
    lost.unlink()
    try:
        output = finished.snakemake("--printshellcmds", "results/smoke/local/budgets.json")
    finally:
        lost.write_text(content)
    assert "Reason: Missing output files: results/smoke/local/budgets.json" in output
    assert "1 of 1 steps (100%) done" in output
    assert "Budgets of smoke on local" in output


def test_a_failed_stage_is_said_with_its_log(project):
    (project.folder / "corpus.tsv").unlink()
    output = project.snakemake("results/smoke/data/counts.json", code=1)
    log = "results/logs/smoke/data/fetch.log"
    assert re.search(rf"^FAILED after \S+ s: smoke: download the text\n    log: {log}$", output, re.MULTILINE)
    assert output.count("hat: corpus.tsv: no such file") == 1
    assert "hat: corpus.tsv: no such file" in (project.folder / log).read_text()
    assert len(output.splitlines()) < 10


def test_status_says_what_exists_and_what_is_stale(finished):
    def states():
        command = [str(Path(sys.executable).with_name("hat")), "status", "smoke", "local", budget, "--json"]
        ran = subprocess.run(command, check=False, cwd=finished.folder, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return {row["file"]: row["state"] for row in json.loads(ran.stdout)}

    budget = finished.budgets()[0]
    found = states()
    place = f"results/smoke/local/{budget}"
    assert {found[f"{place}/{name}"] for name in ("bleu.txt", "latency.json", "architecture.json")} == {"up to date"}
    lost, newer = finished.folder / place / "hypotheses.txt", finished.folder / place / "architecture.json"
    content, architecture, before = lost.read_text(), newer.read_text(), newer.stat()
    lost.unlink()
    # Of small files Snakemake knows the checksum: a new time alone makes nothing stale.
    newer.write_text(architecture + "\n")
    found = states()
    assert found[f"{place}/hypotheses.txt"] == "missing"
    assert found[f"{place}/subtransformer/checkpoint.pt"] not in ("up to date", "missing")
    lost.write_text(content)
    os.utime(lost, ns=((finished.folder / place / "score.json").stat().st_mtime_ns,) * 2)
    newer.write_text(architecture)
    os.utime(newer, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_again_does_nothing(finished):
    assert "Nothing to be done" in finished.snakemake()


def test_another_budget_searches_and_what_follows(finished):
    largest = json.loads((finished.results / "budgets.json").read_text())["budgets"][-1]
    target = f"results/smoke/local/{largest.removesuffix('ms')}9ms/bleu.txt"
    assert finished.would_run(target) == {"search", "train_subtransformer", "export_model", "score"}
    finished.snakemake(target)
    assert (finished.folder / target).exists()
    assert "Nothing to be done" in finished.snakemake()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("scoring={beam: 2}", {"score", "draw_figures", "tables", "demo"}),
        (
            "search={iterations: 3}",
            {
                "search",
                "train_subtransformer",
                "export_model",
                "score",
                "measure_model",
                "draw_figures",
                "tables",
                "demo",
            },
        ),
        (
            "search={evaluations: 11}",
            {"search_front", "search", "train_subtransformer", "export_model", "score", "measure_model", "draw_figures"}
            | {"tables", "demo"},
        ),
        (
            "devices={local: {beam: 3}}",
            {"sample_latency", "collect_dataset", "fit_predictor", "choose_budgets", "draw_figures", "tables", "demo"},
        ),
        (
            "tasks={smoke: {shortlist: {validation_sentences: 9}}}",
            {
                "make_shortlist",
                "sample_latency",
                "collect_dataset",
                "fit_predictor",
                "choose_budgets",
                "draw_figures",
                "tables",
                "demo",
            },
        ),
        ("tasks={bibleende: {supertransformer: {updates: 9}}}", set()),
        ("tasks={smoke: {description: Other words, supertransformer: {threads: 1}}}", set()),
    ],
)
def test_a_setting_reruns_what_depends_on_it(finished, override, expected):
    assert finished.would_run("--config", override) == expected


def test_lost_score_is_made_again(finished):
    lost = finished.results / json.loads((finished.results / "budgets.json").read_text())["budgets"][0] / "bleu.txt"
    content = lost.read_text()
    lost.unlink()
    assert "score" in finished.would_run()
    lost.write_text(content)
