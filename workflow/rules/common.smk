# Configuration, wildcards, devices, and what several rules share.
import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.resources import Resource

from hat.dependencies import own_files, stage_digest, wanted_budgets
from hat.errors import HatError
from hat.layout import Results
from hat.locks import clear_stale_locks
from hat.overrides import layered, read_file
from hat.published.catalogue import catalogue
from hat.quantise import BITS
from hat.requests import (
    BUDGET_PATTERN,
    check_targets,
    command_line_targets,
    is_compression,
    pattern,
    reported,
)
from hat.settings import Settings

RESULTS = Results("results")

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

# Jobs find the `hat` that stands beside this Snakemake, and the overrides that Snakemake was given.
# Snakemake fills in the braces of a prefix as those of a command.
shell.prefix(
    (
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
        f" HAT_OVERRIDES={shlex.quote(json.dumps(OVERRIDES))}; set -euo pipefail; "
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
    bits="|".join(map(str, BITS)),
    name=pattern(catalogue()),


# A device is measured by one job at a time. The limit stands here and not in a profile, where another
# profile or --resources would lose it.
for _device in SETTINGS.devices:
    workflow.global_resources[f"device_{_device}"] = Resource(f"device_{_device}", 1)


def exclusive(device):
    """The resource of a device: 1 for a job that measures this device, 0 for others."""
    return lambda wildcards: int(wildcards.device == device)


THE_DEVICE = {f"device_{device}": exclusive(device) for device in SETTINGS.devices}


def all_cores(wildcards):
    return workflow.cores


def measuring_cores(wildcards):
    """Nothing else of the workflow runs on this machine while it is measured."""
    local = SETTINGS.device(wildcards.device).connection == "local"
    return workflow.cores if local else 1


def settings_of(stage):
    """Digest of the settings that a stage depends on: its rule re-runs when it changes."""
    return lambda wildcards: stage_digest(
        SETTINGS, stage, wildcards.task, wildcards.get("device"), baseline_of(wildcards)
    )


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

    return path


def inherited(wildcards):
    """The SuperTransformer, where its weights are what a SubTransformer starts from."""
    starts_from = SETTINGS.task(wildcards.task).subtransformer.initial_weights
    parent = RESULTS.supertransformer(wildcards.task) / "checkpoint.pt"
    return str(parent) if starts_from == "inherited" else []


def deployed_shortlist(wildcards):
    """The shortlist of a task, where what is deployed for a device has it."""
    wanted = SETTINGS.uses_shortlist(wildcards.task, wildcards.device)
    return str(RESULTS.shortlist(wildcards.task) / "shortlist.json") if wanted else []


def of_a_budget(path):
    """A file that there is for a budget, and not for a baseline."""
    return lambda wildcards: [] if baseline_of(wildcards) else path.format(**wildcards)


def of_a_baseline(path):
    """A file that is made with the score of a baseline, however old it is."""
    return lambda wildcards: (
        ancient(path.format(**wildcards)) if baseline_of(wildcards) else []
    )


def shards(wildcards):
    return [
        f"results/{wildcards.task}/{wildcards.device}/latency/samples/{shard}.jsonl"
        for shard in range(SETTINGS.task(wildcards.task).latency.shards)
    ]


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
        task, device = reported(table, SETTINGS, RESULTS)
        verb = "compression" if is_compression(table) else "table"
        shell(f"hat {verb} {task} {device}")
