# Configuration, wildcards, devices, and functions that several rules share.
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
from hat.workflow.cluster import launcher, training_resources
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
from hat.config.scope import BudgetScope
from hat.config.settings import SUPERTRANSFORMER, Settings

RESULTS = Results("results")
# Whether data and SuperTransformers are shared with other workflows.
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
    # Jobs on a cluster read this file too, but their targets have been checked already.
    TARGETS = command_line_targets() or DEFAULT_TARGETS
    if workflow.is_main_process:
        will_run = not workflow.output_settings.dryrun
        check_targets(TARGETS, SETTINGS, RESULTS, will_run=will_run)
except HatError as error:
    sys.exit(f"hat: {error}")

if workflow.is_main_process and not workflow.output_settings.dryrun:
    RUN_LOCK = clear_stale_locks(Path(".snakemake"))

# If the console shows one line per stage, verbs print to their logs only.
QUIET = "1" if show_stages(workflow, DEMO.count) else ""

# Jobs use the `hat` that is installed beside this Snakemake, and the overrides that Snakemake was given.
# Braces are doubled because Snakemake formats the prefix like a command.
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


# One job at a time measures a device. The limit is set here because a profile can be replaced, and --resources
# would override it there.
for _device in SETTINGS.devices:
    workflow.global_resources[f"device_{_device}"] = Resource(f"device_{_device}", 1)


def with_signature(function):
    """Cache the signature of a function, which Snakemake inspects several times for each job."""
    function.__signature__ = inspect.signature(function)
    return function


def exclusive(device):
    """Return the resource of a device: 1 for a job that measures this device, 0 for others."""
    return with_signature(lambda wildcards: int(wildcards.device == device))


THE_DEVICE = {f"device_{device}": exclusive(device) for device in SETTINGS.devices}


@with_signature
def all_cores(wildcards):
    """Return the cores of this machine. On a cluster, `max-threads` of the profile limits them for each job."""
    return workflow.cores


@with_signature
def measuring_cores(wildcards):
    """Return all cores if this machine is measured, so that no other job of the workflow runs meanwhile."""
    local = SETTINGS.device(wildcards.device).connection == "local"
    return workflow.cores if local else 1


def growing(mem_mb):
    """Return the memory of a job; each retry gets more, since jobs on clusters are killed for using too much."""
    return with_signature(lambda wildcards, attempt: mem_mb * attempt)


_chosen = SETTINGS.configuration


# `threads` are the cores of a job with GPUs in total, not per GPU.
def training_on(nodes):
    """Return the resources of a job that trains, or translates the training set, on a number of machines."""
    return training_resources(_chosen.gpus, nodes, _chosen.gpu_type) | (
        {"cpus_per_task": lambda wildcards, threads: threads} if _chosen.gpus else {}
    )


TRAINING = training_on(_chosen.nodes)


@with_signature
def evaluating_gpus(wildcards):
    """Return the number of GPUs that a search evaluates on."""
    return SETTINGS.task(wildcards.task).search.gpus


EVALUATING = {
    "gpus": evaluating_gpus,
    "gpu": evaluating_gpus,
    "gpu_model": with_signature(
        lambda wildcards: _chosen.gpu_type if evaluating_gpus(wildcards) else ""
    ),
    "cpus_per_task": with_signature(lambda wildcards, threads: threads),
}
LAUNCHER = launcher(_chosen.nodes)


def settings_of(stage):
    """Return the digest of the settings that a stage depends on; the rule re-runs when it changes."""
    return with_signature(
        lambda wildcards: shared_digest(
            stage,
            wildcards.task,
            wildcards.get("device"),
            baseline_of(wildcards),
            wildcards.get("variant"),
        )
    )


@cache
def shared_digest(stage, task, device, baseline, variant):
    """Return the digest, which all budgets of a task and device share."""
    settings = settings_for_variant(SETTINGS, task, device, variant)
    return stage_digest(settings, stage, task, device, baseline)


def settings_of_published(stage):
    """Return the digest of the settings that a stage of a published network depends on."""
    return lambda wildcards: stage_digest(
        SETTINGS, stage, catalogue()[wildcards.name].task, DEMO.device
    )


def baseline_of(wildcards):
    """Return the baseline of a job; None if the job belongs to a budget."""
    name = wildcards.get("baseline", wildcards.get("budget"))
    return name if name in SETTINGS.baselines else None


