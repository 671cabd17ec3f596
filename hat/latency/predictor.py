"""LatencyPredictor: from an Architecture to milliseconds on one device."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.latency.features import FEATURES, features
from hat.latency.workload import Workload
from hat.space import Architecture

Vector = npt.NDArray[np.float64]

KIND = "robust-nonnegative"
# Huber's threshold in robust standard deviations: 95 % efficient where noise is normal.
HUBER = 1.345
REWEIGHTINGS = 30
# Strength of the penalty on coefficients, per row, on relative errors: decides only between features that
# the measured rows do not tell apart.
PENALTY = 1e-5


def fit_nonnegative(table: Vector, latencies_ms: Vector) -> Vector:
    """Cost of each feature's unit, by robust regression on relative errors with costs that are not negative.

    Minimises Huber's loss of (predicted - measured) / measured by reweighted non-negative least squares.
    Outliers (a sentence hit by another process) pull little, slow networks count no more than fast ones, and
    because no cost is negative, predictions are positive and grow with every dimension, also outside the
    measured range.

    Args:
        table: features, [N, F], none negative.
        latencies_ms: measured latencies, [N].

    Returns:
        Milliseconds per unit of each feature, [F].
    """
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
        model.fit(design, target, sample_weight=np.concatenate([weights, np.ones(columns)]))
        previous, solution = solution, model.coef_
        if np.allclose(previous, solution, rtol=1e-9, atol=1e-12):
            break
        residuals = np.abs(relative @ solution - 1)
        deviation = np.median(residuals) / 0.6745
        weights = np.minimum(1.0, HUBER * deviation / np.maximum(residuals, 1e-12)) if deviation > 1e-9 else weights
    return np.asarray(solution * latencies_ms.mean() / scale, dtype=np.float64)


class LatencyPredictor:
    """Latency as a sum of the costs of what a network makes the device do.

    Args:
        workload: lengths, beam and shape that it predicts for.
        cost_ms: milliseconds per unit of each of ``FEATURES``.
    """

    def __init__(self, workload: Workload, cost_ms: Mapping[str, float]) -> None:
        self.workload = workload
        self.cost_ms = {name: float(cost_ms[name]) for name in FEATURES}
        self._vector = np.array(list(self.cost_ms.values()))

    @classmethod
    def fit(cls, workload: Workload, architectures: Sequence[Architecture], latencies_ms: Sequence[float]) -> Self:
        """Fit to measurements.

        Args:
            workload: what was timed.
            architectures: the measured Architectures.
            latencies_ms: their latencies, positive.

        Raises:
            InputError: there are no measurements.
        """
        if not architectures:
            raise InputError("latency predictor: no measurement to fit to, expected at least one")
        cost = fit_nonnegative(features(architectures, workload), np.asarray(latencies_ms, dtype=np.float64))
        return cls(workload, dict(zip(FEATURES, cost.tolist(), strict=True)))

    def predict(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds, [len(architectures)]."""
        latencies: Vector = features(architectures, self.workload) @ self._vector
        return latencies

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form, from which :meth:`from_dict` gives an equal predictor."""
        return {"kind": KIND, "workload": self.workload.to_dict(), "cost_ms": self.cost_ms}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: not a predictor of this version; ``where`` names the file.
        """
        if values.get("kind") != KIND or set(values.get("cost_ms", ())) != set(FEATURES):
            raise InputError(
                f"{where}: not a latency predictor of this version of hat; delete it to have it fitted anew"
            )
        return cls(Workload.from_dict(values["workload"], where), values["cost_ms"])
