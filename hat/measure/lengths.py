"""Sentence lengths at which latency is measured: averages, a given distribution, or the lengths of validation data."""

from math import fsum

import numpy as np

from hat.config.lengths import LengthPair
from hat.config.scope import TaskScope
from hat.data.binary.indexed import IndexedDataset
from hat.data.stages import binary_prefix
from hat.errors import InputError

# Number of length pairs that represent the validation data; each represents equally many sentences.
PARTS = 5


def measured_lengths(scope: TaskScope) -> tuple[LengthPair, ...]:
    """Return the pairs of source and target length, sorted and unique, with shares of the sentences that add up to 1.

    Raises:
        InputError: the validation data, whose lengths are configured, are missing or empty.
    """
    chosen = scope.task_settings.latency
    if chosen.lengths == "average":
        return ((chosen.source_length, chosen.target_length, 1.0),)
    pairs = _validation(scope) if chosen.lengths == "validation" else chosen.lengths
    weights: dict[tuple[int, int], float] = {}
    for source, target, weight in pairs:
        weights[source, target] = weights.get((source, target), 0.0) + weight
    total = fsum(weights.values())
    return tuple((source, target, weight / total) for (source, target), weight in sorted(weights.items()))


def _validation(scope: TaskScope) -> list[LengthPair]:
    """Split the validation pairs by target length into parts of equal size, and return the mean lengths of each.

    End symbols count. Latency is almost linear in both lengths, so the mean represents a part better than the median.
    """
    chosen = scope.task_settings
    source, target = (
        IndexedDataset(binary_prefix(scope.data, "validation", chosen, language)).sizes for language in chosen.languages
    )
    if not len(source):
        raise InputError(f"task {scope.task!r}: latency.lengths is 'validation', but its validation split is empty")
    parts = np.array_split(np.lexsort((source, target)), min(PARTS, len(source)))
    return [
        (max(1, round(float(source[part].mean()))), max(1, round(float(target[part].mean()))), float(len(part)))
        for part in parts
    ]
