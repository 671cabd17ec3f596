"""Which Architectures are measured, and in which order, so that the first of them tell the most."""

import random
from typing import Literal

import numpy as np

from hat.config.networks import Network
from hat.latency.predictor.features import Vector, features
from hat.measure.workload import Workload
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape

Choice = Literal["designed", "random"]
# How an Architecture came to be measured; only random ones are like those that a search asks about.
EXTREME, RANDOM, DESIGNED = "extreme", "random", "designed"
# A space of at most so many times the wanted Architectures is walked through instead of drawn from.
FEW = 4
# Architectures that the designed ones are chosen among, and how many of those are chosen before only chance does.
POOL, MOST_DESIGNED = 1000, 100
# Variance of costs before anything is measured, in units of their shares.
PRIOR = 1e3


def draw_architectures(
    space: SearchSpace, count: int, seed: int, choice: Choice = "designed"
) -> dict[Architecture, str]:
    """Different Architectures to measure, in the order of measuring; all of a space that has no more than ``count``.

    The largest and the smallest come first. Then, with ``designed``, a random one and one that is chosen take turns: of
    a pool of random ones that whose predicted latency would be the least certain after measuring those before it (a
    D-optimal design of the linear regression, which does not depend on the latencies). A larger ``count`` with the same
    seed begins with the same Architectures, so that more samples can be added to what is measured already.

    Returns:
        The Architectures, and for each of them ``extreme``, ``random`` or ``designed``.
    """
    rng = random.Random(seed)
    chosen = dict.fromkeys([space.largest, space.smallest][:count], EXTREME)
    if space.size <= FEW * count:
        everything = list(space.enumerate())
        rng.shuffle(everything)
        drawn = iter(everything)
        pool = everything[-POOL:]
    else:
        drawn = iter(lambda: space.sample(rng), None)
        own = random.Random(f"{seed} designed")
        pool = list(dict.fromkeys(space.sample(own) for _ in range(POOL)))
    designed = choice == "designed"
    # The design is the same for all lengths and dictionaries: they only scale features.
    shape = Shape.of(space.space, Network(), 8192, 8192)
    workload = Workload(shape=shape, source_length=30, target_length=30, beam=5)
    design = Design(features(pool, workload)) if designed else None

    def take(architecture: Architecture, origin: str) -> None:
        chosen[architecture] = origin
        if design is not None and len(chosen) < 2 * MOST_DESIGNED:
            design.measured(features([architecture], workload))

    for architecture in chosen:
        take(architecture, EXTREME)
    wanted = min(count, space.size)
    turn = 0
    while len(chosen) < wanted:
        turn += 1
        if design is not None and turn % 2 == 0 and turn < 2 * MOST_DESIGNED:
            number = next((number for number in design.uncertain() if pool[number] not in chosen), None)
            if number is not None:
                take(pool[number], DESIGNED)
        elif (architecture := next(drawn)) not in chosen:
            take(architecture, RANDOM)
    return chosen


class Design:
    """What is uncertain about the costs of features while more and more Architectures are measured.

    Args:
        pool: features of the Architectures to choose among, [P, F].
    """

    def __init__(self, pool: Vector) -> None:
        self._scale = pool.mean(axis=0)
        self._scale[self._scale == 0] = 1.0
        self._pool = self._shares(pool)
        self._covariance = PRIOR * np.eye(pool.shape[1])

    def _shares(self, table: Vector) -> Vector:
        """Features as parts of the latency, were each of them to cost the same on average; errors are relative."""
        scaled = table / self._scale
        return np.asarray(table.shape[1] * scaled / scaled.sum(axis=1, keepdims=True))

    def measured(self, table: Vector) -> None:
        """Take in what will be measured, features [N, F]."""
        for row in self._shares(table):
            image = self._covariance @ row
            self._covariance -= np.outer(image, image) / (1 + row @ image)

    def uncertain(self) -> list[int]:
        """Numbers of the pool, that whose latency is the least certain first."""
        variance = np.einsum("ij,ij->i", self._pool @ self._covariance, self._pool)
        return [int(number) for number in np.argsort(-variance, kind="stable")]
