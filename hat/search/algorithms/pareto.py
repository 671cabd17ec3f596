"""Search for the Pareto front of loss and latency: pymoo's NSGA-II (Deb et al., 2002), over categorical choices."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from hat.config.search import Search
from hat.search.algorithms.genetic import SAMPLED
from hat.search.algorithms.start import spread_over_budgets
from hat.search.problem import Candidate, Problem, Proposal
from hat.space.architecture import Architecture
from hat.space.encoding import GeneRows, Genes

START, BRED = "start", "nsga2"
# Size of a generation: this share of all evaluations, between these limits.
GENERATION_PART, FEWEST, MOST = 0.125, 8, 50
# After this many rounds in a row without a new feasible Architecture, the search draws at random.
DRY_ROUNDS = 8
# Most matings of a round; the search then continues with the children it has.
MATINGS = 10
# Loss of Architectures that are not evaluated because they are infeasible; pymoo ranks them by their violation alone.
NEVER = 1e9


class ParetoSearch:
    """NSGA-II over objective value and latency, with uniform crossover and mutation that redraws choices.

    Args:
        problem: space and budgets; Architectures above the largest budget are infeasible.
        settings: settings of the search; ``evaluations`` is the number of Architectures to evaluate.
        seed: seed of all random choices; equal seeds and losses give equal searches.
    """

    def __init__(self, problem: Problem, settings: Search, seed: int) -> None:
        self.problem = problem
        self.planned = settings.evaluations
        self._losses: dict[Architecture, float] = {}
        self._genes = Genes(problem.space)
        size = int(np.clip(round(GENERATION_PART * self.planned), FEWEST, MOST))
        self._rng = random.Random(seed)
        start = spread_over_budgets(problem, min(size, self.planned), (), self._rng)
        self._started = self._dry = False
        self._population: Any = None
        self._points: list[Architecture] = []
        self._algorithm = self._nsga2(start, seed)

    def _nsga2(self, start: Sequence[Architecture], seed: int) -> Any:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.duplicate import DuplicateElimination
        from pymoo.core.mutation import Mutation
        from pymoo.core.problem import Problem as PymooProblem
        from pymoo.core.termination import NoTermination
        from pymoo.operators.crossover.ux import UniformCrossover

        genes, counts, evaluated = self._genes, self._genes.counts, self._losses

        class Redraw(Mutation):  # type: ignore[misc]
            """Redraws each choice with the probability that gives about one change in an Architecture."""

            def _do(self, problem: Any, X: GeneRows, *_: Any, random_state: Any = None, **__: Any) -> GeneRows:
                drawn = np.floor(random_state.random(X.shape) * counts).astype(int)
                changed: GeneRows = np.where(random_state.random(X.shape) < 2 / len(counts), drawn, X)
                return changed

        class Same(DuplicateElimination):  # type: ignore[misc]
            """Drops children that are evaluated already, in the population, or equal to an earlier child."""

            def _do(self, pop: Any, other: Any, is_duplicate: GeneRows) -> GeneRows:
                taken = set() if other is None else {genes.architecture(row) for row in other.get("X")}
                for index, row in enumerate(pop.get("X")):
                    point = genes.architecture(row)
                    is_duplicate[index] |= point in taken or point in evaluated
                    taken.add(point)
                return is_duplicate

        algorithm = NSGA2(
            pop_size=len(start),
            sampling=np.array([genes.row(point) for point in start]),
            crossover=UniformCrossover(),
            mutation=Redraw(),
            eliminate_duplicates=Same(),
        )
        algorithm.mating.n_max_iterations = MATINGS
        pymoo_problem = PymooProblem(n_var=len(counts), n_obj=2, n_ieq_constr=1, xl=0, xu=counts - 1, vtype=int)
        algorithm.setup(pymoo_problem, termination=NoTermination(), seed=seed, verbose=False)
        return algorithm

    def ask(self) -> list[Proposal]:
        """Return the new Architectures of the next generation; empty when all evaluations are used."""
        left = self.planned - len(self._losses)
        if left <= 0:
            return []
        for _ in range(0 if self._dry else DRY_ROUNDS):
            self._population = self._algorithm.ask()
            if self._population is None or not len(self._population):
                # All children are in the population or evaluated already.
                break
            self._points = [self._genes.architecture(row) for row in self._population.get("X")]
            if new := self.problem.feasible(self._points)[:left]:
                origin = BRED if self._started else START
                self._started = True
                return [Proposal(point, origin) for point in new]
            self._tell()
        # Breeding gives nothing new any more: draw the rest at random, and leave the population unchanged.
        self._dry, self._population = True, None
        drawn = spread_over_budgets(self.problem, min(left, FEWEST), self._losses, self._rng)
        return [Proposal(point, SAMPLED) for point in drawn]

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Select the next population."""
        self._losses.update((candidate.architecture, candidate.objective_value) for candidate in candidates)
        if self._population is not None:
            self._tell()

    def _tell(self) -> None:
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        latencies = self.problem.constrained(self._points)
        losses = [self._losses.get(point, NEVER) for point in self._points]
        # Architectures outside a limit, or left without an evaluation, violate the constraint too.
        unknown = np.array([float(point not in self._losses) for point in self._points])
        objectives = np.column_stack([losses, latencies])
        violation = np.maximum(latencies - self.problem.budgets_ms[-1], unknown)[:, None]
        Evaluator().eval(StaticProblem(self._algorithm.problem, F=objectives, G=violation), self._population)
        self._algorithm.tell(infills=self._population)
