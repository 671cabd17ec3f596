"""The latency predictor as a search uses it: with an upper bound, and corrected by what was measured since."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from hat.search.problem import Predictor, Vector
from hat.space import Architecture

# Part of the held-out samples that are no slower than the bound.
COVERED = 0.9


class Corrected:
    """A predictor times a factor.

    Args:
        predictor: of the device.
        factor: measured by predicted latency.
    """

    def __init__(self, predictor: Predictor, factor: float) -> None:
        self.predictor = predictor
        self.factor = factor

    def predict(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds."""
        return self.predictor.predict(architectures) * self.factor

    def upper_bound(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds that are rarely exceeded."""
        return self.predictor.upper_bound(architectures) * self.factor


class HeldOutBound:
    """Gives a predictor that has none an upper bound: as far above as its held-out samples were.

    Args:
        predictor: of the device.
        errors: the predictor's report, ``errors.json``.
    """

    def __init__(self, predictor: Any, errors: Mapping[str, Any]) -> None:
        self._predictor = predictor
        ratios = [pair["measured_ms"] / pair["predicted_ms"] for pair in errors["held_out"]]
        self.factor = max(1.0, float(np.quantile(ratios, COVERED))) if ratios else 1.0

    def predict(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds."""
        return cast(Vector, self._predictor.predict(architectures))

    def upper_bound(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds that are rarely exceeded."""
        return self.predict(architectures) * self.factor


def bounded(predictor: Any, errors: Mapping[str, Any]) -> Predictor:
    """The predictor with its own upper bound, or with that of its held-out samples."""
    return cast(Predictor, predictor) if hasattr(predictor, "upper_bound") else HeldOutBound(predictor, errors)
