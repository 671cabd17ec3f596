"""How wrong a latency predictor is on Architectures it was not fitted to, and how much of that is noise."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hat.errors import InputError
from hat.latency.predictor import LatencyPredictor
from hat.latency.workload import Workload
from hat.space import Architecture

# Interquartile range of a normal distribution of standard deviation 1, and the ratio of the standard errors of
# its median and its mean.
NORMAL_IQR = 1.349
MEDIAN_EFFICIENCY = math.sqrt(math.pi / 2)


def kendall_tau(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Kendall's rank correlation (tau-b), from -1 to 1; 0 where one side is constant."""
    tau = pd.Series(np.asarray(first)).corr(pd.Series(np.asarray(second)), method="kendall")
    return float(tau) if math.isfinite(tau) else 0.0


def held_out_errors(
    workload: Workload, architectures: Sequence[Architecture], frame: pd.DataFrame, *, held_out: float, seed: int
) -> dict[str, Any]:
    """Errors of a predictor fitted to one random part of the dataset, on the other.

    Args:
        workload: what was timed.
        architectures: of the rows of ``frame``.
        frame: the LatencyDataset.
        held_out: part of the rows that is kept aside; at least one row, and one is left to fit to.
        seed: of the split.

    Returns:
        ``rmse_ms``, ``mape_percent``, ``kendall_tau``, the counts of rows, the ``noise_floor`` (the errors that
        a perfect predictor would show, because the measured medians are uncertain themselves), the pairs.

    Raises:
        InputError: fewer than two rows.
    """
    if len(frame) < 2:
        raise InputError(f"latency dataset: {len(frame)} rows, expected at least 2 to fit a predictor and to test it")
    order = list(range(len(frame)))
    random.Random(seed).shuffle(order)
    count = min(max(1, round(held_out * len(order))), len(order) - 1)
    test, train = sorted(order[:count]), sorted(order[count:])
    latency = frame["latency_ms"].to_numpy(dtype=np.float64)
    predictor = LatencyPredictor.fit(workload, [architectures[row] for row in train], latency[train].tolist())
    predicted = predictor.predict([architectures[row] for row in test])
    measured = latency[test]
    relative = (predicted - measured) / measured
    spread = frame["spread_ms"].to_numpy(dtype=np.float64)[test]
    repeats = frame["repeats"].to_numpy(dtype=np.float64)[test]
    standard_error = MEDIAN_EFFICIENCY * spread / NORMAL_IQR / np.sqrt(repeats)
    return {
        "rows": len(order),
        "train_rows": len(train),
        "held_out_rows": len(test),
        "rmse_ms": _root_mean_square(predicted - measured),
        "mape_percent": 100 * float(np.mean(np.abs(relative))),
        "kendall_tau": kendall_tau(measured, predicted),
        "noise_floor": {
            "rmse_ms": _root_mean_square(standard_error),
            "mape_percent": 100 * math.sqrt(2 / math.pi) * float(np.mean(standard_error / measured)),
        },
        "held_out": [
            {"digest": architectures[row].digest, "measured_ms": float(latency[row]), "predicted_ms": float(value)}
            for row, value in zip(test, predicted, strict=True)
        ],
    }


def _root_mean_square(values: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
