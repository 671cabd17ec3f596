"""The published genetic search (HAT, section 3.3), without the faults of the research code.

The research code evaluates parents again in every generation, lets equal Architectures fill the population, breeds a
last generation that it never evaluates, and never ends if no Architecture meets the budget.
"""

import random
from collections.abc import Sequence

from hat.config.search import Search
from hat.search.algorithms.feasible import breed_feasible, draw_feasible
from hat.search.problem import Candidate, Problem, Proposal
from hat.space.architecture import Architecture

SAMPLED, MUTATION, CROSSOVER = "sampled", "mutation", "crossover"


class GeneticSearch:
    """Genetic search: keeps the best candidates, and breeds from them by mutation and crossover.

    The first generation is random. Each of the ``iterations`` further generations has mutations of random parents and
    crossovers of random pairs, all new and within the budget. If breeding gives too few, random Architectures fill the
    generation. The search ends early if there are no new Architectures at all.

    Args:
        problem: space and budget.
        settings: sizes and probabilities.
        seed: seed of all random choices; equal seeds and losses give equal searches.
    """

    def __init__(self, problem: Problem, settings: Search, seed: int) -> None:
        self.problem = problem
        self.settings = settings
        self._rng = random.Random(seed)
        self._proposed: set[Architecture] = set()
        self._parents: list[Candidate] = []
        self._generation = 0

    @property
    def planned(self) -> int:
        """Return the largest number of evaluations the search can ask for."""
        sizes = self.settings
        return sizes.population + sizes.iterations * (sizes.mutations + sizes.crossovers)

    def ask(self) -> list[Proposal]:
        """Return the next generation; empty after the last one, or if nothing new meets the budget."""
        if self._generation > self.settings.iterations:
            return []
        proposals = self._breed() if self._parents else self._draw(self.settings.population)
        self._generation += 1
        return proposals

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Select the next parents: the best of the current parents and the new candidates."""
        ranked = sorted([*self._parents, *candidates], key=lambda candidate: candidate.rank)
        self._parents = ranked[: self.settings.parents]

    def _breed(self) -> list[Proposal]:
        parents = [parent.architecture for parent in self._parents]
        rng, space, probability = self._rng, self.problem.space, self.settings.mutation_probability

        def mutate() -> Architecture:
            return space.mutate(rng.choice(parents), probability, rng)

        def cross() -> Architecture:
            first, second = rng.sample(parents, 2)
            return space.crossover(first, second, rng)

        proposals = self._new(breed_feasible(self.problem, self.settings.mutations, self._proposed, mutate), MUTATION)
        if len(parents) > 1:
            proposals += self._new(
                breed_feasible(self.problem, self.settings.crossovers, self._proposed, cross), CROSSOVER
            )
        missing = self.settings.mutations + self.settings.crossovers - len(proposals)
        return proposals + self._draw(missing)

    def _draw(self, count: int) -> list[Proposal]:
        if count == 0:
            return []
        return self._new(draw_feasible(self.problem, count, self._proposed, self._rng), SAMPLED)

    def _new(self, architectures: list[Architecture], origin: str) -> list[Proposal]:
        self._proposed.update(architectures)
        return [Proposal(architecture, origin) for architecture in architectures]
