"""Advice beside the figures: which model to use, which figures to doubt, and sample translations."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from hat.artifacts.files import read_json
from hat.config.scope import DeviceScope
from hat.report.document import interval
from hat.report.rows import Row

# Percent above which an error of a prediction, and a drift, is reported.
LARGE_ERROR = 25.0
LARGE_DRIFT = 15.0
# A model that uses a smaller share of its budget than this gets an explanation.
SMALL_SHARE = 0.75
EXAMPLES = 5
# Fewest and most words of an example, so that it reads at a glance.
FEWEST_WORDS, MOST_WORDS = 4, 14
LATENCY = interval("latency", "_ms", 1)


def recommended(rows: Sequence[Row], tested: Mapping[str, Any]) -> Row | None:
    """Return the fastest model within its budget that is not significantly worse than the best such model.

    Args:
        rows: rows of the summary.
        tested: paired comparisons, as :func:`hat.data.significance.compare` returns them.
    """
    kept = [row for row in rows if row["within_budget"] and row["bleu"] is not None]
    if not kept:
        return None
    best = max(kept, key=lambda row: row["bleu"])
    worse = {
        name
        for pair in tested["pairs"]
        if pair["significant"]
        for name, sign in ((pair["first"], 1), (pair["second"], -1))
        if {pair["first"], pair["second"]} - {name} == {best["budget"]} and sign * pair["difference"] > 0
    }
    return min((row for row in kept if row["budget"] not in worse), key=lambda row: row["latency_ms"])


def recommendation(rows: Sequence[Row], tested: Mapping[str, Any]) -> str:
    """Recommend a model in one sentence."""
    row = recommended(rows, tested)
    if row is None:
        return "No model was measured within its budget: choose a larger budget, or measure again on an idle machine."
    best = max(other["bleu"] for other in rows if other["within_budget"])
    reason = "the best BLEU" if row["bleu"] == best else f"not significantly worse than the best BLEU of {best:.1f}"
    return f"Use {row['budget']}: BLEU {row['bleu']:.1f}, {reason}, in {row['latency_ms']:.1f} ms a sentence."


def doubts(scope: DeviceScope, rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each figure that is doubtful or needs an explanation."""
    found = [sentence for row in rows for sentence in _doubts_about(row)]
    if found:
        found.append(f"`hat latency measure {scope.task} {scope.device} BUDGET` measures a model again.")
    found += [sentence for row in rows for sentence in _unused_budget(row)]
    errors = scope.predictor / "errors.json"
    drift = read_json(errors).get("reference_drift_percent", 0.0) if errors.exists() else 0.0
    if drift > LARGE_DRIFT:
        found.append(
            f"The speed of {scope.device} changed by {drift:.0f} % while latencies were sampled; predictions may be"
            " wrong by that much."
        )
    return found


def _doubts_about(row: Row) -> Iterator[str]:
    """Yield sentences about doubtful measured latencies of a model."""
    name, latency, budget = row["budget"], row["latency_ms"], row["budget_ms"]
    high, predicted = row["latency_high_ms"], row["predicted_latency_ms"]
    measured = LATENCY(row)
    if budget is not None and high is not None and latency <= budget < high:
        yield f"{name}: measured {measured} ms, so it may exceed its budget of {budget:g} ms."
    if predicted is not None and (error := 100 * (latency / predicted - 1)) > LARGE_ERROR:
        yield (
            f"{name}: takes {error:.0f} % more than predicted ({measured} against {predicted:.1f} ms): other processes"
            " may have disturbed the measurement."
        )


def _unused_budget(row: Row) -> Iterator[str]:
    """Explain a model that is much faster than its budget allows."""
    predicted, budget = row["predicted_latency_ms"], row["budget_ms"]
    if predicted is not None and budget is not None and predicted < SMALL_SHARE * budget:
        yield (
            f"{row['budget']}: predicted to use {predicted / budget:.0%} of its budget; no slower network that the"
            " search evaluated had a lower loss."
        )


def examples(scope: DeviceScope, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return test sentences with their reference and the translation of each model.

    Short sentences, spread evenly over the test split, whatever their translations.

    Returns:
        ``source``, ``reference``, and ``translations`` by model; empty if the text or the translations are missing.
    """
    chosen = scope.task_settings
    paths = [scope.data / "raw" / f"test.{language}" for language in chosen.languages]
    folders = {row["budget"]: scope.of(row["budget"]).folder / "hypotheses.txt" for row in rows}
    folders = {name: path for name, path in folders.items() if path.exists()}
    if not folders or not all(path.exists() for path in paths):
        return []
    texts = {name: path.read_text(encoding="utf-8").split("\n") for name, path in folders.items()}
    count = min(len(lines) - 1 for lines in texts.values())
    source, reference = (path.read_text(encoding="utf-8").split("\n")[:count] for path in paths)
    short = [index for index, text in enumerate(source) if FEWEST_WORDS <= len(text.split()) <= MOST_WORDS]
    spread = islice(short[len(short) // (2 * EXAMPLES) :: max(1, len(short) // EXAMPLES)], EXAMPLES)
    return [
        {
            "source": source[index],
            "reference": reference[index],
            "translations": {name: lines[index] for name, lines in texts.items()},
        }
        for index in spread
    ]
