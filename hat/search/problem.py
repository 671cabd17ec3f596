"""The search problem: find the lowest objective value of a space within one or several latency budgets."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from hat.config.search import ObjectiveName
from hat.errors import HatError
from hat.search.evaluator import Evaluated, Evaluator
from hat.search.objective import LABELS
from hat.space.architecture import Architecture
from hat.space.moves import extreme
from hat.space.search_space import SearchSpace
from hat.system.progress import Tracker

Vector = npt.NDArray[np.float64]
# A candidate is stopped early only if it is worse than this many others under each budget that it meets.
INCUMBENT_RANK = 8


class Predictor(Protocol):
    """The part of a latency predictor that a search needs."""

    def predict(self, architectures: Sequence[Architecture]) -> Vector:
        """Predict latencies in milliseconds."""

    def upper_bound(self, architectures: Sequence[Architecture]) -> Vector:
        """Return upper bounds of latencies in milliseconds."""


@dataclass(frozen=True)
class Proposal:
    """An Architecture that an algorithm asks to evaluate; ``origin`` says how the algorithm found it."""

    architecture: Architecture
    origin: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An evaluated Architecture.

    Attributes:
        architecture: the network.
        predicted_latency_ms: predicted latency.
        bound_ms: upper bound of the prediction.
        objective_value: see :mod:`hat.search.objective`; with inherited weights, lower is better.
        loss_error: half-width of the loss's interval if the candidate was stopped early.
        whole: evaluated on all sentences, not stopped early.
        tokens: validation tokens evaluated; 1 for the objective ``bleu``.
        order: number of the evaluation, from 0.
        generation: round of the algorithm that asked for it.
        origin: how the algorithm found it.
    """

    architecture: Architecture
    predicted_latency_ms: float
    bound_ms: float
    objective_value: float
    loss_error: float
    whole: bool
    tokens: float
    order: int
    generation: int
    origin: str

    @property
    def rank(self) -> tuple[bool, float, float, str]:
        """Sorting key, best first: evaluated on all sentences, objective value, latency, and a fixed order."""
        return not self.whole, self.objective_value, self.predicted_latency_ms, self.architecture.digest


