"""Searches without a SuperTransformer: a synthetic loss of Architectures, and a search problem with it."""

import random
from collections import Counter

from toy_device import TrueLatency

from hat.search.evaluations import Evaluations
from hat.search.evaluator import Evaluator
from hat.search.problem import Problem
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace


def loss(architecture: Architecture) -> float:
    """Return a loss that falls with every width and depth, with diminishing returns and a fixed ripple."""
    size = sum(architecture.decoder_ffn_dim) + 2 * architecture.encoder_embed_dim + architecture.decoder_embed_dim
    ripple = random.Random(architecture.digest).uniform(0, 0.02)
    return 8.0 / (1 + size / 100) ** 0.3 + ripple + 0.01 * sum(architecture.decoder_cross_span)


class Counting:
    """Computes losses and counts evaluations; raises KeyboardInterrupt at evaluation ``stop_at``.

    With several blocks, the mean loss of each block scatters around the loss of the Architecture, and the mean over
    all blocks equals it.
    """

    def __init__(self, stop_at=None, value=loss, blocks=1):
        self.calls = Counter()
        self.tokens = 0.0
        self.stop_at = stop_at
        self.value = value
        self.blocks = blocks

    def sums(self, requests):
        for architecture, first, last in requests:
            if self.stop_at is not None and self.calls.total() >= self.stop_at:
                raise KeyboardInterrupt
            if first == 0:
                self.calls[architecture] += 1
            value = self.value(architecture)
            tokens = [1.0] if self.blocks == 1 else [8.0 + block % 5 for block in range(self.blocks)]
            # Most of the scatter is common to all networks, because a block has the same sentences for each.
            common = [random.Random(block).gauss(0, 1.0) for block in range(self.blocks)]
            rng = random.Random(architecture.digest)
            own = [rng.gauss(0, 0.01) for _ in range(self.blocks)]
            scatter = [0.0] if self.blocks == 1 else [one + other for one, other in zip(common, own, strict=True)]
            mean = sum(size * part for size, part in zip(tokens, scatter, strict=True)) / sum(tokens)
            nll = [size * (value + part - mean) for size, part in zip(tokens, scatter, strict=True)]
            self.tokens += sum(tokens[first:last])
            yield nll[first:last], tokens[first:last]


def problem_of(folder, space, budgets_ms, losses, context="weights", *, predictor=None, **options) -> Problem:
    budgets = [budgets_ms] if isinstance(budgets_ms, float) else budgets_ms
    return Problem(
        space=SearchSpace(space),
        predictor=predictor or TrueLatency(),
        budgets_ms=budgets,
        evaluator=Evaluator(Evaluations(folder / "search.jsonl", context), losses),
        name=f"{budgets[0]:g}ms on device 'here'",
        **options,
    )
