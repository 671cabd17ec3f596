"""Clusters: what the profiles ask for; a real SLURM of this machine alone; caches and storage that workflows share."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

SLURM = Path(__file__).with_name("slurm.sh")
# What differs between this SLURM and a cluster: no accounting, no time to lose, two cores.
OF_THIS_SLURM = [
    "--slurm-no-account",
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=2",
    "--seconds-between-status-checks=2",
    "--latency-wait=20",
    "--max-threads=2",
]
needs_slurm = pytest.mark.skipif(
    shutil.which("slurmctld") is None or shutil.which("munged") is None or os.geteuid() != 0,
    reason="needs root and Debian's slurm-wlm and munge",
)


@pytest.mark.parametrize("profile", ["slurm", "generic", "kubernetes"])
def test_profiles_are_complete_and_ask_for_gpus_in_training_alone(project, profile):
    more = ["--container-image=x"] if profile == "kubernetes" else []
    target, overrides = "results/smoke/local/50ms/bleu.txt", ["gpus=2", "gpu_type=a100"]
    output = project.snakemake("-n", target, "--workflow-profile", f"workflow/profiles/{profile}", *more, "--config", *overrides)
    jobs = re.findall(r"^ *(?:local)?rule (\w+):.*?^ *resources: ([^\n]*)", output, re.MULTILINE | re.DOTALL)
    asked = {rule: dict(one.split("=", 1) for one in values.split(", ") if "=" in one) for rule, values in jobs}
    assert asked["train_supertransformer"]["gpu"] == "2"
    assert asked["train_supertransformer"]["gpu_model"] == "a100"
    assert {rule for rule, values in asked.items() if "gpu" in values} == {
        "train_supertransformer",
        "train_subtransformer",
    }
    assert all({"mem_mb", "runtime"} <= set(values) for values in asked.values())


def in_slurm(project, nodes: int, *command: str, code: int = 0) -> str:
    """Output of a command that runs beside a SLURM of so many nodes."""
    ran = subprocess.run(
        [SLURM, project.folder / "slurm", str(nodes), *command],
        check=False,
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    output = ran.stdout + ran.stderr
    assert ran.returncode == code, output
    return output


def snakemake(project, profile: str, *arguments: str) -> list[str]:
    own = OF_THIS_SLURM if profile == "slurm" else OF_THIS_SLURM[-2:]
    return project.command("--workflow-profile", f"workflow/profiles/{profile}", *own, *arguments)


@pytest.mark.slow
@needs_slurm
def test_the_demo_runs_in_slurm_with_one_job_at_a_time_on_the_device(project):
    output = in_slurm(project, 1, *snakemake(project, "slurm", "--config", "latency={shards: 2}"))
    assert "results/tables/smoke-local.md" in output or (project.folder / "results/tables/smoke-local.md").exists()
    assert len(project.budgets()) == 2
    # Jobs of one group share a number, so there are fewer of them than steps.
    submitted = re.findall(r"submitted with SLURM jobid (\d+)", output)
    assert 0 < len(submitted) < int(re.search(r"^total +(\d+)$", output, re.MULTILINE)[1])
    shards = [
        json.loads(next((project.folder / f"results/usage/smoke/local/sample-{shard}").glob("*")).read_text().splitlines()[-1])
        for shard in (0, 1)
    ]
    began = [time.mktime(time.strptime(row["run"].split()[1], "%Y-%m-%dT%H:%M:%SZ")) for row in shards]
    first, second = sorted(zip(began, (row["seconds"] for row in shards), strict=True))
    # The times are whole seconds.
    assert first[0] + first[1] <= second[0] + 1


@pytest.mark.slow
@needs_slurm
@pytest.mark.parametrize("profile", ["slurm", "generic"])
def test_a_job_that_is_cancelled_in_the_middle_goes_on_where_it_was(project, profile):
    checkpoint = "results/smoke/supertransformer/checkpoint.pt"
    script = project.folder / "cancel.sh"
    command = " ".join(snakemake(project, profile, checkpoint, "--retries=0"))
    script.write_text(
        f"""
        {command} >first.txt 2>&1 &
        until compgen -G "results/smoke/supertransformer/partial/*/update-*" >/dev/null; do
            kill -0 $! || exit 3
            sleep 0.1
        done
        scancel --signal=KILL --full $(squeue -h -o %i) ; scancel $(squeue -h -o %i)
        wait $! && exit 4
        [ ! -e {checkpoint} ] || exit 5
        {command}
        """
    )
    output = in_slurm(project, 1, "bash", str(script))
    assert (project.folder / checkpoint).exists()
    done = [json.loads(line) for line in (project.folder / checkpoint).with_name("metrics.jsonl").read_text().splitlines()]
    updates = [row["update"] for row in done if row["event"] == "train"]
    assert updates == sorted(set(updates))
    assert "goes on" in output or "resum" in output or "from update" in output or updates


@pytest.mark.slow
@needs_slurm
def test_training_over_two_machines(project):
    checkpoint = "results/smoke/supertransformer/checkpoint.pt"
    in_slurm(project, 2, *snakemake(project, "slurm", checkpoint, "--config", "nodes=2"))
    made = json.loads((project.folder / checkpoint).with_name("config.json").read_text())
    assert made["processes"] == 2
    assert made["training"]["updates"] == 40


@pytest.mark.slow
def test_workflows_share_data_and_supertransformers_of_the_same_settings(project_in, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "cache"))
    target, made = "results/smoke/supertransformer/checkpoint.pt", []
    for name in ("first", "second", "other"):
        (tmp_path / name).mkdir()
        made.append(project_in(tmp_path / name))
    updates = "tasks={smoke: {supertransformer: {updates: %d}}}"
    made[0].snakemake("--cache", target, "--config", updates % 2)
    made[1].snakemake("--cache", target, "--config", updates % 2)
    assert (made[0].folder / target).resolve() == (made[1].folder / target).resolve()
    assert not (made[1].folder / "results/usage/smoke/supertransformer").exists()
    # Other settings have another key: the data are the same, the SuperTransformer is not.
    made[2].snakemake("--cache", target, "--config", updates % 3)
    assert (made[2].folder / target).resolve() != (made[0].folder / target).resolve()
    assert not (made[2].folder / "results/usage/smoke/data/extract").exists()
    assert (made[2].folder / "results/usage/smoke/supertransformer").exists()


def test_results_are_copied_to_a_storage(finished, tmp_path):
    storage = f"storage={{provider: fs, prefix: {tmp_path}/hat}}"
    output = finished.snakemake("stored", "--config", storage)
    assert not re.search(r"^(score|export_model|search) +[0-9]", output, re.MULTILINE)
    for budget in finished.budgets():
        with tarfile.open(tmp_path / f"hat/smoke/local/{budget}.tar.gz") as archive:
            stored = archive.extractfile(f"smoke/local/{budget}/bleu.txt").read()
            assert f"smoke/local/{budget}/model/model.json" in archive.getnames()
        assert stored == (finished.results / budget / "bleu.txt").read_bytes()
    assert (tmp_path / "hat/tables/smoke-local.md").read_bytes() == (
        finished.folder / "results/tables/smoke-local.md"
    ).read_bytes()
    assert "Nothing to be done" in finished.snakemake("stored", "--config", storage)
