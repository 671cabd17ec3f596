"""The choice and order of Architectures to measure, so that the first ones are the most informative."""

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
# Why an Architecture is measured; only random ones are representative of what a search evaluates.
EXTREME, RANDOM, DESIGNED = "extreme", "random", "designed"
# A space with at most this many times the wanted Architectures is enumerated instead of sampled.
FEW = 4
# Size of the pool of candidates for designed Architectures, and the most that are designed.
POOL, MOST_DESIGNED = 1000, 100
# Prior variance of the costs, in units of their shares.
PRIOR = 1e3


def draw_architectures(
    space: SearchSpace, count: int, seed: int, choice: Choice = "designed"
) -> dict[Architecture, str]:
    """Choose different Architectures to measure, in the order of measuring.

    The largest and the smallest come first. With ``designed``, random and designed Architectures then take turns. A
    designed one is the Architecture of a random pool whose predicted latency would be the least certain after
    measuring all earlier ones: a D-optimal design of the linear regression, which does not depend on latencies. A
    larger ``count`` with the same seed begins with the same Architectures, so samples can be added later.

    Returns:
        The Architectures, each with ``extreme``, ``random`` or ``designed``. The whole space if it has no more than
        ``count``.
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
    # Lengths and dictionaries only scale features, so any of them give the same design.
    shape = Shape.of(space.space, Network(), 8192, 8192)
    workload = Workload(shape=shape, source_length=30, target_length=30, beam=5)
    design = Design(features(pool, workload)) if designed else None

    def take(architecture: Architecture, origin: str) -> None:
        chosen[architecture] = origin
        if design is not None and len(chosen) < 2 * MOST_DESIGNED:
            design.add(features([architecture], workload))

    for architecture in chosen:
        take(architecture, EXTREME)
    wanted = min(count, space.size)
    turn = 0
    while len(chosen) < wanted:
        turn += 1
        if design is not None and turn % 2 == 0 and turn < 2 * MOST_DESIGNED:
            index = next((index for index in design.most_uncertain() if pool[index] not in chosen), None)
            if index is not None:
                take(pool[index], DESIGNED)
        elif (architecture := next(drawn)) not in chosen:
            take(architecture, RANDOM)
    return chosen


class Design:
    """The uncertainty of the linear regression's costs after each measured Architecture.

    Args:
        pool: features of the Architectures to choose from, [P, F].
    """

    def __init__(self, pool: Vector) -> None:
        self._scale = pool.mean(axis=0)
        self._scale[self._scale == 0] = 1.0
        self._pool = self._shares(pool)
        self._covariance = PRIOR * np.eye(pool.shape[1])

    def _shares(self, table: Vector) -> Vector:
        """Return features as shares of the latency, as if all cost the same on average, because errors are relative."""
        scaled = table / self._scale
        return np.asarray(table.shape[1] * scaled / scaled.sum(axis=1, keepdims=True))

    def add(self, table: Vector) -> None:
        """Add Architectures that will be measured, by their features, [N, F]."""
        for row in self._shares(table):
            image = self._covariance @ row
            self._covariance -= np.outer(image, image) / (1 + row @ image)

    def most_uncertain(self) -> list[int]:
        """Return indices into the pool, the least certain latency first."""
        variance = np.einsum("ij,ij->i", self._pool @ self._covariance, self._pool)
        return [int(index) for index in np.argsort(-variance, kind="stable")]
