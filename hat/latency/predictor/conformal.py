"""Upper bounds of a predictor, by conformal prediction on ratios of measured to predicted latency.

Latencies span an order of magnitude and their errors are relative, so a bound is a prediction times a factor. No
assumption is made on the noise; what is assumed is that the Architectures asked about are drawn like those held out.
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
    """Which of ``count`` ratios, counted from 1, bounds the next one with this confidence; at most the largest."""
    return min(count, math.ceil(confidence * (count + 1) - 1e-9))


class Bound(Protocol):
    """An upper bound on latencies."""

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """Bounds in milliseconds, [N], never below what ``regression`` predicts."""

    def description(self) -> dict[str, Any]:
        """``method``, ``confidence`` asked for, ``rows`` it rests on, ``guarantee``."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""


@dataclass(frozen=True)
class SplitBound:
    """From rows that the regression was not fitted to (split conformal; Vovk et al., 2005).

    A new latency is within the bound with at least the asked probability, over the draw of the rows and of the
    Architecture, if there are enough rows (19 for 95 %).

    Args:
        ratios: measured / predicted of the rows kept aside, in rising order.
        confidence: the probability.
    """

    ratios: tuple[float, ...]
    confidence: float

    method = "split"

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """Bounds in milliseconds, [N]."""
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
        """JSON-like form."""
        return {"method": self.method, "confidence": self.confidence, "ratios": list(self.ratios)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(map(float, values["ratios"])), float(values["confidence"]))


@dataclass(frozen=True)
class CrossBound:
    """From cross-validation, so that no row is lost to calibration (CV+; Barber et al., 2021, one-sided).

    The bound is the value of the asked rank among what the regression of each fold predicts, times the ratio of each
    row held out from it. With confidence 1 - a and K folds of n rows it holds with probability at least
    1 - 2a - min(2 (1 - 1/K) / (n/K + 1), (1 - K/n) / (K + 1)), whatever the noise and however bad the regression; for
    a regression that one row more or less hardly changes, with 1 - a.

    Args:
        folds: the regression fitted without the rows of each fold, and measured / predicted of those rows.
        confidence: 1 - a.
    """

    folds: tuple[tuple[Regression, Vector], ...]
    confidence: float

    method = "cross"

    @property
    def count(self) -> int:
        """Rows that were held out."""
        return sum(len(ratios) for _, ratios in self.folds)

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """Bounds in milliseconds, [N]."""
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
        """JSON-like form."""
        folds = [{"regression": fold.to_dict(), "ratios": ratios.tolist()} for fold, ratios in self.folds]
        return {"method": self.method, "confidence": self.confidence, "folds": folds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        folds = [
            (regression_from_dict(fold["regression"]), np.asarray(fold["ratios"], dtype=np.float64))
            for fold in values["folds"]
        ]
        return cls(tuple(folds), float(values["confidence"]))


@dataclass(frozen=True)
class NoBound:
    """From a single measurement nothing is known about errors: the bound is infinite."""

    confidence: float

    method = "none"

    def upper(self, regression: Regression, rows: Rows) -> Vector:
        """Infinity for each row."""
        del regression
        return np.full(len(rows), np.inf)

    def description(self) -> dict[str, Any]:
        """See :class:`Bound`."""
        return {"method": self.method, "confidence": self.confidence, "rows": 0, "guarantee": 0.0}

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {"method": self.method, "confidence": self.confidence}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(float(values["confidence"]))


BOUNDS = {bound.method: bound for bound in (SplitBound, CrossBound, NoBound)}


def bound_from_dict(values: Mapping[str, Any]) -> Bound:
    """A bound from its JSON-like form, which names its method."""
    bound: Bound = BOUNDS[values["method"]].from_dict(values)
    return bound


def folds_of(rows: Sequence[int] | npt.NDArray[np.intp], count: int, seed: int) -> list[npt.NDArray[np.intp]]:
    """Random parts of rows, of sizes that differ by one at most; no more parts than rows."""
    order = np.random.default_rng(seed).permutation(np.asarray(rows, dtype=np.intp))
    return [np.sort(part) for part in np.array_split(order, min(count, len(order)))]
