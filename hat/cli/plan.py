"""Verbs about the cost of computing: estimated before a run, and measured after it."""

from typing import Annotated

import typer

from hat.cli.context import OVERRIDES, AsJson, results_of, settings_of
from hat.system.console import print_json


def plan(
    context: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET", help="Snakemake targets; the default target if omitted."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate time, storage and price of Snakemake targets."""
    import json
    import os

    from hat.config.overrides import from_command_line
    from hat.workflow.plan import plan as planned
    from hat.workflow.plan import print_plan

    values, files, _, _ = context.obj
    overrides = from_command_line(os.environ.get(OVERRIDES), files, values)
    # Snakemake passes nested values on as YAML, and JSON is valid YAML.
    options = [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    content = planned(
        settings_of(context), results_of(context), targets or [], ["--config", *options] if options else []
    )
    print_json(content) if as_json else print_plan(content)


def cost(context: typer.Context, as_json: AsJson = False) -> None:
    """Estimate energy, carbon and price of all searches."""
    from hat.report.cost import print_cost, write_cost

    content = write_cost(settings_of(context), results_of(context))
    print_json(content) if as_json else print_cost(content)
