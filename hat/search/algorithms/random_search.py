"""Random search, the baseline of all other algorithms."""

import random
from collections.abc import Sequence

from hat.config.search import Search
from hat.search.algorithms.feasible import draw_feasible
from hat.search.algorithms.genetic import SAMPLED
from hat.search.problem import Candidate, Problem, Proposal
from hat.space.architecture import Architecture

BATCH = 25


class RandomSearch:
    """Random search over different Architectures within the budget.

    Args:
        problem: space and budget.
        settings: settings of the search; ``evaluations`` is the number of Architectures to draw.
        seed: seed of the draws.
    """

    def __init__(self, problem: Problem, settings: Search, seed: int) -> None:
        self.problem = problem
        self.planned = settings.evaluations
        self._rng = random.Random(seed)
        self._proposed: set[Architecture] = set()

    def ask(self) -> list[Proposal]:
        """Return the next Architectures; empty when all are drawn."""
        wanted = min(BATCH, self.planned - len(self._proposed))
        drawn = draw_feasible(self.problem, wanted, self._proposed, self._rng) if wanted else []
        self._proposed.update(drawn)
        return [Proposal(architecture, SAMPLED) for architecture in drawn]

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Ignore the results."""
