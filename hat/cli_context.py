"""What verbs read of the options before them; heavy imports stay inside, as in :mod:`hat.cli`."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hat.layout import Results
    from hat.settings import Settings

OVERRIDES = "HAT_OVERRIDES"
Budgets = Annotated[
    list[str] | None, typer.Argument(metavar="[BUDGET]...", help="Those that the workflow made by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def settings_of(context: typer.Context) -> "Settings":
    """The configuration, with the overrides of this call."""
    from hat.overrides import from_command_line
    from hat.settings import Settings

    values, files, folder, _ = context.obj
    return Settings(from_command_line(os.environ.get(OVERRIDES), files, values), folder)


def results_of(context: typer.Context) -> "Results":
    """Where the artifacts are."""
    from hat.layout import Results

    return Results(context.obj[3])