class Algorithm(Protocol):
    """A search algorithm, made from a problem, the settings of the search and a seed.

    :func:`run` asks for proposals, evaluates them and tells the results, until there are no proposals. All randomness
    comes from the seed, so a search that runs again asks for the same Architectures and resumes through the cache.
    """

    def ask(self) -> list[Proposal]:
        """Propose feasible Architectures that were not proposed before; an empty list ends the search."""

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Receive the evaluations of everything that the last ``ask`` proposed."""

    @property
    def planned(self) -> int:
        """The largest number of evaluations that the algorithm will ask for."""


class Problem:
    """Objective, constraints and space of one search.

    The upper bound of the predicted latency must meet the budget. If no upper bound meets the smallest budget but some
    prediction does, the prediction counts instead (``bounded`` is False).

    Args:
        space: the Architectures that may be proposed.
        predictor: predicts the latency on the device.
        budgets_ms: budgets to search for, in milliseconds.
        evaluator: evaluates Architectures.
        name: the smallest budget in errors, such as ``150ms on device 'local'``.
        limited: whether an Architecture is within the limits other than latency. Costs must grow with every dimension.
        halving: stop evaluating clearly worse candidates early.
        objective: name of the objective that the evaluator computes.

    Raises:
        HatError: no Architecture of the space meets the smallest budget; it names the fastest.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        predictor: Predictor,
        budgets_ms: Sequence[float],
        evaluator: Evaluator,
        name: str,
        limited: Callable[[Architecture], bool] = lambda architecture: True,
        halving: bool = False,
        objective: ObjectiveName = "loss",
    ) -> None:
        self.space = space
        self.predictor = predictor
        self.budgets_ms = tuple(sorted(budgets_ms))
        self.evaluator = evaluator
        self.limited = limited
        self.halving = halving
        self.objective = objective
        if not limited(space.smallest):
            raise HatError(
                f"budget {name}: the smallest Architecture, {space.smallest.to_json()}, is above search.limits;"
                " raise them"
            )
        self.fastest, self.fastest_ms = self._extreme(predictor.predict)
        if self.fastest_ms > self.budgets_ms[0]:
            raise HatError(
                f"budget {name}: no Architecture of the space is that fast; the fastest, {self.fastest.to_json()},"
                f" has a predicted latency of {self.fastest_ms:.4g} ms"
            )
        surest, surest_ms = self._extreme(predictor.upper_bound)
        self.bounded = surest_ms <= self.budgets_ms[0]
        if self.bounded:
            self.fastest = surest

    def _extreme(self, latencies: Callable[[Sequence[Architecture]], Vector]) -> tuple[Architecture, float]:
        def within(points: Sequence[Architecture]) -> Vector:
            return np.where([self.limited(point) for point in points], latencies(points), np.inf)

        return extreme(self.space, within, [self.space.smallest])

    def under(self, budget_ms: float) -> Self:
        """Return the same problem for one of its budgets."""
        result = copy.copy(self)
        result.budgets_ms = (budget_ms,)
        return result

    def constrained(self, architectures: Sequence[Architecture]) -> Vector:
        """Return the latencies in milliseconds that must be within a budget."""
        return (self.predictor.upper_bound if self.bounded else self.predictor.predict)(architectures)

    def feasible(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        """Return the Architectures that meet the largest budget and the limits, in order."""
        return [point for point, _ in self.feasible_latencies(architectures)]

    def feasible_latencies(self, architectures: Sequence[Architecture]) -> list[tuple[Architecture, float]]:
        """Return Architectures that meet the largest budget and the limits, with their constrained latencies in ms."""
        if not architectures:
            return []
        latencies = self.constrained(architectures).tolist()
        return [
            (point, latency)
            for point, latency in zip(architectures, latencies, strict=True)
            if latency <= self.budgets_ms[-1] and self.limited(point)
        ]


class CandidateEvaluator:
    """Evaluates proposals, each against an incumbent from earlier rounds if ``halving`` is on.

    The incumbent of a candidate is the ``INCUMBENT_RANK``-th best candidate within the smallest budget that the new one
    meets, so a stopped candidate is worse than that many others under every budget it could serve. Incumbents come from
    earlier rounds only, not from the cache, so that the same seed gives the same search.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._whole: list[tuple[float, float, str, Architecture]] = []

    def __call__(self, architectures: Sequence[Architecture]) -> list[Evaluated]:
        """Evaluate Architectures, in order."""
        latencies = self.problem.constrained(architectures).tolist()
        incumbents = (
            [self._incumbent(latency) for latency in latencies] if self.problem.halving else [None] * len(latencies)
        )
        evaluated = self.problem.evaluator.evaluate(architectures, incumbents)
        for point, latency, worth in zip(architectures, latencies, evaluated, strict=True):
            self.add(point, latency, worth.loss, whole=worth.whole)
        return evaluated

    def add(self, architecture: Architecture, latency_ms: float, loss: float, *, whole: bool) -> None:
        """Add a candidate as a possible incumbent."""
        if whole:
            self._whole.append((loss, latency_ms, architecture.digest, architecture))

    def _incumbent(self, latency_ms: float) -> Architecture | None:
        budget = next((budget for budget in self.problem.budgets_ms if latency_ms <= budget), None)
        if budget is None:
            return None
        meeting = sorted(entry for entry in self._whole if entry[1] <= budget)
        return meeting[INCUMBENT_RANK - 1][3] if len(meeting) >= INCUMBENT_RANK else None


def best_note(candidates: Sequence[Candidate], problem: Problem) -> str:
    """Return the best objective value so far under each budget, for the progress bar."""
    notes = []
    for budget in problem.budgets_ms:
        values = [
            found.objective_value
            for found in candidates
            if found.whole and (found.bound_ms if problem.bounded else found.predicted_latency_ms) <= budget
        ]
        if values:
            notes.append(f"{budget:.4g} ms {min(values):.4f}")
    return f"best {LABELS[problem.objective]} {', '.join(notes)}" if notes else ""


def run(problem: Problem, algorithm: Algorithm, tracker: Tracker, before: Sequence[Candidate] = ()) -> list[Candidate]:
    """Run an algorithm until it proposes nothing more.

    An interrupted search starts again from its seed. The cache answers what was evaluated before, so the search ends
    with the same result.

    Args:
        problem: objective, constraints and space.
        algorithm: the search algorithm.
        tracker: receives the progress of every round.
        before: candidates of an earlier search that the algorithm knows; numbering continues from them.

    Returns:
        Every new candidate, in the order of evaluation.
    """
    candidates: list[Candidate] = []
    evaluate = CandidateEvaluator(problem)
    for candidate, latency in zip(
        before, problem.constrained([known.architecture for known in before]) if before else (), strict=True
    ):
        evaluate.add(candidate.architecture, float(latency), candidate.objective_value, whole=candidate.whole)
    generation = 1 + max((candidate.generation for candidate in before), default=-1)
    while proposals := algorithm.ask():
        points = [proposal.architecture for proposal in proposals]
        told = [
            Candidate(
                architecture=proposal.architecture,
                predicted_latency_ms=predicted,
                bound_ms=bound,
                objective_value=evaluated.loss,
                loss_error=evaluated.error,
                whole=evaluated.whole,
                tokens=evaluated.tokens,
                order=len(before) + len(candidates) + index,
                generation=generation,
                origin=proposal.origin,
            )
            for index, (proposal, predicted, bound, evaluated) in enumerate(
                zip(
                    proposals,
                    problem.predictor.predict(points).tolist(),
                    problem.predictor.upper_bound(points).tolist(),
                    evaluate(points),
                    strict=True,
                )
            )
        ]
        candidates.extend(told)
        algorithm.tell(told)
        tracker(len(candidates), best_note([*before, *candidates], problem))
        generation += 1
    return candidates
