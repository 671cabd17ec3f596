"""Access to the options that precede a verb; heavy imports stay inside, as in :mod:`hat.cli.app`."""

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from hat.artifacts.layout import Results
    from hat.config.scope import BudgetScope, DeviceScope, TaskScope
    from hat.config.settings import Settings

OVERRIDES = "HAT_OVERRIDES"
# Key of the record of a verb's resource use in the context.
USAGE = "hat.usage"
# Key of the configuration in the context, once it is read.
SETTINGS = "hat.settings"
Budgets = Annotated[
    list[str] | None, typer.Argument(metavar="BUDGET", help="Budgets; those the workflow chose if omitted.")
]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of a file in config/tasks.")]
DeviceName = Annotated[str, typer.Argument(metavar="DEVICE", help="Name of a file in config/devices.")]
BudgetName = Annotated[str, typer.Argument(metavar="BUDGET", help="Latency budget, such as 150ms or 3.5s.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def settings_of(context: typer.Context) -> "Settings":
    """Return the configuration, with the overrides of this call."""
    if SETTINGS not in context.meta:
        from hat.config.overrides import from_command_line
        from hat.config.settings import Settings

        values, files, folder, _ = context.obj
        context.meta[SETTINGS] = Settings(from_command_line(os.environ.get(OVERRIDES), files, values), folder)
    return cast("Settings", context.meta[SETTINGS])


def results_of(context: typer.Context) -> "Results":
    """Return the paths of artifacts."""
    from hat.artifacts.layout import Results

    return Results(context.obj[3])


def task_scope(context: typer.Context, task: str) -> "TaskScope":
    """Return the scope of a task, with the configuration and results of this call."""
    from hat.config.scope import TaskScope

    return TaskScope(settings_of(context), results_of(context), task)


def device_scope(context: typer.Context, task: str, device: str) -> "DeviceScope":
    """Return the scope of a task on a device, with the configuration and results of this call."""
    return task_scope(context, task).on(device)


def budget_scope(context: typer.Context, task: str, device: str, budget: str) -> "BudgetScope":
    """Return the scope of a budget or baseline, with the configuration and results of this call."""
    return device_scope(context, task, device).of(budget)


def usage_file(log: Path | None, results: Path) -> Path | None:
    """Return the file that records a stage's resource use on this machine; None if the log is not in results/logs."""
    if log is None or results / "logs" not in log.parents:
        return None
    from hat.artifacts.layout import Results

    return Results(results).usage / log.relative_to(results / "logs").with_suffix("") / f"{platform.node()}.jsonl"
