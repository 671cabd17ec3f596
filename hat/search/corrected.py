"""A latency predictor, corrected by what was measured since."""

from collections.abc import Sequence

from hat.search.problem import Predictor, Vector
from hat.space.architecture import Architecture


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
