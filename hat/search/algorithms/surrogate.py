"""Search with a model of the loss: cheap to ask, few evaluations to tell (after LINAS, arXiv 2205.10358).

A Gaussian process over Architectures is fitted to all losses that are known, evolution on the model finds what it
holds for the best under each budget, those are evaluated, and it is fitted again.
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
# First Architectures: this part of all evaluations, at least so many.
START_PART, FEWEST = 0.2, 8
# Proposals of a round, where there are fewer budgets.
BATCH = 4
# Every other round looks where the model is unsure: this many standard deviations below its mean.
OPTIMISM = 2.0
# Evolution on the model: generations, parents under each budget, children of each kind in a generation, for each budget
# and at least.
GENERATIONS, PARENTS = 6, 8
CHILDREN, FEWEST_CHILDREN = 15, 60
MUTATION = 0.12
# Candidates under each budget whose neighbours are looked at.
REFINED = 2
# Length scale of each dimension before anything is known, by the root of how many there are, and the range of scales.
SCALE, SCALES = 0.4, (0.3, 15.0)
# Steps of the optimiser that fits the kernel: at first, and from where the last fit ended.
FIRST_STEPS, STEPS = 25, 8
# Relative noise that keeps the fit stable; the losses themselves have none.
JITTER = 1e-6

Vector = npt.NDArray[np.float64]


class LossModel:
    """A Gaussian process over Architectures: a linear part, and a smooth one for what is not additive.

    The smooth part has a length scale for each dimension (automatic relevance determination; Rasmussen and Williams,
    2006, section 5.1). A further fit starts from the kernel of the last one.

    Args:
        space: of the Architectures.
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
            # Scales at the end of their range are those of dimensions that do not matter.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process = process.fit(rows, values)

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the losses."""
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
    """A few steps of L-BFGS-B: the last ones hardly change the fit, and take most of the time."""
    from scipy.optimize import minimize

    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": steps})
    return found.x, found.fun


class SurrogateSearch:
    """Proposes what a model of the loss holds for the best under each budget.

    Args:
        problem: space and budgets.
        settings: how many Architectures are evaluated.
        seed: the search is a function of it and of the losses it is told.
        before: what is known already; no first Architectures are drawn where it is enough to fit to.
        evaluations: Architectures to evaluate, instead of ``settings.evaluations``.
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
        """The next Architectures: under each budget the one that promises most."""
        left = self.planned - self._asked
        if left <= 0:
            return []
        if len(self._known) < FEWEST:
            wanted = min(left, max(FEWEST, round(START_PART * self.planned)))
            return self._new(spread_over_budgets(self.problem, wanted, self._proposed, self._rng), START)
        self._model.fit(
            [candidate.architecture for candidate in self._known],
            [candidate.objective_value for candidate in self._known],
            # The interval of an estimate is some two standard errors wide to either side.
            [candidate.loss_error / 2 for candidate in self._known],
        )
        self._rounds += 1
        if promising := self._promising()[:left]:
            return self._new(promising, PREDICTED)
        return self._new(spread_over_budgets(self.problem, min(left, FEWEST), self._proposed, self._rng), START)

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Remember them for the next fit."""
        self._known.extend(candidates)

    def _new(self, architectures: list[Architecture], origin: str) -> list[Proposal]:
        self._proposed.update(architectures)
        self._asked += len(architectures)
        return [Proposal(architecture, origin) for architecture in architectures]

    def _worth(self, architectures: Sequence[Architecture]) -> list[float]:
        mean, deviation = self._model.predict(architectures)
        optimism = OPTIMISM if self._rounds % 2 == 0 else 0.0
        worth: list[float] = (mean - optimism * deviation).tolist()
        return worth

    def _promising(self) -> list[Architecture]:
        """The best new Architectures under each budget, as the model sees them, by evolution from the best known.

        One population serves all budgets: its parents are the best under each.
        """
        rng, space, budgets = self._rng, self.problem.space, self.problem.budgets_ms
        known = sorted(self._known, key=lambda candidate: candidate.objective_value)
        pool = _Pool(self.problem, self._worth)
        pool.add([self.problem.fastest, *(candidate.architecture for candidate in known)])
        count = max(FEWEST_CHILDREN, CHILDREN * len(budgets))
        for _ in range(GENERATIONS):
            parents = pool.best(PARENTS)
            children = [space.mutate(rng.choice(parents), MUTATION, rng) for _ in range(count)]
            children += [space.crossover(rng.choice(parents), rng.choice(parents), rng) for _ in range(count)]
            pool.add(children)
        pool.add([point for parent in pool.best(REFINED) for point in neighbours(space, parent)])
        return pool.best(max(1, BATCH // len(budgets)), self._proposed)


class _Pool:
    """What evolution has come across, with latencies and what the model says of it.

    Args:
        problem: what is feasible, and the budgets.
        worth: of Architectures; less is better.
    """

    def __init__(self, problem: Problem, worth: Callable[[Sequence[Architecture]], list[float]]) -> None:
        self._problem = problem
        self._worth = worth
        self._seen: set[Architecture] = set()
        self._members: list[tuple[float, float, Architecture]] = []

    def add(self, architectures: Iterable[Architecture]) -> None:
        """Take in those that are new and feasible."""
        new = [point for point in dict.fromkeys(architectures) if point not in self._seen]
        self._seen.update(new)
        if feasible := self._problem.feasible_latencies(new):
            worths = self._worth([point for point, _ in feasible])
            self._members += [(worth, ms, point) for worth, (point, ms) in zip(worths, feasible, strict=True)]
            self._members.sort(key=lambda member: member[0])

    def best(self, count: int, exclude: Container[Architecture] = ()) -> list[Architecture]:
        """The best under each budget, each once; where one is the best under several, the next ones follow."""
        found: dict[Architecture, None] = {}
        for budget in self._problem.budgets_ms:
            within = (point for _, ms, point in self._members if ms <= budget)
            found.update(dict.fromkeys(islice((p for p in within if p not in exclude and p not in found), count)))
        return list(found)
