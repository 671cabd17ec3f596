"""Gradient boosting on the residuals of the linear regression, for devices whose costs are not proportional."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.linear import Linear

TREES, DEPTH, RATE, SUBSAMPLE, LEAF = 60, 3, 0.1, 0.7, 5
# The trees correct the linear regression by at most this factor either way.
LARGEST_FACTOR = 2.0


class Boosted:
    """The linear regression times a factor from regression trees on the same features.

    Scikit-learn's gradient boosting (Friedman, 2001) fits the trees with Huber's loss to the logarithm of measured over
    linearly predicted latency. Only split features, thresholds and values are stored.

    Args:
        linear: the regression to correct.
        trees: for each tree, by node: ``left`` and ``right`` child (-1 at a leaf), ``feature``, ``threshold`` and
            ``value`` (times the learning rate).
        start: the constant to which the trees add.
    """

    kind = "boosting"
    fewest_rows = 40

    def __init__(self, linear: Linear, trees: Sequence[Mapping[str, Sequence[float]]], start: float) -> None:
        self.linear = linear
        self.start = start
        self._trees = [
            (
                *(np.asarray(tree[name], dtype=np.intp) for name in ("left", "right", "feature")),
                *(np.asarray(tree[name], dtype=np.float64) for name in ("threshold", "value")),
            )
            for tree in trees
        ]

    @classmethod
    def fit(cls, rows: Rows, latencies_ms: Vector, seed: int) -> Self:
        """Fit to measurements."""
        from sklearn.ensemble import GradientBoostingRegressor

        linear = Linear.fit(rows, latencies_ms, seed)
        model = GradientBoostingRegressor(
            loss="huber",
            n_estimators=TREES,
            max_depth=DEPTH,
            learning_rate=RATE,
            subsample=SUBSAMPLE,
            min_samples_leaf=LEAF,
            random_state=seed,
        )
        model.fit(_inputs(rows), np.log(latencies_ms / linear.predict(rows)))
        trees = [
            {
                "left": tree.tree_.children_left.tolist(),
                "right": tree.tree_.children_right.tolist(),
                "feature": tree.tree_.feature.tolist(),
                "threshold": tree.tree_.threshold.tolist(),
                "value": (RATE * tree.tree_.value[:, 0, 0]).tolist(),
            }
            for tree in model.estimators_[:, 0]
        ]
        return cls(linear, trees, float(model.init_.constant_[0, 0]))

    def predict(self, rows: Rows) -> Vector:
        """Return latencies in milliseconds, [N]."""
        inputs = _inputs(rows)
        indices = np.arange(len(inputs))
        total = np.full(len(inputs), self.start)
        for left, right, feature, threshold, value in self._trees:
            node = np.zeros(len(inputs), dtype=np.intp)
            while (inner := left[node] >= 0).any():
                below = inputs[indices, feature[node]] <= threshold[node]
                node = np.where(inner, np.where(below, left[node], right[node]), node)
            total += value[node]
        factor: Vector = np.exp(np.clip(total, -np.log(LARGEST_FACTOR), np.log(LARGEST_FACTOR)))
        return self.linear.predict(rows) * factor

    def to_dict(self) -> dict[str, Any]:
        """Return the regression as JSON."""
        names = ("left", "right", "feature", "threshold", "value")
        return {
            "kind": self.kind,
            "linear": self.linear.to_dict(),
            "start": self.start,
            "trees": [dict(zip(names, (part.tolist() for part in tree), strict=True)) for tree in self._trees],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returns."""
        return cls(Linear.from_dict(values["linear"]), values["trees"], float(values["start"]))


def _inputs(rows: Rows) -> Vector:
    """Return features with the precision in which scikit-learn's trees compare them."""
    return rows.costs.astype(np.float32).astype(np.float64)
