"""LatencyPredictor: from an Architecture to milliseconds on one device, with an upper bound and a breakdown."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.latency.predictor.conformal import Bound, bound_from_dict
from hat.latency.predictor.features import WEIGHT_BYTES, Network, Vector, components, rows_of
from hat.latency.predictor.fitting import CONFIDENCE, fit_bounded
from hat.latency.predictor.regressions import Regression, regression_from_dict
from hat.measure.workload import Workload

FORMAT = "latency-predictor-2"


class LatencyPredictor:
    """A regression on what a network makes the device do, and how far to trust it.

    Args:
        workload: lengths, beam and shape that it predicts for.
        regression: from features to milliseconds.
        bound: of its errors.
        precision: of the weights.
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
        architectures: Sequence[Network],
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
            workload: what was timed.
            architectures: the measured Architectures.
            latencies_ms: their latencies, positive.
            precision: of the weights on the device.
            models: kinds of regressions to choose among.
            confidence: probability that a latency is within :meth:`upper_bound`.
            seed: of cross-validation and regressions.
            representative: which measured Architectures were drawn at random, [N]; see
                :func:`hat.latency.predictor.fitting.fit_bounded`.

        Raises:
            InputError: there are no measurements, or one is no positive number.
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

    def predict(self, architectures: Sequence[Network]) -> Vector:
        """Latencies in milliseconds, [len(architectures)]."""
        return self.regression.predict(rows_of(architectures, self.workload, self.precision))

    def upper_bound(self, architectures: Sequence[Network]) -> Vector:
        """Latencies in milliseconds that a measurement exceeds with probability 1 - confidence, [len(architectures)].

        Never below :meth:`predict`. What is guaranteed, ``bound.description()`` says.
        """
        return self.bound.upper(self.regression, rows_of(architectures, self.workload, self.precision))

    def breakdown(self, architecture: Network) -> dict[str, float]:
        """Milliseconds of each component, which add up to the prediction (``math.fsum`` of them is equal to it).

        The shares are those of the linear regression. Where another regression was chosen, its prediction is divided in
        the same shares: it knows nothing of components.
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
        # What rounding left over goes to the largest.
        largest = max(shares, key=lambda name: shares[name])
        shares[largest] = math.fsum([predicted, *(-part for name, part in shares.items() if name != largest)])
        return shares

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form, from which :meth:`from_dict` gives an equal predictor."""
        return {
            "format": FORMAT,
            "workload": self.workload.to_dict(),
            "precision": self.precision,
            "regression": self.regression.to_dict(),
            "bound": self.bound.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: not a predictor of this version; ``where`` names the file.
        """
        try:
            if values["format"] != FORMAT or values["precision"] not in WEIGHT_BYTES:
                raise ValueError(values["format"])
            regression, bound = regression_from_dict(values["regression"]), bound_from_dict(values["bound"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(
                f"{where}: not a latency predictor of this version of hat; delete it to have it fitted anew"
            ) from None
        return cls(Workload.from_dict(values["workload"], where), regression, bound, values["precision"])
