"""LatencyPredictor: the latency of an Architecture on one device, with an upper bound and a breakdown."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.latency.predictor.conformal import Bound, bound_from_dict
from hat.latency.predictor.features import WEIGHT_BYTES, MeasuredNetwork, Vector, components, rows_of
from hat.latency.predictor.fitting import CONFIDENCE, fit_bounded
from hat.latency.predictor.regressions import Regression, regression_from_dict
from hat.measure.workload import Workload

FORMAT = "latency-predictor-2"


class LatencyPredictor:
    """A regression from features of a network to milliseconds, and a bound on its errors.

    Args:
        workload: lengths, beam and shape for which it predicts.
        regression: the regression.
        bound: the bound on its errors.
        precision: precision of the weights.
    """

    def __init__(self, workload: Workload, regression: Regression, bound: Bound, precision: str = "fp32") -> None:
        self.workload = workload
        self.regression = regression
        self.bound = bound
        self.precision = precision

    @classmethod
    def fit(
        cls,
        workload: Workload,
        architectures: Sequence[MeasuredNetwork],
        latencies_ms: Sequence[float],
        *,
        precision: str = "fp32",
        models: Sequence[str] = ("linear",),
        confidence: float = CONFIDENCE,
        seed: int = 0,
        representative: npt.NDArray[np.bool_] | None = None,
    ) -> Self:
        """Fit to measurements.

        Args:
            workload: the workload that was timed.
            architectures: the measured Architectures.
            latencies_ms: their latencies, positive.
            precision: precision of the weights on the device.
            models: kinds of regressions to choose from.
            confidence: probability that a latency is within :meth:`upper_bound`.
            seed: seed of cross-validation and regressions.
            representative: which measured Architectures were drawn at random, [N]; see
                :func:`hat.latency.predictor.fitting.fit_bounded`.

        Raises:
            InputError: there are no measurements, or a latency is not a positive number.
        """
        latencies = np.asarray(latencies_ms, dtype=np.float64)
        if not len(latencies):
            raise InputError("latency predictor: no measurement to fit to, expected at least one")
        if not (np.isfinite(latencies) & (latencies > 0)).all():
            raise InputError(f"latency predictor: a latency is {latencies.min()} ms, expected positive numbers")
        rows = rows_of(architectures, workload, precision)
        options: dict[str, Any] = {"models": models, "confidence": confidence, "seed": seed}
        fitted = fit_bounded(rows, latencies, **options, representative=representative)
        return cls(workload, fitted.regression, fitted.bound, precision)

    def predict(self, architectures: Sequence[MeasuredNetwork]) -> Vector:
        """Return latencies in milliseconds, [len(architectures)]."""
        return self.regression.predict(rows_of(architectures, self.workload, self.precision))

    def upper_bound(self, architectures: Sequence[MeasuredNetwork]) -> Vector:
        """Return bounds in milliseconds that a latency exceeds with probability 1 - confidence, [len(architectures)].

        Bounds are never below :meth:`predict`. ``bound.description()`` has the guaranteed probability.
        """
        return self.bound.upper(self.regression, rows_of(architectures, self.workload, self.precision))

    def breakdown(self, architecture: MeasuredNetwork) -> dict[str, float]:
        """Return milliseconds of each component; their ``math.fsum`` equals the prediction.

        The linear regression gives the shares. The prediction of another regression, which has no components, is
        divided in the same shares.
        """
        cost_ms = self.regression.linear.cost_ms
        parts = {
            name: math.fsum(cost_ms[feature] * amount for feature, amount in amounts.items())
            for name, amounts in components(architecture, self.workload, self.precision)
        }
        predicted, total = float(self.predict([architecture])[0]), math.fsum(parts.values())
        if total <= 0:
            parts, total = dict.fromkeys(parts, 1.0), float(len(parts))
        shares = {name: part * (predicted / total) for name, part in parts.items()}
        # The largest component takes the rounding error.
        largest = max(shares, key=lambda name: shares[name])
        shares[largest] = math.fsum([predicted, *(-part for name, part in shares.items() if name != largest)])
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return the predictor as JSON, from which :meth:`from_dict` reads an equal one."""
        return {
            "format": FORMAT,
            "workload": self.workload.to_dict(),
            "precision": self.precision,
            "regression": self.regression.to_dict(),
            "bound": self.bound.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Self:
        """Read what :meth:`to_dict` returns.

        Raises:
            InputError: the values are not a predictor of this version; ``where`` names the file.
        """
        try:
            if values["format"] != FORMAT or values["precision"] not in WEIGHT_BYTES:
                raise ValueError(values["format"])
            regression, bound = regression_from_dict(values["regression"]), bound_from_dict(values["bound"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(
                f"{where}: not a latency predictor of this version of hat; delete it to fit it again"
            ) from None
        return cls(Workload.from_dict(values["workload"], where), regression, bound, values["precision"])
