"""What Architectures are worth: sums by block, taken from the cache or made, with successive halving.

The validation subset is split into blocks in a fixed random order. A candidate is evaluated on the first ninth of the
blocks, on the first third, then on all, and is compared with a rival on the same sentences each time; where it is
worse by more than chance allows it is stopped there, and its loss is an estimate.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from hat.search.evaluations import Blocks, Evaluations
from hat.space.architecture import Architecture

# A candidate is compared when it has been seen on these parts of the blocks.
RUNGS = (1 / 9, 1 / 3)
# Fewer blocks say too little about their own spread.
FEWEST_BLOCKS = 4
# Chance that a candidate as good as its rival is stopped at a comparison (one-sided, Student's t).
RISK = 0.01

Request = tuple[Architecture, int, int]
Sums = tuple[Sequence[float], Sequence[float]]


class Losses(Protocol):
    """Makes evaluations; :class:`hat.train.inherited_loss.InheritedLoss` and workers of it."""

    @property
    def blocks(self) -> int:
        """Number of blocks of the validation subset."""

    def sums(self, requests: Sequence[Request]) -> Iterator[Sums]:
        """Nll (nats) and target tokens of the blocks ``first`` to ``last`` - 1 of each request, in order."""


@dataclass(frozen=True)
class Judged:
    """What an Architecture is worth.

    ``loss`` is in nats a token; ``error`` the half-width of its interval, 0 where ``whole``, which says that all of the
    subset was used; ``tokens`` are the validation tokens looked at.
    """

    loss: float
    error: float
    whole: bool
    tokens: float


class Evaluator:
    """Evaluates through the cache.

    Args:
        evaluations: the cache.
        losses: what makes those that are missing.
    """

    def __init__(self, evaluations: Evaluations, losses: Losses) -> None:
        self.evaluations = evaluations
        self.losses = losses

    @property
    def rungs(self) -> list[int]:
        """Numbers of blocks at which candidates are compared; the last is all."""
        whole = self.losses.blocks
        parts = sorted({math.ceil(part * whole) for part in RUNGS})
        return [blocks for blocks in parts if FEWEST_BLOCKS <= blocks < whole] + [whole]

    def known(self, architectures: Sequence[Architecture], blocks: int) -> list[Blocks]:
        """The first blocks of Architectures, evaluated where they are not known."""
        self.evaluations.refresh()
        borders = [0, *self.rungs]
        # Piece by piece, also where all are wanted: how sentences are put together touches the last digits of a sum.
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

    def judge(self, architectures: Sequence[Architecture], rivals: Sequence[Architecture | None]) -> list[Judged]:
        """What Architectures are worth; those that are clearly worse than their rival are stopped early.

        Args:
            architectures: those to evaluate.
            rivals: of each, the Architecture that it is compared with; None for one that is not stopped.
        """
        # Known already, unless the cache was deleted since.
        self.known([rival for rival in rivals if rival is not None], self.losses.blocks)
        result: dict[int, Judged] = {}
        left = list(range(len(architectures)))
        for blocks in self.rungs:
            found = self.known([architectures[index] for index in left], blocks)
            going = []
            for index, own in zip(left, found, strict=True):
                rival = rivals[index]
                if blocks == self.losses.blocks:
                    result[index] = Judged(own.loss(), 0.0, True, math.fsum(own.tokens))
                elif rival is not None and (stopped := compare(own, self.evaluations.get(rival))) is not None:
                    result[index] = stopped
                else:
                    going.append(index)
            left = going
        return [result[index] for index in range(len(architectures))]


def compare(own: Blocks, rival: Blocks) -> Judged | None:
    """Stop a candidate that is worse than its rival, by what both lose on the same blocks.

    The blocks are a simple random sample of those of the subset, so the mean difference a token has the variance of a
    ratio estimator with finite population correction (Cochran, Sampling Techniques, 1977, section 6.3).

    Args:
        own: the candidate, on the first blocks.
        rival: on all of them.

    Returns:
        The estimate, the rival's loss plus the difference; None where the candidate may be as good.
    """
    from scipy.stats import t

    count, whole = len(own), len(rival)
    tokens = np.array(own.tokens)
    difference = np.array(own.nll) - np.array(rival.nll[:count])
    mean = difference.sum() / tokens.sum()
    residual = difference - mean * tokens
    variance = count / (count - 1) * (residual**2).sum() / tokens.sum() ** 2 * (1 - count / whole)
    error = float(t.ppf(1 - RISK, count - 1)) * math.sqrt(variance)
    if mean <= error:
        return None
    return Judged(rival.loss() + float(mean), error, False, float(tokens.sum()))
