"""Learning rates, as the published training sets them."""

import math

from hat.config import Training


def learning_rate(training: Training, update: int) -> float:
    """Learning rate of an update, counted from 1.

    Linear warm-up from ``final_learning_rate`` to the peak; then half a cosine down to
    ``final_learning_rate`` at the last update, or peak x sqrt(warm-up / update).
    """
    peak, low, warmup = training.learning_rate, training.final_learning_rate, training.warmup_updates
    if update <= warmup:
        return low + (peak - low) * update / warmup
    if training.schedule == "inverse_sqrt":
        return peak * math.sqrt(max(warmup, 1) / update)
    done = (update - warmup) / max(training.updates - warmup, 1)
    return low + (peak - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
