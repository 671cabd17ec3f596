"""The published genetic search (HAT, section 3.3), without its faults.

The research code evaluates parents again in every generation, lets equal Architectures fill the population,
breeds a last generation that it never scores, and draws without end where a budget cannot be met.
"""

import random
from collections.abc import Sequence

from hat.config.search import Search
from hat.search.algorithms.feasible import breed_feasible, draw_feasible
from hat.search.problem import Candidate, Problem, Proposal
from hat.space.architecture import Architecture

SAMPLED, MUTATION, CROSSOVER = "sampled", "mutation", "crossover"


class GeneticSearch:
    """Keeps the best candidates and breeds from them by mutation and crossover.

    The first generation is drawn at random; each of ``iterations`` further ones consists of mutations of
    random parents and crossovers of random pairs, all new and all within the budget. Where breeding finds no
    new ones, random Architectures take their place; where there are none either, the search is over.

    Args:
        problem: space and budget.
        settings: sizes and probabilities.
        seed: the search is a function of it and of the losses it is told.
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
        """Most evaluations it will ask for."""
        sizes = self.settings
        return sizes.population + sizes.iterations * (sizes.mutations + sizes.crossovers)

    def ask(self) -> list[Proposal]:
        """The next generation; empty after the last, and where nothing new meets the budget."""
        if self._generation > self.settings.iterations:
            return []
        proposals = self._breed() if self._parents else self._draw(self.settings.population)
        self._generation += 1
        return proposals

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Keep the best of the parents and the new candidates as parents."""
        everyone = sorted([*self._parents, *candidates], key=lambda candidate: candidate.rank)
        self._parents = everyone[: self.settings.parents]

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
