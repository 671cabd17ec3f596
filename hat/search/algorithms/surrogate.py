"""Search with a surrogate model of the loss, which needs few evaluations (after LINAS, arXiv 2205.10358).

Each round fits a Gaussian process over Architectures to all known losses. Evolution on the model finds the most
promising Architectures under each budget, which are evaluated before the next round.
"""

import random
import warnings
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.config.search import Search
from hat.search.algorithms.start import spread_over_budgets
from hat.search.problem import Candidate, Problem, Proposal
from hat.space.architecture import Architecture
from hat.space.encoding import Encoding
from hat.space.moves import neighbours
from hat.space.search_space import SearchSpace

START, PREDICTED = "start", "surrogate"
# Size of the first round: this share of all evaluations, and at least this many.
START_PART, FEWEST = 0.2, 8
# Size of a later round; with more budgets than this, one Architecture per budget.
BATCH = 4
# Every other round explores: it minimises the mean less this many standard deviations.
OPTIMISM = 2.0
# Evolution on the model: generations, parents under each budget, children of each kind in a generation (for each
# budget, and at least), and probability of mutation.
GENERATIONS, PARENTS = 6, 8
CHILDREN, FEWEST_CHILDREN = 15, 60
MUTATION = 0.12
# Number of candidates under each budget whose neighbours are added at the end.
REFINED = 2
# Initial length scale of each dimension, to be multiplied by the root of their number, and the range of scales.
SCALE, SCALES = 0.4, (0.3, 15.0)
# Steps of the optimiser of the kernel: in the first fit, and in later fits, which start from the last kernel.
FIRST_STEPS, STEPS = 25, 8
# Relative noise variance that keeps the fit stable; the losses themselves are deterministic.
JITTER = 1e-6

Vector = npt.NDArray[np.float64]


class LossModel:
    """A Gaussian process over Architectures, with a linear kernel and a smooth kernel for interactions.

    The smooth kernel has a length scale for each dimension (automatic relevance determination; Rasmussen and Williams,
    2006, section 5.1). Each fit starts from the kernel of the last one.

    Args:
        space: the space of the Architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._encode = Encoding(space)
        self._process: Any = None

    def fit(self, architectures: Sequence[Architecture], losses: Sequence[float], errors: Sequence[float]) -> None:
        """Fit to losses; ``errors`` are their standard errors."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor

        rows, values = self._encode(architectures), np.asarray(losses)
        spread = float(values.std()) or 1.0
        process = GaussianProcessRegressor(
            _kernel(rows.shape[1]) if self._process is None else self._process.kernel_,
            alpha=(np.asarray(errors) / spread) ** 2 + JITTER,
            normalize_y=True,
            optimizer=partial(_optimised, steps=FIRST_STEPS if self._process is None else STEPS),
        )
        with warnings.catch_warnings():
            # Scales reach the end of their range for dimensions that do not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process = process.fit(rows, values)

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Vector, Vector]:
        """Return mean and standard deviation of the losses, each [len(architectures)]."""
        mean, deviation = self._process.predict(self._encode(architectures), return_std=True)
        return mean, deviation


def _kernel(columns: int) -> Any:
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    size = (1e-3, 1e3)
    return (
        ConstantKernel(1.0, size) * DotProduct(1.0, (1e-2, 1e2))
        + ConstantKernel(1.0, size) * RBF([SCALE * columns**0.5] * columns, SCALES)
        + WhiteKernel(1e-3, (1e-7, 1e-1))
    )


def _optimised(objective: Callable[..., Any], start: Vector, bounds: Vector, steps: int) -> tuple[Vector, float]:
    """Run a few steps of L-BFGS-B; more would take most of the time and hardly change the fit."""
    from scipy.optimize import minimize

    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": steps})
    return found.x, found.fun


