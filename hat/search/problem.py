"""What is searched for: the lowest objective value of a space within one or several latency budgets."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from hat.config.search import ObjectiveName
from hat.errors import HatError
from hat.search.evaluator import Evaluator, Judged
from hat.search.objective import LABELS
from hat.space.architecture import Architecture
from hat.space.moves import extreme
from hat.space.search_space import SearchSpace
from hat.system.progress import Tracker

Vector = npt.NDArray[np.float64]
# A candidate is stopped early only where it is worse than this many others under each budget it meets.
RIVAL_RANK = 8


class Predictor(Protocol):
    """What a search needs of a latency predictor."""

    def predict(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds."""

    def upper_bound(self, architectures: Sequence[Architecture]) -> Vector:
        """Latencies in milliseconds that are rarely exceeded."""


@dataclass(frozen=True)
class Proposal:
    """An Architecture that an algorithm wants evaluated, and how it came by it (``origin``)."""

    architecture: Architecture
    origin: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An evaluated Architecture.

    ``order`` counts evaluations from 0, ``generation`` the rounds of the algorithm they were asked for in;
    ``objective_value`` is that of :mod:`hat.search.objective`, with weights inherited from the SuperTransformer; lower
    is better. ``loss_error`` is the half-width of its interval where the candidate was stopped early (``whole`` is
    False), ``tokens`` are the validation tokens looked at (1 for the objective ``bleu``, which is of the whole subset).
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
        """Sorting key, best first: wholly evaluated, then objective value, then latency, then a fixed order."""
        return not self.whole, self.objective_value, self.predicted_latency_ms, self.architecture.digest


class Algorithm(Protocol):
    """A search algorithm: it proposes Architectures and is told what they are worth."""

    def ask(self) -> list[Proposal]:
        """Feasible Architectures that were not proposed before; none when the search is over."""

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Take in the evaluations of everything proposed by the last ``ask``."""

    @property
    def planned(self) -> int:
        """Most evaluations it will ask for."""


class Problem:
    """Objective, constraints and space of one search.

    What limits latency is the upper bound of the prediction; under a budget that the bound of no Architecture meets
    but a prediction does, it is the prediction (``bounded`` is False).

    Args:
        space: what may be proposed.
        predictor: latency of the device.
        budgets_ms: latencies that are searched for; networks above the largest are of no use.
        evaluator: what Architectures are worth.
        name: how errors call the smallest budget, such as ``150ms on device 'local'``.
        limited: whether an Architecture is within the limits beside latency, which grow with every dimension.
        halving: candidates may be stopped early.
        objective: name of what the evaluator gives.

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
        """The same problem for one of its budgets."""
        result = copy.copy(self)
        result.budgets_ms = (budget_ms,)
        return result

    def constrained(self, architectures: Sequence[Architecture]) -> Vector:
        """The latencies in milliseconds that have to be within a budget."""
        return (self.predictor.upper_bound if self.bounded else self.predictor.predict)(architectures)

    def feasible(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        """Those that meet the largest budget and the limits, in order."""
        return [point for point, _ in self.feasible_latencies(architectures)]

    def feasible_latencies(self, architectures: Sequence[Architecture]) -> list[tuple[Architecture, float]]:
        """Those that meet the largest budget and the limits, in order, each with its constrained latency (ms)."""
        if not architectures:
            return []
        latencies = self.constrained(architectures).tolist()
        return [
            (point, latency)
            for point, latency in zip(architectures, latencies, strict=True)
            if latency <= self.budgets_ms[-1] and self.limited(point)
        ]


class Judge:
    """Evaluates proposals, each against a rival among those before, where ``halving`` allows.

    The rival of a candidate is the ``RIVAL_RANK``-th best of what meets the smallest budget that it meets itself:
    what is stopped is therefore worse than as many others under every budget that it could serve. Rivals are those
    of the rounds before, whatever else the cache knows, so that the same seed gives the same search.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._whole: list[tuple[float, float, str, Architecture]] = []

    def __call__(self, architectures: Sequence[Architecture]) -> list[Judged]:
        """What they are worth, in order."""
        latencies = self.problem.constrained(architectures).tolist()
        rivals = [self._rival(latency) for latency in latencies] if self.problem.halving else [None] * len(latencies)
        judged = self.problem.evaluator.judge(architectures, rivals)
        for point, latency, worth in zip(architectures, latencies, judged, strict=True):
            self.remember(point, latency, worth.loss, whole=worth.whole)
        return judged

    def remember(self, architecture: Architecture, latency_ms: float, loss: float, *, whole: bool) -> None:
        """Take a candidate into account as a rival of later ones."""
        if whole:
            self._whole.append((loss, latency_ms, architecture.digest, architecture))

    def _rival(self, latency_ms: float) -> Architecture | None:
        budget = next((budget for budget in self.problem.budgets_ms if latency_ms <= budget), None)
        if budget is None:
            return None
        meeting = sorted(entry for entry in self._whole if entry[1] <= budget)
        return meeting[RIVAL_RANK - 1][3] if len(meeting) >= RIVAL_RANK else None


def best_note(candidates: Sequence[Candidate], problem: Problem) -> str:
    """Best objective value so far under each budget, for the progress bar."""
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
    """Let an algorithm search until it asks for nothing more.

    A search that was interrupted is run again from its seed: what it asks for first is answered from the cache, so
    it arrives where it was and ends with the same result.

    Args:
        problem: what is searched for.
        algorithm: what searches.
        tracker: told of every round.
        before: candidates of an earlier search, which the algorithm knows of; numbering goes on from them.

    Returns:
        Every new candidate, in the order of evaluation.
    """
    candidates: list[Candidate] = []
    judge = Judge(problem)
    for candidate, latency in zip(
        before, problem.constrained([known.architecture for known in before]) if before else (), strict=True
    ):
        judge.remember(candidate.architecture, float(latency), candidate.objective_value, whole=candidate.whole)
    generation = 1 + max((candidate.generation for candidate in before), default=-1)
    while proposals := algorithm.ask():
        points = [proposal.architecture for proposal in proposals]
        told = [
            Candidate(
                architecture=proposal.architecture,
                predicted_latency_ms=predicted,
                bound_ms=bound,
                objective_value=judged.loss,
                loss_error=judged.error,
                whole=judged.whole,
                tokens=judged.tokens,
                order=len(before) + len(candidates) + index,
                generation=generation,
                origin=proposal.origin,
            )
            for index, (proposal, predicted, bound, judged) in enumerate(
                zip(
                    proposals,
                    problem.predictor.predict(points).tolist(),
                    problem.predictor.upper_bound(points).tolist(),
                    judge(points),
                    strict=True,
                )
            )
        ]
        candidates.extend(told)
        algorithm.tell(told)
        tracker(len(candidates), best_note([*before, *candidates], problem))
        generation += 1
    return candidates
