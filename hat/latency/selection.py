"""Which Architectures are measured, and in which order, so that the first of them tell the most."""

import random
from collections.abc import Sequence
from typing import Literal

import numpy as np

from hat.latency.features import FEATURES, Vector, features
from hat.latency.workload import Workload
from hat.runtime.base import Shape
from hat.space import Architecture, SearchSpace

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
    design = _Design(space, pool) if choice == "designed" else None
    if design is not None:
        design.measured(list(chosen))
    wanted = min(count, space.size)
    for number in range(space.size * FEW * count):
        if len(chosen) >= wanted:
            break
        if design is not None and number % 2 and number < 2 * MOST_DESIGNED:
            found = design.next(chosen)
            if found is not None:
                chosen[found] = DESIGNED
                design.measured([found])
            continue
        found = next(drawn)
        if found not in chosen:
            chosen[found] = RANDOM
            if design is not None and number < 2 * MOST_DESIGNED:
                design.measured([found])
    return chosen


class _Design:
    """What is uncertain about the costs of features while more and more Architectures are measured.

    Args:
        space: the space.
        pool: Architectures to choose among.
    """

    def __init__(self, space: SearchSpace, pool: Sequence[Architecture]) -> None:
        self.pool = list(pool)
        # The design is the same for all lengths and dictionaries: they only scale features.
        shape = Shape(
            source_vocabulary=8192,
            target_vocabulary=8192,
            qkv_dim=space.space.qkv_dim,
            super_encoder_dim=max(space.space.encoder_embed_dim),
            super_decoder_dim=max(space.space.decoder_embed_dim),
            super_encoder_layers=max(space.space.encoder_layers),
            norm="post",
            share_embeddings="all",
            vocab_original_scaling=False,
        )
        self._workload = Workload(shape=shape, source_length=30, target_length=30, beam=5)
        table = features(self.pool, self._workload)
        self._scale = table.mean(axis=0)
        self._table = self._shares(table)
        self._covariance = PRIOR * np.eye(len(FEATURES))

    def _shares(self, table: Vector) -> Vector:
        """Features as parts of the latency, were each of them to cost the same on average; errors are relative."""
        scaled = table / self._scale
        return np.asarray(len(FEATURES) * scaled / scaled.sum(axis=1, keepdims=True))

    def measured(self, architectures: Sequence[Architecture]) -> None:
        """Take in what will be measured."""
        for row in self._shares(features(architectures, self._workload)):
            image = self._covariance @ row
            self._covariance -= np.outer(image, image) / (1 + row @ image)

    def next(self, chosen: dict[Architecture, str]) -> Architecture | None:
        """The Architecture of the pool whose latency is the least certain; None where all are chosen."""
        variance = np.einsum("ij,jk,ik->i", self._table, self._covariance, self._table, optimize=True)
        order = np.argsort(-variance, kind="stable").tolist()
        return next((self.pool[number] for number in order if self.pool[number] not in chosen), None)
