"""Search with a model of the loss: cheap to ask, few evaluations to tell (after LINAS, arXiv 2205.10358).

A Gaussian process over Architectures is fitted to all losses that are known, evolution on the model finds what it
holds for the best under each budget, those are evaluated, and it is fitted again.
"""

import random
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hat.config_search import Search
from hat.latency.extremes import neighbours
from hat.search.encoding import Encoding
from hat.search.problem import Candidate, Problem, Proposal
from hat.search.start import spread_start
from hat.space import Architecture, SearchSpace

START, PREDICTED = "start", "surrogate"
# First Architectures: this part of all evaluations, at least so many.
START_PART, FEWEST = 0.2, 8
# Proposals of a round, where there are fewer budgets.
BATCH = 4
# Every other round looks where the model is unsure: this many standard deviations below its mean.
OPTIMISM = 1.0
# Evolution on the model.
GENERATIONS, PARENTS, CHILDREN = 6, 24, 60
MUTATION = 0.12
# Candidates whose neighbours are looked at.
REFINED = 2
# Relative noise that keeps the fit stable; the losses themselves have none.
JITTER = 1e-6

Vector = npt.NDArray[np.float64]


class LossModel:
    """A Gaussian process over Architectures: a linear part, and a smooth one for what is not additive.

    Args:
        space: of the Architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._encode = Encoding(space)
        self._process = None

    def fit(self, architectures: Sequence[Architecture], losses: Sequence[float], errors: Sequence[float]) -> None:
        """Fit to losses; ``errors`` are their standard errors."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

        values = np.asarray(losses)
        spread = float(values.std()) or 1.0
        kernel = (
            ConstantKernel(1.0, (1e-3, 1e3)) * DotProduct(1.0, (1e-2, 1e2))
            + ConstantKernel(1.0, (1e-3, 1e3)) * RBF(2.0, (0.3, 30.0))
            + WhiteKernel(1e-3, (1e-7, 1e-1))
        )
        noise = (np.asarray(errors) / spread) ** 2 + JITTER
        process = GaussianProcessRegressor(kernel, alpha=noise, normalize_y=True)
        with warnings.catch_warnings():
            # A kernel at the end of its range fits all the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(self._encode(architectures), values)
        self._process = process

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the losses."""
        assert self._process is not None
        mean, deviation = self._process.predict(self._encode(architectures), return_std=True)
        return mean, deviation


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
            return self._new(spread_start(self.problem, wanted, self._proposed, self._rng), START)
        self._model.fit(
            [candidate.architecture for candidate in self._known],
            [candidate.validation_loss for candidate in self._known],
            # The interval of an estimate is some two standard errors wide to either side.
            [candidate.loss_error / 2 for candidate in self._known],
        )
        self._rounds += 1
        budgets = self.problem.budgets_ms
        each = max(1, BATCH // len(budgets))
        found: dict[Architecture, None] = {}
        for budget in budgets:
            found.update(dict.fromkeys(self._promising(self.problem.under(budget), each, found)))
        return self._new(list(found)[:left], PREDICTED)

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

    def _promising(self, problem: Problem, count: int, taken: dict[Architecture, None]) -> list[Architecture]:
        """The best new Architectures under one budget, as the model sees them, by evolution from the best known."""
        rng, space = self._rng, problem.space
        known = sorted(self._known, key=lambda candidate: candidate.validation_loss)
        starts = problem.feasible([candidate.architecture for candidate in known])[:PARENTS] or [problem.fastest]
        pool = dict(zip(starts, self._worth(starts), strict=True))
        for generation in range(GENERATIONS):
            parents = sorted(pool, key=pool.__getitem__)[:PARENTS]
            children = [space.mutate(rng.choice(parents), MUTATION, rng) for _ in range(CHILDREN)]
            children += [space.crossover(rng.choice(parents), rng.choice(parents), rng) for _ in range(CHILDREN)]
            if generation == GENERATIONS - 1:
                children += [point for parent in parents[:REFINED] for point in neighbours(space, parent)]
            new = problem.feasible([point for point in dict.fromkeys(children) if point not in pool])
            if new:
                pool.update(zip(new, self._worth(new), strict=True))
        ranked = sorted((worth, point.digest, point) for point, worth in pool.items())
        fresh = [point for _, _, point in ranked if point not in self._proposed and point not in taken]
        return fresh[:count]
