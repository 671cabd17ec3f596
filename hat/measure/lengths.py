"""The sentence lengths that latency is measured at: the average, a given distribution, or the validation data's."""

from math import fsum

import numpy as np

from hat.config.lengths import LengthPair
from hat.config.scope import TaskScope
from hat.data.binary.indexed import IndexedDataset
from hat.data.stages import binary_prefix
from hat.errors import InputError

# The validation data stand for by so many pairs, each for as many sentences.
PARTS = 5


def measured_lengths(scope: TaskScope) -> tuple[LengthPair, ...]:
    """Pairs of source and target length, rising, each once and with its share of the sentences; shares add up to 1.

    Raises:
        InputError: they are to be those of the validation data, which are not there yet or are empty.
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
    """Validation pairs in parts of equal size by target length, each at its mean; end symbols count.

    Latency is almost linear in both lengths, so the mean of a part stands for it better than its middle.
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
