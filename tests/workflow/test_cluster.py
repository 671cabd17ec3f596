"""Clusters: what the profiles ask for; a real SLURM of this machine alone; caches and storage that workflows share."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest
import yaml

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


# What the jobs of a dry run ask for, by their rules.
ASKED = """
import json, sys
from hat.workflow.plan import planned_jobs
jobs = planned_jobs(["results/smoke/local/50ms/bleu.txt"], sys.argv[1:])
print(json.dumps({job.rule: {**job.resources, "threads": job.threads} for job in jobs}, default=str))
"""


@pytest.mark.parametrize("profile", ["slurm", "generic"])
def test_training_alone_asks_for_gpus_and_every_job_for_memory_and_time(project, profile):
    teacher = "tasks={smoke: {subtransformer: {teacher: supertransformer, distillation: both}}}"
    options = ["--workflow-profile", f"workflow/profiles/{profile}", "--config", "gpus=2", "gpu_type=a100", teacher]
    command = [sys.executable, "-c", ASKED, *options]
    ran = subprocess.run(command, check=False, cwd=project.folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    asked = json.loads(ran.stdout)
    trained = {"train_supertransformer", "translate_training", "train_subtransformer"}
    assert {rule for rule, resources in asked.items() if resources.get("gpus")} == trained
    for rule in trained:
        assert (asked[rule]["gpu"], asked[rule]["gpu_model"]) == (2, "a100")
        # Cores of the job, not of each GPU.
        assert asked[rule]["cpus_per_task"] == asked[rule]["threads"] == 16
    assert all({"mem_mb", "runtime"} <= set(resources) for resources in asked.values())


def test_searches_ask_for_the_gpus_that_evaluate(project):
    options = ["--workflow-profile", "workflow/profiles/slurm", "--config", "search={gpus: 4}", "gpu_type=a100"]
    ran = subprocess.run([sys.executable, "-c", ASKED, *options], check=True, cwd=project.folder, capture_output=True)
    asked = json.loads(ran.stdout)
    wanted = {rule: (own["gpu"], own["gpu_model"]) for rule, own in asked.items() if own.get("gpus")}
    assert wanted == {"search_front": (4, "a100"), "search": (4, "a100")}


# Runs what a manifest says on this machine: what kubectl is told is looked at here, not Kubernetes.
KUBECTL = """#!{python}
import pathlib, subprocess, sys, yaml
folder, verb = pathlib.Path("jobs"), sys.argv[1]
folder.mkdir(exist_ok=True)
if verb == "create":
    job = yaml.safe_load(sys.stdin)
    name = job["metadata"]["generateName"] + str(len(list(folder.glob("*.yaml"))))
    (folder / (name + ".yaml")).write_text(yaml.safe_dump(job))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    ended = subprocess.run(container["command"], cwd=container["workingDir"], capture_output=True)
    (folder / name).write_text("Complete" if ended.returncode == 0 else "Failed")
    print("job.batch/" + name)
elif verb == "get":
    print((folder / sys.argv[3]).read_text())
"""
TRIED_AGAIN = """
rule all:
    output: "a.txt"
    threads: 2
    resources: mem_mb=lambda wildcards, attempt: attempt * 300, runtime=5, gpus=1
    shell: "[ {resources.mem_mb} = 600 ] && touch {output}"
