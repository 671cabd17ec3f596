"""Which Architectures of the SuperTransformer an update trains."""

import random
from collections.abc import Sequence

from hat.config.training import SuperTraining
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace


class Sampler:
    """The Architectures of an update or of a batch: a function of the settings and its number alone.

    ``uniform`` (HAT, section 3.1) draws one. ``sandwich`` takes the largest, which learns from the text, then the
    smallest and ``sandwich_random`` uniformly drawn ones, which learn from the largest's output distribution (the
    sandwich rule and in-place distillation of Yu and Huang, 2019, arXiv 1903.05134).

    Args:
        space: the space.
        training: settings of the SuperTransformer.
        seed: seed of the run.
    """

    def __init__(self, space: SearchSpace, training: SuperTraining, seed: int) -> None:
        self.space = space
        self.training = training
        self.seed = seed

    def __call__(self, update: int, batch: int) -> Sequence[Architecture]:
        """Architectures that batch ``batch`` of update ``update`` (counted from 1) trains, the teacher first."""
        rng = self._random(update, batch)
        if self.training.sampling == "uniform":
            return [self.space.sample(rng)]
        drawn = [self.space.sample(rng) for _ in range(self.training.sandwich_random)]
        # Also where one is drawn twice, so that all batches and processes train equally many.
        return [self.space.largest, self.space.smallest, *drawn]

    def _random(self, update: int, batch: int) -> random.Random:
        # The research code seeds with the number of updates made before.
        number = update - 1 if self.training.sampling_seed == "none" else f"{self.seed}/{update}"
        if self.training.sample_for == "batch":
            return random.Random(f"{number}/{batch}")
        return random.Random(number)
