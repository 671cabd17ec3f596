"""What is searched for: the lowest validation loss of a space whose predicted latency is within a budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hat.errors import HatError
from hat.latency.extremes import extreme
from hat.progress import Tracker
from hat.search.evaluations import Evaluations
from hat.space import Architecture, SearchSpace


class Predictor(Protocol):
    """What a search needs of a latency predictor."""

    def predict(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Latencies in milliseconds."""


@dataclass(frozen=True)
class Proposal:
    """An Architecture that an algorithm wants evaluated, and how it came by it (``origin``)."""

    architecture: Architecture
    origin: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An evaluated Architecture.

    ``order`` counts evaluations from 0, ``generation`` the rounds of the algorithm they were asked for in;
    ``validation_loss`` is in nats a target token, with weights inherited from the SuperTransformer.
    """

    architecture: Architecture
    predicted_latency_ms: float
    validation_loss: float
    order: int
    generation: int
    origin: str

    @property
    def rank(self) -> tuple[float, float, str]:
        """Sorting key, best first: loss, then latency, then a fixed order."""
        return self.validation_loss, self.predicted_latency_ms, self.architecture.digest


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
    """Objective, constraint and space of one search.

    Args:
        space: what may be proposed.
        predictor: latency of the device.
        budget_ms: largest predicted latency allowed.
        evaluate: validation loss of an Architecture; called once for each, losses in ``evaluations`` are reused.
        evaluations: what is known already, and where new losses are kept.
        name: how errors call the budget, such as ``150ms on device 'local'``.

    Raises:
        HatError: no Architecture of the space meets the budget; it names the fastest.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        predictor: Predictor,
        budget_ms: float,
        evaluate: Callable[[Architecture], float],
        evaluations: Evaluations,
        name: str,
    ) -> None:
        self.space = space
        self.predictor = predictor
        self.budget_ms = budget_ms
        self._evaluate = evaluate
        self.evaluations = evaluations
        self.fastest, self.fastest_ms = extreme(space, predictor.predict, [space.smallest])
        if self.fastest_ms > budget_ms:
            raise HatError(
                f"budget {name}: no Architecture of the space is that fast; the fastest, {self.fastest.to_json()},"
                f" has a predicted latency of {self.fastest_ms:.4g} ms"
            )

    def feasible(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        """Those that are predicted to meet the budget, in order."""
        if not architectures:
            return []
        within = self.predictor.predict(architectures) <= self.budget_ms
        return [point for point, fits in zip(architectures, within, strict=True) if fits]

    def loss(self, architecture: Architecture) -> float:
        """Validation loss, evaluated where it is not known yet.

        Raises:
            HatError: the loss is not a number, or the disk is full.
        """
        known = self.evaluations.get(architecture)
        if known is None:
            known = float(self._evaluate(architecture))
            self.evaluations.add(architecture, known)
        return known


def run(problem: Problem, algorithm: Algorithm, tracker: Tracker) -> list[Candidate]:
    """Let an algorithm search until it asks for nothing more.

    A search that was interrupted is run again from its seed: what it asks for first is answered from
    ``problem.evaluations``, so it arrives where it was and ends with the same result.

    Returns:
        Every candidate, in the order of evaluation.
    """
    candidates: list[Candidate] = []
    generation = 0
    best = float("inf")
    while proposals := algorithm.ask():
        latencies = problem.predictor.predict([proposal.architecture for proposal in proposals]).tolist()
        told: list[Candidate] = []
        for proposal, latency_ms in zip(proposals, latencies, strict=True):
            loss = problem.loss(proposal.architecture)
            best = min(best, loss)
            candidate = Candidate(
                architecture=proposal.architecture,
                predicted_latency_ms=latency_ms,
                validation_loss=loss,
                order=len(candidates) + len(told),
                generation=generation,
                origin=proposal.origin,
            )
            told.append(candidate)
            tracker(candidate.order + 1, f"best loss {best:.4f}")
        candidates.extend(told)
        algorithm.tell(told)
        generation += 1
    return candidates
