"""The verbs of search."""

from typing import Annotated

import typer

from hat.cli.context import AsJson, BudgetName, DeviceName, TaskName, budget_scope, device_scope, task_scope
from hat.system.console import print_figures


def search(
    context: typer.Context, task: TaskName, device: DeviceName, budget: BudgetName, as_json: AsJson = False
) -> None:
    """Find the best Architecture within a budget."""
    from hat.artifacts.files import read_json
    from hat.search.stages import search as run

    path = run(budget_scope(context, task, device, budget))
    print_figures(f"Architecture of {task} on {device} for {budget}", read_json(path), as_json=as_json)


def search_random(
    context: typer.Context, task: TaskName, device: DeviceName, budget: BudgetName, as_json: AsJson = False
) -> None:
    """Draw random Architectures as a baseline for a search."""
    from hat.search.objective import named_value
    from hat.search.random_stage import random_search
    from hat.search.tables import read_candidates

    scope = budget_scope(context, task, device, budget)
    path = random_search(scope)
    objective = scope.task_settings.search.objective
    found = read_candidates(path, objective)
    best = named_value(objective, min(candidate.objective_value for candidate in found))
    figures = {"evaluated": len(found), **best}
    print_figures(f"Random search of {task} on {device} for {budget}", figures, as_json=as_json)


def search_front(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Search for all budgets of a device at once."""
    from hat.artifacts.files import read_json
    from hat.search.front_stage import search_front as run

    path = run(device_scope(context, task, device))
    print_figures(f"Search of {task} on {device}", read_json(path), as_json=as_json)


def search_objectives(
    context: typer.Context,
    task: TaskName,
    count: Annotated[int, typer.Option(help="Compare this many Architectures.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Report how well validation loss predicts BLEU."""
    from hat.artifacts.files import read_json
    from hat.search.compare_objectives import compare_objectives

    path = compare_objectives(task_scope(context, task), count)
    print_figures(f"Objectives of {task}", read_json(path), as_json=as_json)
