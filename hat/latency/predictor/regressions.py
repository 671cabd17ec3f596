"""The regressions that a latency predictor can be, simplest first."""

from collections.abc import Mapping
from typing import Any, Protocol, Self

from hat.latency.predictor.boosted import Boosted
from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.linear import Linear
from hat.latency.predictor.mlp import PublishedMLP


class Regression(Protocol):
    """From features to milliseconds."""

    kind: str
    fewest_rows: int

    @property
    def linear(self) -> Linear:
        """The linear regression on the same rows, of which the shares of components are taken."""

    @classmethod
    def fit(cls, rows: Rows, latencies_ms: Vector, seed: int) -> Self:
        """Fit to latencies in milliseconds, [N]."""

    def predict(self, rows: Rows) -> Vector:
        """Latencies in milliseconds, [N]."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""


REGRESSIONS: Mapping[str, type[Regression]] = {
    regression.kind: regression for regression in (Linear, Boosted, PublishedMLP)
}


def regression_from_dict(values: Mapping[str, Any]) -> Regression:
    """A regression from its JSON-like form, which names its kind."""
    return REGRESSIONS[values["kind"]].from_dict(values)
