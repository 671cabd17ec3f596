"""Fitting a predictor: choose a regression by cross-validation, fit it, and bound its errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.latency.predictor.conformal import Bound, CrossBound, NoBound, SplitBound, folds_of
from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.regressions import REGRESSIONS, Regression

Indices = npt.NDArray[np.intp]
CONFIDENCE = 0.95
FOLDS = 10
# With at least this many rows, a part of them serves only the bound, which then holds with the requested probability.
# With fewer rows, all serve the regression too, and the bound comes from cross-validation.
SPLIT_ROWS, SPLIT_PART = 500, 0.2


@dataclass(frozen=True)
class CrossValidated:
    """A regression fitted without each fold in turn; ``predicted`` [N] is NaN for rows in no fold."""

    folds: list[Indices]
    regressions: list[Regression]
    predicted: Vector

    def errors(self, latencies_ms: Vector) -> Vector:
        """Return absolute relative errors of all held-out rows."""
        held = np.concatenate(self.folds)
        return np.abs(self.predicted[held] / latencies_ms[held] - 1)


@dataclass(frozen=True)
class Fitted:
    """A regression, its bound, and the mean relative errors in percent of all regressions compared."""

    regression: Regression
    bound: Bound
    compared: Mapping[str, float]

    def upper_bound(self, rows: Rows) -> Vector:
        """Return bounds in milliseconds, [N], that latencies exceed with probability 1 - confidence."""
        return self.bound.upper(self.regression, rows)


def cross_validate(kind: str, rows: Rows, latencies_ms: Vector, folds: list[Indices], seed: int) -> CrossValidated:
    """Predict the rows of each fold with a regression fitted to all other rows."""
    predicted = np.full(len(rows), np.nan)
    regressions = []
    for fold in folds:
        kept = np.setdiff1d(np.arange(len(rows)), fold)
        regression = REGRESSIONS[kind].fit(rows.take(kept), latencies_ms[kept], seed)
        predicted[fold] = regression.predict(rows.take(fold))
        regressions.append(regression)
    return CrossValidated(folds, regressions, predicted)


def fit_bounded(
    rows: Rows,
    latencies_ms: Vector,
    *,
    models: Sequence[str] = ("linear",),
    confidence: float = CONFIDENCE,
    seed: int = 0,
    representative: npt.NDArray[np.bool_] | None = None,
) -> Fitted:
    """Choose a regression, fit it and bound its errors.

    A regression replaces a simpler one if its mean relative error in cross-validation is lower by more than one
    standard error of the difference.

    Args:
        rows: features of the measured networks.
        latencies_ms: their latencies, positive, [N].
        models: kinds of regressions to choose from; those that need more rows are left out.
        confidence: probability that a latency is within the bound.
        seed: seed of folds and regressions.
        representative: which rows were drawn at random, [N]. Only these are held out, because errors on Architectures
            chosen for being unusual are not typical. All rows if None or fewer than two.
    """
    everything = np.arange(len(rows))
    held = everything if representative is None or representative.sum() < 2 else everything[representative]
    kept_aside = np.empty(0, dtype=np.intp)
    if len(held) >= SPLIT_ROWS:
        order = np.random.default_rng(seed).permutation(held)
        count = round(SPLIT_PART * len(order))
        kept_aside, held = np.sort(order[:count]), np.sort(order[count:])
    used = np.setdiff1d(everything, kept_aside)
    table, latencies = rows.take(used), latencies_ms[used]
    folds = folds_of(np.flatnonzero(np.isin(used, held)), FOLDS, seed) if len(used) > 1 else []
    kind, compared, validated = _choose(table, latencies, folds, models, seed)
    regression = REGRESSIONS[kind].fit(table, latencies, seed)
    shown = {name: 100 * float(errors.mean()) for name, errors in compared.items()}
    if len(kept_aside):
        ratios = np.sort(latencies_ms[kept_aside] / regression.predict(rows.take(kept_aside)))
        return Fitted(regression, SplitBound(tuple(ratios.tolist()), confidence), shown)
    if validated is None:
        return Fitted(regression, NoBound(confidence), shown)
    of_folds = tuple(
        (fold_regression, latencies[fold] / validated.predicted[fold])
        for fold_regression, fold in zip(validated.regressions, folds, strict=True)
    )
    return Fitted(regression, CrossBound(of_folds, confidence), shown)


def _choose(
    rows: Rows, latencies_ms: Vector, folds: list[Indices], models: Sequence[str], seed: int
) -> tuple[str, dict[str, Any], CrossValidated | None]:
    """Return the best kind, the errors of all kinds compared, and the cross-validation of the best."""
    if not folds:
        return next(iter(REGRESSIONS)), {}, None
    fewest = len(rows) - max(map(len, folds))
    able = [kind for kind in REGRESSIONS if kind in models and REGRESSIONS[kind].fewest_rows <= fewest]
    errors: dict[str, Any] = {}
    best, validated = "", None
    for kind in able or [next(iter(REGRESSIONS))]:
        found = cross_validate(kind, rows, latencies_ms, folds, seed)
        errors[kind] = found.errors(latencies_ms)
        if validated is not None:
            gain = errors[best] - errors[kind]
            if gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)):
                continue
        best, validated = kind, found
    return best, errors, validated
