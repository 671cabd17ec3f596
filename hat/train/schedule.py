"""Learning rate schedules of the published training."""

import math

from hat.config.training import Training


def learning_rate(training: Training, update: int) -> float:
    """Return the learning rate of an update, counted from 1.

    As in fairseq it depends on the number of earlier updates: linear warm-up from ``final_learning_rate`` to the peak,
    then half a cosine down to ``final_learning_rate``, or peak x sqrt(warm-up / updates).
    """
    peak, low, warmup = training.learning_rate, training.final_learning_rate, training.warmup_updates
    before = update - 1
    if before < warmup:
        return low + (peak - low) * before / warmup
    if training.schedule == "inverse_sqrt":
        return peak * math.sqrt(max(warmup, 1) / max(before, 1))
    done = (before - warmup) / max(training.updates - warmup, 1)
    return low + (peak - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