class SurrogateSearch:
    """Search that proposes the best Architectures under each budget according to a model of the loss.

    Args:
        problem: space and budgets.
        settings: settings of the search; ``evaluations`` is the number of Architectures to evaluate.
        seed: seed of all random choices; equal seeds and losses give equal searches.
        before: candidates evaluated earlier; if they are enough to fit the model, there is no random first round.
        evaluations: number of Architectures to evaluate, instead of ``settings.evaluations``.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Search,
        seed: int,
        before: Sequence[Candidate] = (),
        evaluations: int | None = None,
    ) -> None:
        self.problem = problem
        self.planned = settings.evaluations if evaluations is None else evaluations
        self._rng = random.Random(seed)
        self._known = list(before)
        self._proposed = {candidate.architecture for candidate in before}
        self._asked = self._rounds = 0
        self._model = LossModel(problem.space)

    def ask(self) -> list[Proposal]:
        """Return the next Architectures: the most promising ones under each budget."""
        left = self.planned - self._asked
        if left <= 0:
            return []
        if len(self._known) < FEWEST:
            wanted = min(left, max(FEWEST, round(START_PART * self.planned)))
            return self._new(spread_over_budgets(self.problem, wanted, self._proposed, self._rng), START)
        self._model.fit(
            [candidate.architecture for candidate in self._known],
            [candidate.objective_value for candidate in self._known],
            # The error of an estimate is the half-width of its interval, about two standard errors.
            [candidate.loss_error / 2 for candidate in self._known],
        )
        self._rounds += 1
        if promising := self._promising()[:left]:
            return self._new(promising, PREDICTED)
        return self._new(spread_over_budgets(self.problem, min(left, FEWEST), self._proposed, self._rng), START)

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Add the candidates to the data of the next fit."""
        self._known.extend(candidates)

    def _new(self, architectures: list[Architecture], origin: str) -> list[Proposal]:
        self._proposed.update(architectures)
        self._asked += len(architectures)
        return [Proposal(architecture, origin) for architecture in architectures]

    def _scores(self, architectures: Sequence[Architecture]) -> list[float]:
        mean, deviation = self._model.predict(architectures)
        optimism = OPTIMISM if self._rounds % 2 == 0 else 0.0
        scores: list[float] = (mean - optimism * deviation).tolist()
        return scores

    def _promising(self) -> list[Architecture]:
        """Return the new Architectures with the best scores under each budget, by evolution from the known ones.

        One population serves all budgets; its parents are the best under each.
        """
        rng, space, budgets = self._rng, self.problem.space, self.problem.budgets_ms
        known = sorted(self._known, key=lambda candidate: candidate.objective_value)
        population = _Population(self.problem, self._scores)
        population.add([self.problem.fastest, *(candidate.architecture for candidate in known)])
        count = max(FEWEST_CHILDREN, CHILDREN * len(budgets))
        for _ in range(GENERATIONS):
            parents = population.best(PARENTS)
            children = [space.mutate(rng.choice(parents), MUTATION, rng) for _ in range(count)]
            children += [space.crossover(rng.choice(parents), rng.choice(parents), rng) for _ in range(count)]
            population.add(children)
        population.add([point for parent in population.best(REFINED) for point in neighbours(space, parent)])
        return population.best(max(1, BATCH // len(budgets)), self._proposed)


class _Population:
    """All feasible Architectures that evolution has created, with their latencies and scores.

    Args:
        problem: budgets and limits.
        score: returns scores of Architectures; lower is better.
    """

    def __init__(self, problem: Problem, score: Callable[[Sequence[Architecture]], list[float]]) -> None:
        self._problem = problem
        self._score = score
        self._seen: set[Architecture] = set()
        self._members: list[tuple[float, float, Architecture]] = []

    def add(self, architectures: Iterable[Architecture]) -> None:
        """Add the Architectures that are new and feasible."""
        new = [point for point in dict.fromkeys(architectures) if point not in self._seen]
        self._seen.update(new)
        if feasible := self._problem.feasible_latencies(new):
            scores = self._score([point for point, _ in feasible])
            self._members += [(score, ms, point) for score, (point, ms) in zip(scores, feasible, strict=True)]
            self._members.sort(key=lambda member: member[0])

    def best(self, count: int, exclude: Container[Architecture] = ()) -> list[Architecture]:
        """Return the ``count`` best under each budget; one that is best under several makes room for the next best."""
        found: dict[Architecture, None] = {}
        for budget in self._problem.budgets_ms:
            within = (point for _, ms, point in self._members if ms <= budget)
            found.update(dict.fromkeys(islice((p for p in within if p not in exclude and p not in found), count)))
        return list(found)
