"""Sampling of the Architectures that an update of the SuperTransformer trains."""

import random
from collections.abc import Sequence

from hat.config.training import SuperTraining
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace


class Sampler:
    """Samples the Architectures of an update or batch; a function of the settings and its number alone.

    ``uniform`` (HAT, section 3.1) samples one. ``sandwich`` takes the largest, which learns from the labels, then the
    smallest and ``sandwich_random`` uniformly sampled ones, which learn from the output distribution of the largest
    (sandwich rule and in-place distillation, Yu and Huang, 2019, arXiv 1903.05134).

    Args:
        space: search space.
        training: settings of the SuperTransformer.
        seed: seed of the run.
    """

    def __init__(self, space: SearchSpace, training: SuperTraining, seed: int) -> None:
        self.space = space
        self.training = training
        self.seed = seed

    def __call__(self, update: int, batch: int) -> Sequence[Architecture]:
        """Return the Architectures to train in a batch of an update (counted from 1), in-place teacher first."""
        rng = self._random(update, batch)
        if self.training.sampling == "uniform":
            return [self.space.sample(rng)]
        drawn = [self.space.sample(rng) for _ in range(self.training.sandwich_random)]
        # Duplicates stay, so that all batches and processes train the same number.
        return [self.space.largest, self.space.smallest, *drawn]

    def _random(self, update: int, batch: int) -> random.Random:
        # The research code seeds with the number of earlier updates.
        number = update - 1 if self.training.sampling_seed == "none" else f"{self.seed}/{update}"
        if self.training.sample_for == "batch":
            return random.Random(f"{number}/{batch}")
        return random.Random(number)
