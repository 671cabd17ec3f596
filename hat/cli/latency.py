"""Verbs about the latency predictor: fit it, ask it, draw it."""

import sys
from typing import Annotated

import typer

from hat.cli.context import AsJson, DeviceName, TaskName, device_scope, results_of
from hat.system.console import print_figures, print_json, print_table


def fit(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Fit the predictor and report its held-out errors."""
    from hat.artifacts.files import read_json
    from hat.latency.stages import fit_predictor

    results = results_of(context)
    fit_predictor(device_scope(context, task, device))
    errors = read_json(results.predictor(task, device) / "errors.json")
    print_figures(f"Predictor of {task} on {device}", errors, as_json=as_json)


def possible(context: typer.Context, task: TaskName, device: DeviceName, as_json: AsJson = False) -> None:
    """Show the budgets that can be met, from the predicted range."""
    from hat.latency.budgets import print_range
    from hat.latency.stages import latency_range
    from hat.workflow.dependencies import wanted_budgets

    scope = device_scope(context, task, device)
    found = latency_range(scope)
    if as_json:
        print_json(found)
        return
    chosen = wanted_budgets(scope.settings, task, device, scope.budgets) if scope.budgets.exists() else []
    print_range(f"{task} on {device}", found, chosen)


def predict(
    context: typer.Context,
    task: TaskName,
    device: DeviceName,
    architecture: Annotated[
        str, typer.Argument(metavar="ARCHITECTURE", help="File (JSON, an artifact, or published YAML), or JSON text.")
    ],
    as_json: AsJson = False,
) -> None:
    """Predict an Architecture's latency, component by component."""
    from hat.latency.predictor.whatif import architecture_argument, predict_architecture

    chosen = architecture_argument(architecture)
    found = predict_architecture(device_scope(context, task, device), chosen)
    for sentence in found["outside_space"]:
        print(f"outside the space of {task} on {device}, so an extrapolation: {sentence}", file=sys.stderr)
    if as_json:
        print_json(found)
        return
    title = (
        f"Predicted latency of {task} on {device}: {found['predicted_latency_ms']:.4g} ms,"
        f" at most {found['upper_bound_ms']:.4g} ms ({100 * found['confidence']:g} %)"
    )
    rows = [(part["component"], f"{part['latency_ms']:.3g}", f"{part['percent']:.1f}") for part in found["components"]]
    print_table(title, ("component", "ms", "%"), rows)


def figure(context: typer.Context, task: TaskName, device: DeviceName) -> None:
    """Plot predicted against measured latency, and the learning curve."""
    from hat.report.predictor import draw_accuracy

    for path in draw_accuracy(device_scope(context, task, device)):
        print(path)


def register(family: typer.Typer) -> None:
    """Add these verbs to `hat latency`."""
    family.command("fit")(fit)
    family.command("range")(possible)
    family.command("predict")(predict)
    family.command("figure")(figure)
