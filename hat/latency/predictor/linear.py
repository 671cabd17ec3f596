"""Robust linear regression: latency as the sum of features times non-negative costs."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from hat.latency.predictor.features import FEATURES, Rows, Vector

# Huber's threshold in robust standard deviations. The usual 1.345 is 95 % efficient for normal noise. Latencies have a
# long slow tail, and on published measurements this lower threshold gives relative errors that are no larger.
HUBER = 0.8
REWEIGHTINGS = 30
# Ridge penalty per row, in units of relative errors; it only decides between features that the rows do not distinguish.
PENALTY = 1e-5


def fit_nonnegative(table: Vector, latencies_ms: Vector) -> Vector:
    """Fit the cost of each feature's unit, by robust non-negative regression on relative errors.

    The function minimises Huber's loss of (predicted - measured) / measured by reweighted non-negative least squares.
    Outliers, such as a sentence disturbed by another process, have little weight, and slow networks count no more than
    fast ones. Because costs are not negative, predictions are positive and grow with every dimension, also outside the
    measured range.

    Args:
        table: features, [N, F], none negative.
        latencies_ms: measured latencies, [N].

    Returns:
        Milliseconds per unit of each feature, [F].
    """
    from sklearn import config_context
    from sklearn.linear_model import LinearRegression

    scale = table.mean(axis=0)
    scale[scale == 0] = 1.0
    relative = table / scale / latencies_ms[:, None] * latencies_ms.mean()
    rows, columns = relative.shape
    design = np.vstack([relative, np.sqrt(PENALTY * rows) * np.eye(columns)])
    target = np.concatenate([np.ones(rows), np.zeros(columns)])
    weights = np.ones(rows)
    solution = np.zeros(columns)
    for _ in range(REWEIGHTINGS):
        model = LinearRegression(fit_intercept=False, positive=True)
        # Validating the arguments would take most of the time of a fit.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            model.fit(design, target, sample_weight=np.concatenate([weights, np.ones(columns)]))
        previous, solution = solution, model.coef_
        if np.allclose(previous, solution, rtol=1e-4, atol=1e-6):
            break
        residuals = np.abs(relative @ solution - 1)
        deviation = np.median(residuals) / 0.6745
        weights = np.minimum(1.0, HUBER * deviation / np.maximum(residuals, 1e-12)) if deviation > 1e-9 else weights
    return np.asarray(solution * latencies_ms.mean() / scale, dtype=np.float64)


class Linear:
    """A regression with latency as the sum of features times their costs.

    Args:
        cost_ms: milliseconds per unit of each of ``FEATURES``.
    """

    kind = "linear"
    fewest_rows = 1

    def __init__(self, cost_ms: Mapping[str, float]) -> None:
        self.cost_ms = {name: float(cost_ms[name]) for name in FEATURES}
        self._vector = np.array(list(self.cost_ms.values()))

    @classmethod
    def fit(cls, rows: Rows, latencies_ms: Vector, seed: int) -> Self:
        """Fit to measurements; ``seed`` is ignored."""
        del seed
        return cls(dict(zip(FEATURES, fit_nonnegative(rows.costs, latencies_ms).tolist(), strict=True)))

    @property
    def linear(self) -> "Linear":
        """Return the regression itself; see :attr:`hat.latency.predictor.regressions.Regression.linear`."""
        return self

    def predict(self, rows: Rows) -> Vector:
        """Return latencies in milliseconds, [N]."""
        latencies: Vector = rows.costs @ self._vector
        return latencies

    def to_dict(self) -> dict[str, Any]:
        """Return the regression as JSON."""
        return {"kind": self.kind, "cost_ms": self.cost_ms}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""
        return cls(values["cost_ms"])
