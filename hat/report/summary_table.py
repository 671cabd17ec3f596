"""The summary table of a task on a device: printed, and written as CSV, Markdown and JSON."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hat.artifacts.files import provenance
from hat.config.scope import DeviceScope
from hat.data.significance import verdict
from hat.report.document import NONE, Columns, cells, markdown, with_data, without_empty, write_document
from hat.report.rows import significance
from hat.report.summary import Row, comparisons, gather
from hat.system.console import print_table

COLUMNS: Columns = {
    "budget": lambda row: str(row["budget"]),
    "measured, ms": lambda row: f"{row['latency_ms']:.1f} ± {row['spread_ms'] / 2:.1f}",
    "energy, J": lambda row: NONE if row.get("energy_j") is None else f"{row['energy_j']:.3g}",
    "predicted, ms": lambda row: NONE if row["predicted_latency_ms"] is None else f"{row['predicted_latency_ms']:.1f}",
    "within": lambda row: {None: NONE, True: "yes", False: "NO"}[row["within_budget"]],
    "BLEU": lambda row: f"{row['bleu']:.1f}",
    "chrF": lambda row: f"{row['chrf']:.1f}",
    "loss": lambda row: f"{row['validation_loss']:.2f}",
    "inherited": lambda row: NONE if row["inherited_loss"] is None else f"{row['inherited_loss']:.2f}",
    "untrained": lambda row: f"{row['untrained_loss']:.2f}",
    "unigram": lambda row: f"{row['unigram_loss']:.2f}",
    "parameters, M": lambda row: f"{row['params_m']:.2f}",
    "training, s": lambda row: f"{row['training_s']:.0f}",
}
LEGEND = (
    "Latency: median of the deployed model's sentences on the device, ± half their interquartile range. Losses:"
    " validation, nats a token, of the trained model, of the same Architecture with the SuperTransformer's weights,"
    " untrained, and of a unigram model."
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
    text = markdown(f"{scope.task} on {scope.device}", COLUMNS, rows, below)
    write_document(scope.results.tables / f"{scope.task}-{scope.device}", summary, text)
    return summary


def differences(rows: Sequence[Row], tested: dict[str, Any]) -> list[str]:
    """Whether each model is better than the one before it, or by chance only."""
    pairs = {(pair["first"], pair["second"]): pair for pair in tested["pairs"]}
    names = [row["budget"] for row in rows]
    return [f"{verdict(pairs[pair])}." for pair in pairwise(names) if pair in pairs]


def print_summary(summary: dict[str, Any]) -> None:
    """Print the table and the comparisons."""
    columns = with_data(COLUMNS, summary["rows"])
    print_table(f"{summary['task']} on {summary['device']}", list(columns), cells(columns, summary["rows"]))
    print(LEGEND)
    for sentence in summary["comparisons"]:
        print(f"- {sentence}")
