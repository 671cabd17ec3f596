"""The kinds of regressions of a latency predictor, simplest first."""

from collections.abc import Mapping
from typing import Any, Protocol, Self

from hat.latency.predictor.boosted import Boosted
from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.linear import Linear
from hat.latency.predictor.mlp import PublishedMLP


class Regression(Protocol):
    """A regression from features to milliseconds; ``fewest_rows`` is the least number of rows to fit it to."""

    kind: str
    fewest_rows: int

    @property
    def linear(self) -> Linear:
        """The linear regression on the same rows, which gives the shares of components."""

    @classmethod
    def fit(cls, rows: Rows, latencies_ms: Vector, seed: int) -> Self:
        """Fit to latencies in milliseconds, [N]."""

    def predict(self, rows: Rows) -> Vector:
        """Return latencies in milliseconds, [N]."""

    def to_dict(self) -> dict[str, Any]:
        """Return the regression as JSON."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""


REGRESSIONS: Mapping[str, type[Regression]] = {
    regression.kind: regression for regression in (Linear, Boosted, PublishedMLP)
}


def regression_from_dict(values: Mapping[str, Any]) -> Regression:
    """Read a regression of any kind from what ``to_dict`` returned."""
    return REGRESSIONS[values["kind"]].from_dict(values)
