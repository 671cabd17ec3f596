"""What was made for each budget of a task on a device, gathered from its artifacts."""

import csv
import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hat.artifacts.files import read_json, read_jsonl
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import BUDGET, budget_ms
from hat.errors import InputError
from hat.workflow.dependencies import wanted_budgets

Row = dict[str, Any]
# A loss this much lower is far below; it divides the perplexity by 1.6.
FAR_NATS = 0.5
LABELS = {"validation_loss": "validation loss", "bleu": "BLEU"}
MEASURED = ("latency.json", "score.json")
NEEDED = ("architecture.json", *MEASURED)


def shown_budgets(scope: DeviceScope, named: Sequence[str]) -> list[str]:
    """The budgets named; else those that the workflow made; else all that have been scored and measured.

    Raises:
        InputError: there is none.
    """
    if named:
        return sorted(set(named), key=budget_ms)
    if (chosen := scope.budgets).exists():
        return wanted_budgets(scope.settings, scope.task, scope.device, chosen)
    folder = scope.device_folder
    found = [path.name for path in folder.glob("*/") if BUDGET.match(path.name)]
    made = [name for name in found if all((folder / name / file).exists() for file in NEEDED)]
    if not made:
        raise InputError(f"{folder}: no budget has been scored and measured there yet; run snakemake first")
    return sorted(made, key=budget_ms)


def gather(scope: DeviceScope, budgets: Sequence[str]) -> list[Row]:
    """One row for each budget, from the smallest to the largest, then one for each baseline that was scored there.

    A baseline has no budget, no prediction and nothing inherited; these are None in its row.

    Raises:
        InputError: an artifact is missing.
    """
    scope.check()
    shown = shown_budgets(scope, budgets)
    rows = [_row(scope.of(budget)) for budget in shown]
    for baseline in scope.settings.baselines:
        folder = scope.of(baseline).folder
        if all((folder / name).exists() for name in MEASURED):
            rows.append(_row(scope.of(baseline), baseline=True))
    return rows


def _row(scope: BudgetScope, *, baseline: bool = False) -> Row:
    folder = scope.folder
    latency, score = (read_json(folder / name) for name in MEASURED)
    return {
        "budget": scope.budget,
        "budget_ms": None if baseline else budget_ms(scope.budget),
        "latency_ms": latency["latency_ms"],
        "latency_low_ms": latency.get("latency_low_ms"),
        "latency_high_ms": latency.get("latency_high_ms"),
        "spread_ms": latency["spread_ms"],
        "energy_j": latency.get("energy_j"),
        "predicted_latency_ms": latency.get("predicted_latency_ms"),
        "within_budget": latency.get("within_budget"),
        "bleu": score["bleu"],
        "chrf": score["chrf"],
        "validation_loss": score["validation_loss"],
        "inherited_loss": score.get("inherited_loss"),
        "untrained_loss": score["untrained_loss"],
        "unigram_loss": score["unigram_loss"],
        "params_m": score["parameters"] / 1e6,
        "training_s": training_seconds(scope.trained / "metrics.jsonl"),
        "sentences": score["sentences"],
        "bleu_signature": score["bleu_signature"],
        "chrf_signature": score["chrf_signature"],
    }


def training_seconds(metrics: Path) -> float:
    """Time that the updates took, of all runs where training was interrupted; validation left out."""
    rows = [row for row in read_jsonl(metrics) if row["event"] == "train"]
    return float(sum(row["tokens"] / row["tokens_per_s"] for row in rows))


def comparisons(rows: Sequence[Row]) -> list[str]:
    """Sentences that say whether the models learnt, and whether larger budgets are better."""
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
    """What it means to be ``margin`` nats a token below the better of an untrained and a unigram model."""
    if margin >= FAR_NATS:
        return "has learnt"
    return "has hardly learnt" if margin > 0 else "has NOT learnt"


def _larger_is_better(rows: Sequence[Row], name: str, sign: int) -> str:
    values = [row[name] for row in rows]
    better = all(sign * later > sign * earlier for earlier, later in pairwise(values))
    shown = ", ".join(f"{value:.2f}" for value in values)
    return f"Larger budgets are better by {LABELS[name]}: {'yes' if better else 'NO'} ({shown})."


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV text, the first one names the columns."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
