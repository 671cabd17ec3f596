"""A latency predictor, corrected by later measurements."""

from collections.abc import Sequence

from hat.search.problem import Predictor, Vector
from hat.space.architecture import Architecture


class Corrected:
    """A predictor whose latencies are multiplied by a factor.

    Args:
        predictor: predictor of the device's latencies.
        factor: measured latency divided by predicted latency.
    """

    def __init__(self, predictor: Predictor, factor: float) -> None:
        self.predictor = predictor
        self.factor = factor

    def predict(self, architectures: Sequence[Architecture]) -> Vector:
        """Predict latencies in milliseconds."""
        return self.predictor.predict(architectures) * self.factor

    def upper_bound(self, architectures: Sequence[Architecture]) -> Vector:
        """Return upper bounds of latencies in milliseconds."""
        return self.predictor.upper_bound(architectures) * self.factor
