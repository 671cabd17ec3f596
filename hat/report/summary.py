"""The summary of a task on a device: a table and sentences, printed, and written as CSV, Markdown and JSON."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hat.artifacts.files import provenance
from hat.config.scope import DeviceScope
from hat.data.significance import verdict
from hat.report.advice import doubts, examples, recommendation, recommended
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
from hat.report.rows import Row, significance, summary_rows
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


# A loss this much lower divides the perplexity by 1.6.
FAR_NATS = 0.5
LABELS = {"validation_loss": "validation loss", "bleu": "BLEU"}


def write_summary(scope: DeviceScope, budgets: Sequence[str]) -> dict[str, Any]:
    """Write results/tables/TASK-DEVICE.{csv,md,json}.

    Args:
        scope: the task and the device.
        budgets: budgets to show; if empty, the workflow's, or else all that are finished.

    Returns:
        The content of the JSON file: ``task``, ``device``, ``rows``, ``comparisons``, ``recommendation``, ``doubts``,
        ``examples``, ``significance``, ``provenance``.

    Raises:
        InputError: an artifact is missing.
    """
    rows = without_empty(summary_rows(scope, budgets))
    names = [row["budget"] for row in rows]
    tested = significance(scope, names)
    summary: dict[str, Any] = {
        "task": scope.task,
        "device": scope.device,
        "rows": rows,
        "comparisons": comparisons(rows) + differences(rows, tested),
        "recommendation": recommendation(rows, tested),
        "doubts": doubts(scope, rows),
        "examples": examples(scope, rows),
        "significance": tested,
        "provenance": provenance(seed=None, settings={"budgets": names}),
    }
    below = [LEGEND, "", *(f"- {sentence}" for sentence in summary["comparisons"]), ""]
    below += [summary["recommendation"], ""]
    if summary["doubts"]:
        below += ["Figures to doubt:", "", *(f"- {sentence}" for sentence in summary["doubts"]), ""]
    for example in summary["examples"]:
        below += [f"> {example['source']}", ">", *(f"> - {name}: {line}" for name, line in _translations(example)), ""]
    below += [f"{rows[0]['sentences']} test sentences, `{rows[0]['bleu_signature']}`, `{rows[0]['chrf_signature']}`."]
    page = markdown(f"{scope.task} on {scope.device}", COLUMNS, rows, below)
    write_document(scope.results.tables / f"{scope.task}-{scope.device}", summary, page)
    return summary


def comparisons(rows: Sequence[Row]) -> list[str]:
    """Return sentences about whether the models have learnt, and whether larger budgets are better."""
    sentences = []
    found = [row for row in rows if row["budget_ms"] is not None]
    for row in rows:
        loss = row["validation_loss"]
        others = [(row[name], name.removesuffix("_loss")) for name in ("untrained_loss", "unigram_loss")]
        if row["inherited_loss"] is not None:
            others.append((row["inherited_loss"], "with the SuperTransformer's weights"))
        verdict = _verdict(min(other for other, _ in others[:2]) - loss)
        shown = "; ".join(f"{name} {other:.2f} ({other - loss:+.2f})" for other, name in others)
        sentences.append(f"{row['budget']}: {verdict}: validation loss {loss:.2f} nats a token; {shown}.")
    if len(found) > 1:
        sentences += [_larger_is_better(found, *quantity) for quantity in (("validation_loss", -1), ("bleu", 1))]
    met = sum(row["within_budget"] for row in found)
    sentences.append(f"{met} of {len(found)} deployed models were measured within their budget.")
    return sentences


def _verdict(margin: float) -> str:
    """Say what a loss ``margin`` nats per token below the better of an untrained and a unigram model means."""
    if margin >= FAR_NATS:
        return "has learnt"
    return "has hardly learnt" if margin > 0 else "has NOT learnt"


def _larger_is_better(rows: Sequence[Row], name: str, sign: int) -> str:
    values = [row[name] for row in rows]
    better = all(sign * later > sign * earlier for earlier, later in pairwise(values))
    shown = ", ".join(f"{value:.2f}" for value in values)
    return f"Larger budgets are better by {LABELS[name]}: {'yes' if better else 'NO'} ({shown})."


def differences(rows: Sequence[Row], tested: dict[str, Any]) -> list[str]:
    """Return a sentence per model that says whether it is significantly better than the one before it."""
    pairs = {(pair["first"], pair["second"]): pair for pair in tested["pairs"]}
    names = [row["budget"] for row in rows]
    return [f"{verdict(pairs[pair])}." for pair in pairwise(names) if pair in pairs]


def _translations(example: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the reference of an example and its translations, each with its name."""
    return [("reference", example["reference"]), *example["translations"].items()]


def print_summary(summary: dict[str, Any], scope: DeviceScope) -> None:
    """Print the table, the comparisons, translations, a recommendation, and commands that use the models."""
    columns = with_data(COLUMNS, summary["rows"])
    print_table(f"{summary['task']} on {summary['device']}", list(columns), cells(columns, summary["rows"]))
    print(LEGEND)
    for sentence in summary["comparisons"]:
        print(f"- {sentence}")
    for example in summary["examples"]:
        print(f"\n{example['source']}")
        width = max(map(len, ("reference", *example["translations"])))
        for name, translation in _translations(example):
            print(f"  {name:{width}}  {translation}")
    if summary["examples"]:
        print()
    for sentence in summary["doubts"]:
        print(f"! {sentence}")
    print(summary["recommendation"])
    print("Go on with:")
    best = recommended(summary["rows"], summary["significance"])
    for command in next_steps(scope, summary["rows"], None if best is None else best["budget"]):
        print(f"  {command}")
