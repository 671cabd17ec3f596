"""What latencies a space spans on a device, and budgets that differ usefully within them."""

import math
import random
from decimal import Decimal
from typing import Any

import numpy as np

from hat.errors import HatError
from hat.latency.predictor.predictor import LatencyPredictor
from hat.space.architecture import Architecture
from hat.space.moves import extreme
from hat.space.search_space import SearchSpace

# Where budgets lie between the fastest and the slowest Architecture.
LOWEST, HIGHEST = 0.15, 0.9
# A budget is at least this many mean relative errors of the predictor above the fastest Architecture.
ERROR_MARGIN = 3.0
# ... but no further up than this, however bad the predictor.
LOWEST_AT_MOST = 0.4
MOST_DIGITS = 4


def predicted_range(space: SearchSpace, predictor: LatencyPredictor, *, count: int, seed: int) -> dict[str, Any]:
    """Fastest, median and slowest predicted Architecture.

    Args:
        space: the space.
        predictor: of the device.
        count: Architectures drawn; all of a space that has no more.
        seed: of the draws.

    Returns:
        ``fastest``, ``median``, ``slowest``, each with ``architecture``, ``digest``, ``predicted_latency_ms`` (median
        of the drawn ones; the ends are those of the whole space) and ``upper_bound_ms``; ``safe_budgets_ms``, the
        smallest and the largest upper bound of the space; ``sampled``: how many were looked at; ``estimate``: True,
        since nothing here is measured.
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


def _entry(predictor: LatencyPredictor, architecture: Architecture) -> dict[str, Any]:
    return {
        "predicted_latency_ms": float(predictor.predict([architecture])[0]),
        "upper_bound_ms": float(predictor.upper_bound([architecture])[0]),
        "digest": architecture.digest,
        "architecture": architecture.to_dict(),
    }


def spread_budgets(fastest_ms: float, slowest_ms: float, count: int, mape_percent: float) -> list[str]:
    """Budgets between the fastest and the slowest Architecture, evenly spaced, rounded to two digits.

    Args:
        fastest_ms: predicted latency of the fastest Architecture.
        slowest_ms: predicted latency of the slowest one.
        count: how many, at least 2.
        mape_percent: the predictor's error; the lowest budget keeps away from the fastest by a multiple of it.

    Returns:
        Names such as ``41ms``, rising; more digits where two would give equal names.

    Raises:
        HatError: the space spans too little for budgets to differ.
    """
    width = slowest_ms - fastest_ms
    margin = ERROR_MARGIN * mape_percent / 100 * fastest_ms
    lowest = fastest_ms + min(max(LOWEST * width, margin), LOWEST_AT_MOST * width)
    values = np.linspace(lowest, fastest_ms + HIGHEST * width, count).tolist()
    for digits in range(2, MOST_DIGITS + 1):
        # The lowest is rounded up, so that it never falls back towards what cannot be met.
        names = [f"{_rounded(value, digits, up=index == 0)}ms" for index, value in enumerate(values)]
        if len(set(names)) == count:
            return names
    raise HatError(
        f"the predicted latencies of the space, {fastest_ms:.4g} to {slowest_ms:.4g} ms, are too close together for"
        f" {count} different budgets; widen the space or name budgets yourself"
    )


def _rounded(value: float, digits: int, *, up: bool) -> str:
    """``value`` to significant digits as plain decimal text, without an exponent."""
    place = math.floor(math.log10(value)) - digits + 1
    steps = Decimal(value).scaleb(-place)
    whole = steps.to_integral_value(rounding="ROUND_CEILING" if up else "ROUND_HALF_EVEN")
    text = f"{whole.scaleb(place):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
