"""Held-out errors of a latency predictor, and the part of them that measurement noise explains."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hat.errors import InputError
from hat.latency.predictor.conformal import folds_of
from hat.latency.predictor.features import MeasuredNetwork, Vector, rows_of
from hat.latency.predictor.fitting import CONFIDENCE, fit_bounded
from hat.latency.predictor.learning_curve import learning_curve
from hat.measure.workload import Workload


def kendall_tau(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return Kendall's rank correlation (tau-b), from -1 to 1; 0 if one side is constant."""
    tau = pd.Series(np.asarray(first)).corr(pd.Series(np.asarray(second)), method="kendall")
    return float(tau) if math.isfinite(tau) else 0.0


def held_out_errors(
    workload: Workload,
    architectures: Sequence[MeasuredNetwork],
    frame: pd.DataFrame,
    *,
    held_out: float,
    seed: int,
    precision: str = "fp32",
    models: Sequence[str] = ("linear",),
    confidence: float = CONFIDENCE,
    representative: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Cross-validate the predictor: hold out each part of the dataset in turn, and fit to the other parts.

    The kind of regression is chosen once, from all rows. Each fold fits the regression and its bound to the other
    parts alone.

    Args:
        workload: the workload that was timed.
        architectures: Architectures of the rows of ``frame``.
        frame: the LatencyDataset.
        held_out: share of the representative rows in each part.
        seed: seed of the parts.
        precision: precision of the weights on the device.
        models: kinds of regressions to choose from.
        confidence: confidence of the bound.
        representative: which rows were drawn at random, [N]. Only these are held out; all rows if None or fewer than
            two.

    Returns:
        ``rmse_ms``, ``mape_percent``, ``mape_standard_error_percent``, ``kendall_tau``, and counts of rows; ``model``,
        and the errors of all regressions compared; ``bound``: its method, confidence and guarantee, the share of
        held-out rows within it, and its median factor above predictions; ``learning_curve``; ``noise_floor``: errors of
        a perfect predictor, because measured medians are uncertain (None if the dataset has no intervals); and the
        held-out pairs.

    Raises:
        InputError: the dataset has fewer than two rows.
    """
    if len(frame) < 2:
        raise InputError(f"latency dataset: {len(frame)} rows, expected at least 2 to fit a predictor and to test it")
    rows = rows_of(architectures, workload, precision)
    latency = frame["latency_ms"].to_numpy(dtype=np.float64)
    drawn = np.ones(len(rows), dtype=bool) if representative is None or representative.sum() < 2 else representative
    fitted = fit_bounded(rows, latency, models=models, confidence=confidence, seed=seed, representative=drawn)
    kind = fitted.regression.kind
    predicted, upper = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    tested = np.flatnonzero(drawn)
    parts = folds_of(tested, max(2, round(1 / held_out)), seed)
    for part in parts:
        kept = np.setdiff1d(np.arange(len(rows)), part)
        options: dict[str, Any] = {"models": [kind], "confidence": confidence, "seed": seed}
        found = fit_bounded(rows.take(kept), latency[kept], **options, representative=drawn[kept])
        predicted[part] = found.regression.predict(rows.take(part))
        upper[part] = found.upper_bound(rows.take(part))
    measured, guess = latency[tested], predicted[tested]
    relative = np.abs(guess - measured) / measured
    return {
        "rows": len(rows),
        "train_rows": len(rows) - max(map(len, parts)),
        "held_out_rows": len(tested),
        "rmse_ms": _root_mean_square(guess - measured),
        "mape_percent": 100 * float(np.mean(relative)),
        "mape_standard_error_percent": 100 * float(np.std(relative, ddof=1) / math.sqrt(len(relative))),
        "kendall_tau": kendall_tau(measured, guess),
        "model": kind,
        "compared_mape_percent": dict(fitted.compared),
        "bound": {
            **fitted.bound.description(),
            "coverage": float(np.mean(measured <= upper[tested])),
            "factor": _median_factor(fitted.upper_bound(rows), fitted.regression.predict(rows)),
        },
        "noise_floor": _noise_floor(frame.iloc[tested]),
        "learning_curve": learning_curve(kind, rows, latency, tested, held_out=held_out, seed=seed),
        "held_out": [
            {
                "digest": str(frame["digest"].iloc[row]),
                "measured_ms": float(latency[row]),
                "predicted_ms": float(predicted[row]),
                "upper_bound_ms": float(upper[row]) if math.isfinite(upper[row]) else None,
            }
            for row in tested
        ],
    }


def _median_factor(upper: Vector, predicted: Vector) -> float | None:
    factor = float(np.median(upper / predicted))
    return factor if math.isfinite(factor) else None


def _noise_floor(frame: pd.DataFrame) -> dict[str, float] | None:
    """Return the errors of a perfect predictor, from the samples' confidence intervals, assuming normal medians."""
    names = ("latency_low_ms", "latency_high_ms", "confidence")
    if not set(names) <= set(frame):
        return None
    low, high, confidence = (frame[name].to_numpy(dtype=np.float64) for name in names)
    quantiles = np.array([NormalDist().inv_cdf((1 + min(max(value, 0.5), 0.9999)) / 2) for value in confidence])
    standard_error = (high - low) / 2 / quantiles
    if not np.isfinite(standard_error).all():
        return None
    measured = frame["latency_ms"].to_numpy(dtype=np.float64)
    return {
        "rmse_ms": _root_mean_square(standard_error),
        "mape_percent": 100 * math.sqrt(2 / math.pi) * float(np.mean(standard_error / measured)),
    }


def _root_mean_square(values: Vector) -> float:
    return float(np.sqrt(np.mean(values**2)))
