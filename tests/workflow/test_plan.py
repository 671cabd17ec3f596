"""`hat plan`: what Snakemake would run, and what that is estimated to take."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hat.artifacts.layout import Results
from hat.config.settings import Settings
from hat.workflow.plan import Job, estimate, print_plan


def hat_plan(project, *arguments, code=0):
    ran = subprocess.run(
        [sys.executable, "-m", "hat", *arguments], check=False, cwd=project.folder, capture_output=True, text=True
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def test_a_plan_counts_what_a_dry_run_counts_and_estimates_from_earlier_runs(project):
    target, benchmarks = "results/smoke/local/77ms/bleu.txt", project.folder / "results/benchmarks/smoke/local"
    for number, budget in enumerate(("50ms", "60ms")):
        (benchmarks / budget).mkdir(parents=True)
        row = f"7200\t-\t1\t1\t1\t1\t0\t0\t50\t{3600 * (number + 1)}\n"
        (benchmarks / budget / "subtransformer.tsv").write_text(HEADER + row)
        made = project.results / budget / "subtransformer"
        made.mkdir(parents=True)
        (made / "checkpoint.pt").write_bytes(bytes(2_000_000))
    content = json.loads(hat_plan(project, "plan", target, "--json"))
    dry = project.snakemake("-n", target)
    assert {one["rule"]: one["jobs"] for one in content["rules"]} == {
        rule: int(count) for rule, count in re.findall(r"^(\w+) +([0-9]+)$", dry, re.MULTILINE) if rule != "total"
    }
    assert content["estimate"]
    # The budgets that were made stand for this one.
    (training,) = [one for one in content["rules"] if one["rule"] == "train_subtransformer"]
    assert training["sources"] == ["the same task and device (2)"]
    assert training["cpu_hours"] == 1.5
    assert training["storage_gb"] == 0.002


def test_refused_targets_and_overrides(project):
    assert hat_plan(project, "plan", "results/nosuch/local/9ms/bleu.txt", code=2).startswith(
        "hat: task 'nosuch' is unk"
    )
    output = hat_plan(project, "plan", "nosuch", code=1)
    assert output.startswith("hat: snakemake: ")
    assert "Traceback" not in output
    shards = ["--set", "tasks.smoke.latency.shards=3"]
    content = json.loads(hat_plan(project, *shards, "plan", "results/smoke/local/budgets.json", "--json"))
    assert {one["rule"]: one["jobs"] for one in content["rules"]}["sample_latency"] == 3


@pytest.fixture
def history(tmp_path, monkeypatch):
    (tmp_path / "config").symlink_to(Path(__file__).parents[2] / "config")
    monkeypatch.chdir(tmp_path)

    def benchmark(name, seconds, cpu):
        path = tmp_path / "results/benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + f"{seconds}\t-\t1\t1\t1\t1\t0\t0\t50\t{cpu}\n")

    return benchmark


def search_job(budget="60ms", device="rpi4"):
    wildcards = {"task": "demo", "device": device, "budget": budget}
    name = f"results/benchmarks/demo/{device}/{budget}/search.tsv"
    return Job("search", wildcards, 1, 0, {}, name, (f"results/demo/{device}/{budget}/architecture.json",))


def test_the_most_similar_runs_count(history):
    settings, results = Settings(), Results("results")
    (one,) = estimate([search_job()], settings, results)
    assert "CPU times of docs/benchmarks/workflow.md, 2026-11-27" in one.sources
    history("demo/local/50ms/search.tsv", 3600, 1800)
    (one,) = estimate([search_job()], settings, results)
    assert (one.sources, one.cpu_hours) == ({"the same task (1)"}, 0.5)
    for number, cpu in enumerate((3600, 7200, 36_000)):
        history(f"demo/rpi4/{number + 1}ms/search.tsv", 3600, cpu)
    (one,) = estimate([search_job(), search_job("70ms")], settings, results)
    assert (one.sources, one.cpu_hours, one.jobs) == ({"the same task and device (3)"}, 4, 2)
    history("demo/rpi4/60ms/search.tsv", 1, 360)
    (one,) = estimate([search_job()], settings, results)
    assert (one.sources, one.cpu_hours) == ({"an earlier run (1)"}, 0.1)
    # Unfinished, as of a killed run.
    history("demo/rpi4/60ms/search.tsv", "", "")
    (one,) = estimate([search_job()], settings, results)
    assert one.sources == {"the same task and device (3)"}


def test_a_training_that_was_never_run_is_estimated_from_its_settings(history):
    wildcards = {"task": "wmt14ende"}
    job = Job("train_supertransformer", wildcards, 16, 8, {}, "results/benchmarks/wmt14ende/supertransformer.tsv", ())
    (one,) = estimate([job], Settings(), Results("results"))
    (source,) = one.sources
    assert source.startswith("NVIDIA H100 80GB HBM3 (2026-11-27), wmt14ende, batches of 4,096 tokens")
    # 40,000 updates of 128 batches, which took 75 ms with somewhat fewer tokens.
    assert 40_000 * 128 * 0.075 < 3600 * one.gpu_hours < 40_000 * 128 * 0.085
    history("wmt14ende/supertransformer.tsv", 7200, 3600)
    (one,) = estimate([job], Settings(), Results("results"))
    assert (one.gpu_hours, one.cpu_hours) == (16, 1)


def test_jobs_that_measure_wait_for_the_device_by_the_largest_planned_budget(history):
    wildcards = {"task": "demo", "device": "rpi4"}
    sample = Job("sample_latency", wildcards | {"shard": "0"}, 1, 0, {}, "results/benchmarks/a.tsv", ())
    settings, results = Settings({"tasks": {"demo": {"search": {"verify": 0}}}}), Results("results")
    (alone,) = estimate([sample], settings, results)
    assert (alone.unknown, alone.waiting_hours) == (1, 0)
    # Seconds are a unit of budgets too.
    measuring, _ = estimate([sample, search_job("20ms"), search_job("0.06s")], settings, results)
    # 80 networks, 5 visits, a warm-up and two sentences.
    assert 3600 * measuring.waiting_hours == pytest.approx(80 * 5 * 3 * 0.06)
    history("demo/rpi4/sample-0.tsv", 7200, 36)
    job = Job("sample_latency", wildcards | {"shard": "0"}, 1, 0, {}, "results/benchmarks/demo/rpi4/sample-0.tsv", ())
    (measured,) = estimate([job], settings, results)
    assert (measured.waiting_hours, measured.cpu_hours) == (0, 0.01)


def test_a_plan_prints_its_sources_as_notes(capsys):
    row = {"rule": "score", "jobs": 2, "gpu_hours": 0.0, "cpu_hours": 1.0, "waiting_hours": 0.5, "storage_gb": 0.0}
    total = {"price_usd": 1.0, "storage_usd_per_month": 0.0} | row
    print_plan(
        {
            "rules": [
                row | {"unknown": 1, "sources": ["speed of A", "speed of B"]},
                row | {"unknown": 0, "sources": ["speed of B"]},
                row | {"unknown": 2, "sources": []},
            ],
            "total": total | {"unknown": 3},
            "prices": "today",
        }
    )
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert cells[0] == ["score", "2", "0 s", "1 h", "30 min", "0.0 MB", "[1] [2] (1 not known)"]
    assert cells[1][-1] == "[2]"
    assert cells[2] == ["score", "2", "-", "-", "-", "-", "(2 not known)"]
    assert "[1] speed of A" in lines
    assert "[2] speed of B" in lines
