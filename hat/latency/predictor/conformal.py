"""Upper bounds of a predictor, by conformal prediction on ratios of measured to predicted latency.

Latencies span an order of magnitude and their errors are relative, so a bound is a prediction times a factor. The
bounds assume nothing about the noise, but that predicted Architectures are drawn like the held-out ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.regressions import Regression, regression_from_dict


def rank_of(count: int, confidence: float) -> int:
    """Return the rank, from 1, of the ratio among ``count`` that bounds a further one; at most the largest."""
    return min(count, math.ceil(confidence * (count + 1) - 1e-9))


class Bound(Protocol):
    """An upper bound on latencies."""

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """Return bounds in milliseconds, [N], never below the prediction of ``regression``."""

    def description(self) -> dict[str, Any]:
        """Return ``method``, requested ``confidence``, number of ``rows`` used, and guaranteed probability."""

    def to_dict(self) -> dict[str, Any]:
        """Return the bound as JSON."""


@dataclass(frozen=True)
class SplitBound:
    """A bound from rows that the regression was not fitted to (split conformal prediction; Vovk et al., 2005).

    A new latency is within the bound with at least the requested probability, over the draw of the rows and of the
    Architecture, if there are enough rows (19 for 95 %).

    Args:
        ratios: measured / predicted latency of the calibration rows, in rising order.
        confidence: the requested probability.
    """

    ratios: tuple[float, ...]
    confidence: float

    method = "split"

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """See :class:`Bound`."""
        return regression.predict(rows) * max(1.0, self.ratios[rank_of(len(self.ratios), self.confidence) - 1])

    def description(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        count = len(self.ratios)
        return {
            "method": self.method,
            "confidence": self.confidence,
            "rows": count,
            "guarantee": min(self.confidence, count / (count + 1)),
        }

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        return {"method": self.method, "confidence": self.confidence, "ratios": list(self.ratios)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""
        return cls(tuple(map(float, values["ratios"])), float(values["confidence"]))


@dataclass(frozen=True)
class CrossBound:
    """A bound from cross-validation, which needs no calibration rows (one-sided CV+; Barber et al., 2021).

    Each fold's regression predicts a new latency; multiplied by the ratio of each row held out from that fold, this
    gives n values. The bound is the value among them with the rank for the confidence. With confidence 1 - a, and K
    folds of n rows, it holds with probability at least 1 - 2a - min(2 (1 - 1/K) / (n/K + 1), (1 - K/n) / (K + 1)), for
    any noise and any regression; and with 1 - a if single rows hardly change the regression.

    Args:
        folds: for each fold, the regression fitted without its rows, and measured / predicted latency of its rows.
        confidence: 1 - a.
    """

    folds: tuple[tuple[Regression, Vector], ...]
    confidence: float

    method = "cross"

    @property
    def count(self) -> int:
        """Return the number of held-out rows."""
        return sum(len(ratios) for _, ratios in self.folds)

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """See :class:`Bound`."""
        values = np.concatenate([fold.predict(rows)[:, None] * ratios[None, :] for fold, ratios in self.folds], axis=1)
        rank = rank_of(self.count, self.confidence) - 1
        return np.maximum(np.partition(values, rank, axis=1)[:, rank], regression.predict(rows))

    def description(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        count, folds = self.count, len(self.folds)
        slack = min(2 * (1 - 1 / folds) / (count / folds + 1), (1 - folds / count) / (folds + 1))
        return {
            "method": self.method,
            "confidence": self.confidence,
            "rows": count,
            "guarantee": max(0.0, 1 - 2 * max(1 - self.confidence, 1 / (count + 1)) - slack),
        }

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        folds = [{"regression": fold.to_dict(), "ratios": ratios.tolist()} for fold, ratios in self.folds]
        return {"method": self.method, "confidence": self.confidence, "folds": folds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""
        folds = [
            (regression_from_dict(fold["regression"]), np.asarray(fold["ratios"], dtype=np.float64))
            for fold in values["folds"]
        ]
        return cls(tuple(folds), float(values["confidence"]))


@dataclass(frozen=True)
class NoBound:
    """An infinite bound, for a single measurement, which shows nothing about errors."""

    confidence: float

    method = "none"

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """See :class:`Bound`."""
        del regression
        return np.full(len(rows), np.inf)

    def description(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        return {"method": self.method, "confidence": self.confidence, "rows": 0, "guarantee": 0.0}

    def to_dict(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        return {"method": self.method, "confidence": self.confidence}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""
        return cls(float(values["confidence"]))


BOUNDS = {bound.method: bound for bound in (SplitBound, CrossBound, NoBound)}


def bound_from_dict(values: Mapping[str, Any]) -> Bound:
    """Read a bound of any method from what ``to_dict`` returned."""
    bound: Bound = BOUNDS[values["method"]].from_dict(values)
    return bound


def folds_of(rows: Sequence[int] | npt.NDArray[np.intp], count: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Split rows at random into ``count`` folds of nearly equal size, at most one for each row."""
    order = np.random.default_rng(seed).permutation(np.asarray(rows, dtype=np.intp))
    return [np.sort(part) for part in np.array_split(order, min(count, len(order)))]
