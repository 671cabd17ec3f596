"""The summary table of a task on a device: printed, and written as CSV, Markdown and JSON."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hat.artifacts.files import provenance
from hat.config.scope import DeviceScope
from hat.data.significance import verdict
from hat.report.document import (
    NONE,
    Columns,
    cells,
    interval,
    markdown,
    shown,
    text,
    time,
    with_data,
    without_empty,
    write_document,
)
from hat.report.next_steps import next_steps
from hat.report.rows import significance
from hat.report.summary import Row, comparisons, gather
from hat.system.console import print_table

COLUMNS: Columns = {
    "budget": text("budget"),
    "latency, ms": interval("latency", "_ms", 1),
    "energy, J": lambda row: NONE if row.get("energy_j") is None else f"{row['energy_j']:.3g}",
    "predicted, ms": shown("predicted_latency_ms", 1),
    "within": lambda row: {None: NONE, True: "yes", False: "NO"}[row["within_budget"]],
    "BLEU": shown("bleu", 1),
    "chrF": shown("chrf", 1),
    "loss": shown("validation_loss", 2),
    "inherited": shown("inherited_loss", 2),
    "untrained": shown("untrained_loss", 2),
    "unigram": shown("unigram_loss", 2),
    "parameters, M": shown("params_m", 2),
    "training": time("training_s"),
}
LEGEND = (
    "Latency: median over the sentences of the deployed model on the device, in brackets its 95 % interval. Losses:"
    " validation, nats a token, of the trained model, of the same Architecture with the SuperTransformer's weights,"
    " untrained, and of a unigram model. Parameters: all of the deployed network."
)


def write_summary(scope: DeviceScope, budgets: Sequence[str]) -> dict[str, Any]:
    """Write results/tables/TASK-DEVICE.{csv,md,json}.

    Args:
        scope: the task and the device.
        budgets: those of the table; those that the workflow made where empty.

    Returns:
        The content of the JSON file: ``task``, ``device``, ``rows``, ``comparisons``, ``significance``,
        ``provenance``.

    Raises:
        InputError: an artifact is missing.
    """
    rows = without_empty(gather(scope, budgets))
    tested = significance(
        DeviceScope(scope.settings, scope.results, scope.task, scope.device), [row["budget"] for row in rows]
    )
    made = provenance(seed=None, settings={"budgets": [row["budget"] for row in rows]})
    summary: dict[str, Any] = {
        "task": scope.task,
        "device": scope.device,
        "rows": rows,
        "comparisons": comparisons(rows) + differences(rows, tested),
        "significance": tested,
        "provenance": made,
    }
    below = [LEGEND, "", *(f"- {sentence}" for sentence in summary["comparisons"]), ""]
    below += [f"{rows[0]['sentences']} test sentences, `{rows[0]['bleu_signature']}`, `{rows[0]['chrf_signature']}`."]
    page = markdown(f"{scope.task} on {scope.device}", COLUMNS, rows, below)
    write_document(scope.results.tables / f"{scope.task}-{scope.device}", summary, page)
    return summary


def differences(rows: Sequence[Row], tested: dict[str, Any]) -> list[str]:
    """Say of each model whether it is significantly better than the one before it."""
    pairs = {(pair["first"], pair["second"]): pair for pair in tested["pairs"]}
    names = [row["budget"] for row in rows]
    return [f"{verdict(pairs[pair])}." for pair in pairwise(names) if pair in pairs]


def print_summary(summary: dict[str, Any], scope: DeviceScope) -> None:
    """Print the table, the comparisons, and commands that use the models."""
    columns = with_data(COLUMNS, summary["rows"])
    print_table(f"{summary['task']} on {summary['device']}", list(columns), cells(columns, summary["rows"]))
    print(LEGEND)
    for sentence in summary["comparisons"]:
        print(f"- {sentence}")
    print("Go on with:")
    for command in next_steps(scope, summary["rows"]):
        print(f"  {command}")