def trained(name):
    """Return a file of the trained network that is deployed for a budget or as a baseline."""
    return with_signature(
        lambda wildcards: str(
            BudgetScope(
                SETTINGS, RESULTS, wildcards.task, wildcards.device, wildcards.budget
            ).trained
            / name
        )
    )


@with_signature
def inherited(wildcards):
    """Return the SuperTransformer if SubTransformers start from its weights or learn from it."""
    training = SETTINGS.task(wildcards.task).subtransformer
    parent = RESULTS.supertransformer(wildcards.task) / "checkpoint.pt"
    needed = (
        training.initial_weights == "inherited" or training.teacher == SUPERTRANSFORMER
    )
    return str(parent) if needed else []


@with_signature
def teacher(wildcards):
    """Return the weights of the teacher if SubTransformers have one."""
    name = SETTINGS.task(wildcards.task).subtransformer.teacher
    if name is None:
        return []
    folder = (
        RESULTS.supertransformer(wildcards.task)
        if name == SUPERTRANSFORMER
        else RESULTS.baseline(wildcards.task, name)
    )
    return str(folder / "checkpoint.pt")


@with_signature
def translated(wildcards):
    """Return the teacher's translations of the training set if SubTransformers learn from them."""
    training = SETTINGS.task(wildcards.task).subtransformer
    if training.teacher is None or training.distillation == "word":
        return []
    return str(RESULTS.translated(wildcards.task, training.teacher) / "translated.json")


@with_signature
def front_of(wildcards):
    """Return the search for all budgets if the task's algorithm searches for all at once."""
    front = RESULTS.search(wildcards.task, wildcards.device) / "candidates.parquet"
    return str(front) if SETTINGS.task(wildcards.task).search.all_budgets else []


@with_signature
def deployed_shortlist(wildcards):
    """Return the shortlist of a task if the model deployed for a device uses it."""
    place = wildcards.task, wildcards.device, wildcards.get("variant")
    wanted = settings_for_variant(SETTINGS, *place).uses_shortlist(
        wildcards.task, wildcards.device
    )
    return str(RESULTS.shortlist(wildcards.task) / "shortlist.json") if wanted else []


def of_a_budget(path):
    """Return a file that exists for a budget but not for a baseline."""
    return with_signature(
        lambda wildcards: [] if baseline_of(wildcards) else path.format(**wildcards)
    )


def of_a_baseline(path):
    """Return a file that the score of a baseline also needs, whatever its age."""
    return with_signature(
        lambda wildcards: (
            ancient(path.format(**wildcards)) if baseline_of(wildcards) else []
        )
    )


@with_signature
def measurements(wildcards):
    """Return the samples of a device, or the file of latencies that it has instead of a host."""
    external = SETTINGS.device(wildcards.device).latency
    if external is not None:
        return [external]
    return [
        f"results/{wildcards.task}/{wildcards.device}/latency/samples/{shard}.jsonl"
        for shard in range(SETTINGS.task(wildcards.task).latency.shards)
    ]


@with_signature
def chosen_architectures(wildcards):
    """Return the list of Architectures that were chosen to be measured, unless latencies come from a file."""
    if SETTINGS.device(wildcards.device).latency is not None:
        return []
    return "results/{task}/{device}/latency/architectures.jsonl".format(**wildcards)


def budgets(task, device):
    """Return the budgets chosen from the predicted range, and those that the configuration adds."""
    chosen = checkpoints.choose_budgets.get(task=task, device=device)
    return wanted_budgets(SETTINGS, task, device, Path(chosen.output.budgets))


def artifacts(task, device, *names):
    """Return files of all budgets, by their names below the folder of a budget."""
    return [
        f"results/{task}/{device}/{budget}/{name}"
        for budget in budgets(task, device)
        for name in names
    ]


def for_each_budget(*names):
    """Return an input function for files of all budgets of the wildcards' task and device."""
    return lambda wildcards: artifacts(wildcards.task, wildcards.device, *names)


def print_tables():
    """Print the summary tables that were requested."""
    for table in [name for name in TARGETS if name.startswith("results/tables/")]:
        if is_cost(table):
            print_verb("cost")
            continue
        task, device = reported(table, SETTINGS, RESULTS)
        print_verb("compression" if is_compression(table) else "table", task, device)


def print_verb(*words):
    """Run a verb of `hat` that prints a table, with its full path so that it suggests commands that work."""
    program = Path(sys.executable).with_name("hat")
    environment = os.environ | {"HAT_OVERRIDES": json.dumps(OVERRIDES)}
    subprocess.run([program, *words], check=True, env=environment)
