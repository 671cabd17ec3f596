# Configuration, wildcards, devices, and what several rules share.
import inspect
import json
import os
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

from snakemake.resources import Resource

from hat.artifacts.files import digest
from hat.workflow.console import show_stages
from hat.workflow.dependencies import own_files, stage_digest, wanted_budgets
from hat.errors import HatError
from hat.config.variants import VARIANTS, settings_for_variant
from hat.artifacts.layout import Results
from hat.artifacts.table import RANDOM_SEARCH
from hat.workflow.stale_locks import clear_stale_locks
from hat.system.machines import launcher, training_resources
from hat.config.overrides import layered, read_file
from hat.published.catalogue import catalogue
from hat.report.names import FIGURE_FILES, FIGURES, artifact_state
from hat.workflow.targets import (
    BUDGET_PATTERN,
    check_targets,
    command_line_targets,
    is_compression,
    is_cost,
    pattern,
    reported,
)
from hat.config.settings import SUPERTRANSFORMER, Settings

RESULTS = Results("results")
# Data and SuperTransformers are shared with other workflows.
CACHED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ

try:
    OVERRIDES = layered(
        [
            *map(read_file, workflow.config_settings.configfiles),
            workflow.config_settings.config,
        ]
    )
    SETTINGS = Settings(OVERRIDES)
    DEMO = SETTINGS.configuration.demo
    DEFAULT_TARGETS = [
        f"results/tables/{DEMO.task}-{DEMO.device}.md",
        f"results/figures/{DEMO.task}-{DEMO.device}/trade-off.png",
    ]
    # Jobs of a cluster read this file too, but what they are to make has been checked.
    TARGETS = command_line_targets() or DEFAULT_TARGETS
    if workflow.is_main_process:
        will_run = not workflow.output_settings.dryrun
        check_targets(TARGETS, SETTINGS, RESULTS, will_run=will_run)
except HatError as error:
    sys.exit(f"hat: {error}")

if workflow.is_main_process and not workflow.output_settings.dryrun:
    RUN_LOCK = clear_stale_locks(Path(".snakemake"))

# Verbs print to their logs alone where a line for each stage is shown.
QUIET = "1" if show_stages(workflow, DEMO.count) else ""

# Jobs find the `hat` that stands beside this Snakemake, and the overrides that Snakemake was given.
# Snakemake fills in the braces of a prefix as those of a command.
shell.prefix(
    (
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
        f" HAT_OVERRIDES={shlex.quote(json.dumps(OVERRIDES))} HAT_QUIET={QUIET}; set -euo pipefail; "
    )
    .replace("{", "{{")
    .replace("}", "}}")
)


wildcard_constraints:
    task=pattern(SETTINGS.tasks),
    device=pattern(SETTINGS.devices),
    budget="|".join([BUDGET_PATTERN, *SETTINGS.baselines]),
    baseline=pattern(SETTINGS.baselines) or "(?!)",
    shard="[0-9]+",
    split="train|validation|test",
    variant=pattern(VARIANTS),
    name=pattern(catalogue()),


# A device is measured by one job at a time. The limit stands here and not in a profile, where another
# profile or --resources would lose it.
for _device in SETTINGS.devices:
    workflow.global_resources[f"device_{_device}"] = Resource(f"device_{_device}", 1)


def noted(function):
    """The function with its parameters written on it: Snakemake looks for them several times for every job."""
    function.__signature__ = inspect.signature(function)
    return function


def exclusive(device):
    """The resource of a device: 1 for a job that measures this device, 0 for others."""
    return noted(lambda wildcards: int(wildcards.device == device))


THE_DEVICE = {f"device_{device}": exclusive(device) for device in SETTINGS.devices}


@noted
def all_cores(wildcards):
    """The cores of this machine; on a cluster, where `cores` are those of all jobs, `max-threads` of the profile."""
    return workflow.cores


@noted
def measuring_cores(wildcards):
    """Nothing else of the workflow runs on this machine while it is measured."""
    local = SETTINGS.device(wildcards.device).connection == "local"
    return workflow.cores if local else 1


def growing(mem_mb):
    """Memory of a job: a job that is tried again, as those of clusters are that took too much, gets more."""
    return noted(lambda wildcards, attempt: mem_mb * attempt)


_chosen = SETTINGS.configuration


# A job with GPUs gets the cores of its `threads` for all of them together, and not for each.
def training_on(nodes):
    """Resources of a job that trains, or translates with what was trained, on so many machines."""
    return training_resources(_chosen.gpus, nodes, _chosen.gpu_type) | (
        {"cpus_per_task": lambda wildcards, threads: threads} if _chosen.gpus else {}
    )


TRAINING = training_on(_chosen.nodes)


@noted
def evaluating_gpus(wildcards):
    """GPUs that a search evaluates on."""
    return SETTINGS.task(wildcards.task).search.gpus


EVALUATING = {
    "gpus": evaluating_gpus,
    "gpu": evaluating_gpus,
    "gpu_model": noted(
        lambda wildcards: _chosen.gpu_type if evaluating_gpus(wildcards) else ""
    ),
    "cpus_per_task": noted(lambda wildcards, threads: threads),
}
LAUNCHER = launcher(_chosen.nodes)