"""


def test_a_job_of_kubernetes_gets_what_its_rule_asks_for_and_more_memory_when_tried_again(project, monkeypatch):
    (project.folder / "Snakefile").write_text(TRIED_AGAIN)
    (project.folder / "bin").mkdir()
    (project.folder / "bin/kubectl").write_text(KUBECTL.format(python=sys.executable))
    (project.folder / "bin/kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{project.folder / 'bin'}:{os.environ['PATH']}")
    profile = ["--workflow-profile", "workflow/profiles/kubernetes", "--latency-wait=5"]
    assert "HAT_IMAGE" in project.snakemake(*profile, "--retries=0", code=1)
    for name, value in (("IMAGE", "python:3.11"), ("CLAIM", "hat"), ("MOUNT", str(project.folder))):
        monkeypatch.setenv(f"HAT_{name}", value)
    project.snakemake(*profile, "--seconds-between-status-checks=1")
    first, second = [yaml.safe_load(path.read_text()) for path in sorted((project.folder / "jobs").glob("*.yaml"))]
    for job, memory in ((first, "300M"), (second, "600M")):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["resources"] == {
            "requests": {"cpu": "2", "memory": memory},
            "limits": {"memory": memory, "nvidia.com/gpu": 1},
        }
        assert container["image"] == "python:3.11"
        assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["backoffLimit"]) == (300, 0)


def in_slurm(project, nodes: int, *command: str, code: int = 0) -> str:
    """Output of a command that runs beside a SLURM of so many nodes."""
    # Where the user `munge` may write.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        ran = subprocess.run(
            [SLURM, Path(folder) / "slurm", str(nodes), *command],
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
    assert (project.folder / "results/tables/smoke-local.md").exists()
    assert len(project.budgets()) == 2
    # Jobs of one group share a number, so there are fewer of them than steps, of which the budgets' are known late.
    submitted = re.findall(r"submitted with SLURM jobid (\d+)", output)
    (log,) = (project.folder / ".snakemake/log").glob("*.log")
    assert 0 < len(submitted) < int(re.search(r"(\d+) of \1 steps \(100%\) done", log.read_text())[1])
    shards = [
        json.loads(
            next((project.folder / f"results/usage/smoke/local/sample-{shard}").glob("*")).read_text().splitlines()[-1]
        )
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
    command = " ".join(snakemake(project, profile, checkpoint, "--retries=0"))
    script = project.folder / "cancel.sh"
    script.write_text(
        f"""
        {command} >first.txt 2>&1 &
        until compgen -G "results/smoke/supertransformer/partial/*/update-*" >/dev/null; do
            kill -0 $! || exit 3
            sleep 0.1
        done
        scancel $(squeue --noheader --format=%i)
        wait $! && exit 4
        [ ! -e {checkpoint} ] || exit 5
        cp results/smoke/supertransformer/partial/*/metrics.jsonl before.jsonl
        {command}
        """
    )
    in_slurm(project, 1, "bash", str(script))
    before = (project.folder / "before.jsonl").read_text().splitlines()
    after = (project.folder / checkpoint).with_name("metrics.jsonl").read_text().splitlines()
    # It went on from a checkpoint: what was written before is there still, no update was done twice, none left out.
    assert before and after[0] == before[0]
    updates = [row["update"] for row in map(json.loads, after) if row["event"] == "train"]
    assert updates == sorted(set(updates))
    assert updates[-1] == 40


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


# A rule that wants copies, since Snakemake takes no place of a storage as a target.
WANTED = """

rule wanted:
    input:
        storage.results("{prefix}/smoke/local/60ms.tar.gz"),
        storage.results("{prefix}/tables/smoke-local.md"),
"""


@pytest.mark.skipif(shutil.which("rsync") is None, reason="the storage plugin fs copies with rsync")
def test_results_are_copied_to_a_storage(project, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("storage") / "hat"
    made = {
        "smoke/local/60ms/bleu.txt": "12.3",
        "smoke/local/60ms/latency.json": "{}",
        "smoke/local/60ms/model/model.json": "{}",
        "tables/smoke-local.md": "a table",
    }
    for name, text in made.items():
        path = project.folder / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with open(project.folder / "Snakefile", "a") as stream:
        stream.write(WANTED.format(prefix=prefix))
    storage = f"storage={{provider: fs, prefix: {prefix}}}"
    project.snakemake("wanted", "--allowed-rules", "wanted", "store_budget", "store_table", "--config", storage)
    assert (prefix / "tables/smoke-local.md").read_text() == "a table"
    with tarfile.open(prefix / "smoke/local/60ms.tar.gz") as archive:
        stored = {file.name: archive.extractfile(file).read().decode() for file in archive if file.isfile()}
    assert stored == {name: text for name, text in made.items() if name.startswith("smoke/")}
