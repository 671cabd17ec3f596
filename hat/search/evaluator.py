"""Evaluate Architectures block by block, through the cache and with successive halving.

The validation subset is split into blocks in a fixed random order. A candidate is evaluated on the first ninth of the
blocks, on the first third, then on all, and each time compared with an incumbent on the same sentences. A candidate
that is significantly worse stops there, and its loss is an estimate.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from hat.search.evaluations import Blocks, Evaluations
from hat.space.architecture import Architecture

# Fractions of the blocks after which a candidate is compared.
RUNGS = (1 / 9, 1 / 3)
# Fewer blocks give no useful estimate of their variance.
FEWEST_BLOCKS = 4
# Chance that a candidate as good as its incumbent is stopped at a comparison (one-sided, Student's t).
RISK = 0.01

Request = tuple[Architecture, int, int]
Sums = tuple[Sequence[float], Sequence[float]]


class Losses(Protocol):
    """Computes evaluations: :class:`hat.train.inherited_loss.InheritedLoss`, here or in worker processes."""

    @property
    def blocks(self) -> int:
        """Number of blocks of the validation subset."""

    def sums(self, requests: Sequence[Request]) -> Iterator[Sums]:
        """Yield NLL (nats) and target tokens of blocks ``first`` to ``last`` - 1 of each request, in order."""


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of an Architecture.

    Attributes:
        loss: nats a token.
        error: half-width of its interval; 0 if ``whole``.
        whole: the whole subset was evaluated.
        tokens: validation tokens evaluated.
    """

    loss: float
    error: float
    whole: bool
    tokens: float


class Evaluator:
    """Evaluates through the cache.

    Args:
        evaluations: the cache.
        losses: computes missing evaluations.
    """

    def __init__(self, evaluations: Evaluations, losses: Losses) -> None:
        self.evaluations = evaluations
        self.losses = losses

    @property
    def rungs(self) -> list[int]:
        """Numbers of blocks at which candidates are compared; the last is all blocks."""
        whole = self.losses.blocks
        parts = sorted({math.ceil(part * whole) for part in RUNGS})
        return [blocks for blocks in parts if FEWEST_BLOCKS <= blocks < whole] + [whole]

    def known(self, architectures: Sequence[Architecture], blocks: int) -> list[Blocks]:
        """Return the first blocks of Architectures, and evaluate missing ones."""
        self.evaluations.refresh()
        borders = [0, *self.rungs]
        # Always in the same pieces: other batches would change the last digits of a sum.
        missing = [
            (point, first, last)
            for point in dict.fromkeys(architectures)
            for first, last in pairwise(borders)
            if len(self.evaluations.get(point)) <= first < blocks
        ]
        if missing:
            for (point, first, _), (nll, tokens) in zip(missing, self.losses.sums(missing), strict=True):
                self.evaluations.add(point, first, nll, tokens)
        whole = [self.evaluations.get(point) for point in architectures]
        return [Blocks(known.nll[:blocks], known.tokens[:blocks]) for known in whole]

    def evaluate(
        self, architectures: Sequence[Architecture], incumbents: Sequence[Architecture | None]
    ) -> list[Evaluated]:
        """Evaluate Architectures; stop those early that are clearly worse than their incumbent.

        Args:
            architectures: those to evaluate.
            incumbents: the Architecture to compare each with; None for one that must not stop early.
        """
        # Already known, unless the cache was deleted in between.
        self.known([incumbent for incumbent in incumbents if incumbent is not None], self.losses.blocks)
        result: dict[int, Evaluated] = {}
        left = list(range(len(architectures)))
        for blocks in self.rungs:
            found = self.known([architectures[index] for index in left], blocks)
            going = []
            for index, own in zip(left, found, strict=True):
                incumbent = incumbents[index]
                if blocks == self.losses.blocks:
                    result[index] = Evaluated(own.loss(), 0.0, True, math.fsum(own.tokens))
                elif incumbent is not None and (stopped := compare(own, self.evaluations.get(incumbent))) is not None:
                    result[index] = stopped
                else:
                    going.append(index)
            left = going
        return [result[index] for index in range(len(architectures))]


def compare(own: Blocks, incumbent: Blocks) -> Evaluated | None:
    """Compare a candidate with its incumbent on the same blocks.

    The first blocks are a simple random sample of all blocks, so the mean difference per token has the variance of a
    ratio estimator with finite population correction (Cochran, Sampling Techniques, 1977, section 6.3).

    Args:
        own: the candidate on the first blocks.
        incumbent: the incumbent on all blocks.

    Returns:
        An estimate, the incumbent's loss plus the difference, if the candidate is worse; None if it may be as good.
    """
    from scipy.stats import t

    count, whole = len(own), len(incumbent)
    tokens = np.array(own.tokens)
    difference = np.array(own.nll) - np.array(incumbent.nll[:count])
    mean = difference.sum() / tokens.sum()
    residual = difference - mean * tokens
    variance = count / (count - 1) * (residual**2).sum() / tokens.sum() ** 2 * (1 - count / whole)
    error = float(t.ppf(1 - RISK, count - 1)) * math.sqrt(variance)
    if mean <= error:
        return None
    return Evaluated(incumbent.loss() + float(mean), error, False, float(tokens.sum()))