def settings_of(stage):
    """Digest of the settings that a stage depends on: its rule re-runs when it changes."""
    return noted(
        lambda wildcards: known_digest(
            stage,
            wildcards.task,
            wildcards.get("device"),
            baseline_of(wildcards),
            wildcards.get("variant"),
        )
    )


@cache
def known_digest(stage, task, device, baseline, variant):
    """The digest that all budgets of a task and device have in common."""
    settings = settings_for_variant(SETTINGS, task, device, variant)
    return stage_digest(settings, stage, task, device, baseline)


def settings_of_published(stage):
    """Digest of the settings that a stage of a published network depends on."""
    return lambda wildcards: stage_digest(
        SETTINGS, stage, catalogue()[wildcards.name].task, DEMO.device
    )


def baseline_of(wildcards):
    """The baseline that a job is about; None where it is about none."""
    name = wildcards.get("baseline", wildcards.get("budget"))
    return name if name in SETTINGS.baselines else None


def trained(name):
    """A file of the trained network that is deployed for a budget, or as a baseline."""

    def path(wildcards):
        baseline = baseline_of(wildcards) is not None
        place = (wildcards.task, wildcards.device, wildcards.budget)
        return str(RESULTS.trained(*place, baseline=baseline) / name)

    return noted(path)


@noted
def inherited(wildcards):
    """The SuperTransformer, where a SubTransformer starts from its weights or learns from it."""
    training = SETTINGS.task(wildcards.task).subtransformer
    parent = RESULTS.supertransformer(wildcards.task) / "checkpoint.pt"
    needed = (
        training.initial_weights == "inherited" or training.teacher == SUPERTRANSFORMER
    )
    return str(parent) if needed else []


@noted
def teacher(wildcards):
    """The weights of a task's teacher, where SubTransformers have one."""
    name = SETTINGS.task(wildcards.task).subtransformer.teacher
    if name is None:
        return []
    folder = (
        RESULTS.supertransformer(wildcards.task)
        if name == SUPERTRANSFORMER
        else RESULTS.baseline(wildcards.task, name)
    )
    return str(folder / "checkpoint.pt")


@noted
def translated(wildcards):
    """The teacher's translations of the training set, where they are learnt from."""
    training = SETTINGS.task(wildcards.task).subtransformer
    if training.teacher is None or training.distillation == "word":
        return []
    return str(RESULTS.translated(wildcards.task, training.teacher) / "translated.json")


@noted
def front_of(wildcards):
    """The search for all budgets, where the task's algorithm searches so."""
    front = RESULTS.search(wildcards.task, wildcards.device) / "candidates.parquet"
    return str(front) if SETTINGS.task(wildcards.task).search.all_budgets else []


@noted
def deployed_shortlist(wildcards):
    """The shortlist of a task, where what is deployed for a device has it."""
    place = wildcards.task, wildcards.device, wildcards.get("variant")
    wanted = settings_for_variant(SETTINGS, *place).uses_shortlist(wildcards.task, wildcards.device)
    return str(RESULTS.shortlist(wildcards.task) / "shortlist.json") if wanted else []


def of_a_budget(path):
    """A file that there is for a budget, and not for a baseline."""
    return noted(
        lambda wildcards: [] if baseline_of(wildcards) else path.format(**wildcards)
    )


def of_a_baseline(path):
    """A file that is made with the score of a baseline, however old it is."""
    return noted(
        lambda wildcards: (
            ancient(path.format(**wildcards)) if baseline_of(wildcards) else []
        )
    )


@noted
def measurements(wildcards):
    """The samples of a device, or the file of latencies that it has in place of a host."""
    brought = SETTINGS.device(wildcards.device).latency
    if brought is not None:
        return [brought]
    return [
        f"results/{wildcards.task}/{wildcards.device}/latency/samples/{shard}.jsonl"
        for shard in range(SETTINGS.task(wildcards.task).latency.shards)
    ]


@noted
def chosen_architectures(wildcards):
    """Which Architectures were measured, and why; a file of latencies does not say."""
    if SETTINGS.device(wildcards.device).latency is not None:
        return []
    return "results/{task}/{device}/latency/architectures.jsonl".format(**wildcards)


def budgets(task, device):
    """The budgets chosen from the measured range, and those that the configuration asks for beside them."""
    chosen = checkpoints.choose_budgets.get(task=task, device=device)
    return wanted_budgets(SETTINGS, task, device, Path(chosen.output.budgets))


def artifacts(task, device, *names):
    return [
        f"results/{task}/{device}/{budget}/{name}"
        for budget in budgets(task, device)
        for name in names
    ]


def for_each_budget(*names):
    return lambda wildcards: artifacts(wildcards.task, wildcards.device, *names)


def print_tables():
    """Print the summaries that were asked for."""
    for table in [name for name in TARGETS if name.startswith("results/tables/")]:
        if is_cost(table):
            print_by("cost")
            continue
        task, device = reported(table, SETTINGS, RESULTS)
        print_by("compression" if is_compression(table) else "table", task, device)


def print_by(*words):
    """Print what a verb of `hat` prints; it names `hat` as whoever started Snakemake has to call it."""
    program = Path(sys.executable).with_name("hat")
    environment = os.environ | {"HAT_OVERRIDES": json.dumps(OVERRIDES)}
    subprocess.run([program, *words], check=True, env=environment)
