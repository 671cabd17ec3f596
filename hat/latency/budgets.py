"""The range of predicted latencies of a space on a device, and budgets spread over it."""

import math
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from hat.errors import HatError
from hat.latency.predictor.predictor import LatencyPredictor
from hat.space.architecture import Architecture
from hat.space.moves import extreme
from hat.space.search_space import SearchSpace
from hat.system.console import print_table

# Positions of the lowest and highest budget between the fastest (0) and the slowest Architecture (1).
LOWEST, HIGHEST = 0.15, 0.9
# The lowest budget is at least this many mean relative errors of the predictor above the fastest Architecture,
ERROR_MARGIN = 3.0
# but never above this position, even with a bad predictor.
LOWEST_AT_MOST = 0.4
MOST_DIGITS = 4


def predicted_range(space: SearchSpace, predictor: LatencyPredictor, *, count: int, seed: int) -> dict[str, Any]:
    """Find the fastest, the median and the slowest predicted Architecture of a space.

    Args:
        space: the space.
        predictor: the device's predictor.
        count: number of Architectures to draw; a space with no more is enumerated.
        seed: seed of the draws.

    Returns:
        ``fastest`` and ``slowest`` of the whole space and ``median`` of the drawn Architectures, each with
        ``architecture``, ``digest``, ``predicted_latency_ms`` and ``upper_bound_ms``; ``safe_budgets_ms``, the smallest
        and the largest upper bound in the space; ``sampled``, the number of drawn Architectures; ``estimate``, always
        True, because nothing here is measured.
    """
    rng = random.Random(seed)
    drawn = list(space.enumerate()) if space.size <= count else [space.sample(rng) for _ in range(count)]
    latencies = predictor.predict(drawn)
    order = np.argsort(latencies, kind="stable")
    middle = int(order[len(order) // 2])
    ends = [drawn[int(order[0])], drawn[int(order[-1])], space.smallest, space.largest]
    found = {
        "fastest": extreme(space, predictor.predict, ends)[0],
        "median": drawn[middle],
        "slowest": extreme(space, predictor.predict, ends, slowest=True)[0],
    }
    safe = [extreme(space, predictor.upper_bound, ends, slowest=slowest)[1] for slowest in (False, True)]
    return {
        **{name: _entry(predictor, architecture) for name, architecture in found.items()},
        "safe_budgets_ms": safe,
        "sampled": len(drawn),
        "estimate": True,
    }


def print_range(title: str, found: Mapping[str, Any], chosen: Sequence[str]) -> None:
    """Print which budgets can be met, then the Architectures at the ends and in the middle of the range.

    Args:
        title: names of the task and the device.
        found: the result of :func:`predicted_range`.
        chosen: the workflow's budgets; empty if it has not chosen any yet.
    """
    smallest, largest = found["safe_budgets_ms"]
    rows = [
        ["smallest budget that can be met", f"{smallest:.4g} ms"],
        ["budget that even the slowest meets", f"{largest:.4g} ms"],
        ["chosen budgets", ", ".join(chosen) or "none yet; `hat budgets` chooses them"],
    ]
    print_table(f"Budgets of {title}, by predicted latency", ("", ""), rows)
    names = ("fastest", "median", "slowest")
    entries = [found[name] for name in names]
    shown = {
        "predicted, ms": [f"{entry['predicted_latency_ms']:.4g}" for entry in entries],
        "upper bound, ms": [f"{entry['upper_bound_ms']:.4g}" for entry in entries],
    }
    for dimension in entries[0]["architecture"]:
        values = (entry["architecture"][dimension] for entry in entries)
        shown[dimension] = [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
    print_table(f"Architectures, of {found['sampled']:,} drawn", ("", *names), [[name, *shown[name]] for name in shown])


def _entry(predictor: LatencyPredictor, architecture: Architecture) -> dict[str, Any]:
    return {
        "predicted_latency_ms": float(predictor.predict([architecture])[0]),
        "upper_bound_ms": float(predictor.upper_bound([architecture])[0]),
        "digest": architecture.digest,
        "architecture": architecture.to_dict(),
    }


def spread_budgets(fastest_ms: float, slowest_ms: float, count: int, mape_percent: float) -> list[str]:
    """Choose evenly spaced budgets between the fastest and the slowest Architecture, rounded to two digits.

    Args:
        fastest_ms: predicted latency of the fastest Architecture.
        slowest_ms: predicted latency of the slowest Architecture.
        count: number of budgets, at least 2.
        mape_percent: the predictor's error, which sets the least distance between the fastest and the lowest budget.

    Returns:
        Names such as ``41ms``, in rising order; with more digits if two would give equal names.

    Raises:
        HatError: the latencies are too close together for this many budgets.
    """
    width = slowest_ms - fastest_ms
    margin = ERROR_MARGIN * mape_percent / 100 * fastest_ms
    lowest = fastest_ms + min(max(LOWEST * width, margin), LOWEST_AT_MOST * width)
    values = np.linspace(lowest, fastest_ms + HIGHEST * width, count).tolist()
    for digits in range(2, MOST_DIGITS + 1):
        # Round the lowest up, so that it does not come closer to what no Architecture meets.
        names = [f"{_rounded(value, digits, up=index == 0)}ms" for index, value in enumerate(values)]
        if len(set(names)) == count:
            return names
    raise HatError(
        f"the predicted latencies of the space, {fastest_ms:.4g} to {slowest_ms:.4g} ms, are too close together for"
        f" {count} different budgets; widen the space or name budgets yourself"
    )


def _rounded(value: float, digits: int, *, up: bool) -> str:
    """Return ``value`` rounded to significant digits, as decimal text without an exponent."""
    place = math.floor(math.log10(value)) - digits + 1
    steps = Decimal(value).scaleb(-place)
    whole = steps.to_integral_value(rounding="ROUND_CEILING" if up else "ROUND_HALF_EVEN")
    text = f"{whole.scaleb(place):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
