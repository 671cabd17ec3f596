"""What verbs read of the options before them; heavy imports stay inside, as in :mod:`hat.cli.app`."""

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hat.artifacts.layout import Results
    from hat.config.settings import Settings

OVERRIDES = "HAT_OVERRIDES"
# Where a verb finds what is noted of its use of the machine.
USAGE = "hat.system.usage"
Budgets = Annotated[
    list[str] | None, typer.Argument(metavar="[BUDGET]...", help="Those that the workflow made by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def settings_of(context: typer.Context) -> "Settings":
    """The configuration, with the overrides of this call."""
    from hat.config.overrides import from_command_line
    from hat.config.settings import Settings

    values, files, folder, _ = context.obj
    return Settings(from_command_line(os.environ.get(OVERRIDES), files, values), folder)


def results_of(context: typer.Context) -> "Results":
    """Where the artifacts are."""
    from hat.artifacts.layout import Results

    return Results(context.obj[3])


def usage_file(log: Path | None, results: Path) -> Path | None:
    """Where what a stage uses is noted, one file for each machine: as its log, below results/usage; None without."""
    if log is None or results / "logs" not in log.parents:
        return None
    from hat.artifacts.layout import Results

    return Results(results).usage / log.relative_to(results / "logs").with_suffix("") / f"{platform.node()}.jsonl"
