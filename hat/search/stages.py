"""The search stage of a budget: find the best Architecture that meets it on the device."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from hat.artifacts.files import only_one, provenance, write_json
from hat.artifacts.table import SEARCH
from hat.config.scope import BudgetScope
from hat.config.search import ObjectiveName
from hat.config.settings import budget_ms
from hat.errors import HatError
from hat.latency.dataset import write_parquet
from hat.search.algorithms.registry import make_algorithm
from hat.search.algorithms.surrogate import SurrogateSearch
from hat.search.context import SearchContext
from hat.search.corrected import Corrected
from hat.search.evaluator import Evaluator
from hat.search.objective import named_value
from hat.search.problem import Algorithm, Candidate, Predictor, Problem, run
from hat.search.tables import read_candidates, table
from hat.search.verify import Verified, Verifier
from hat.search.workers import Workers
from hat.space.architecture import Architecture
from hat.system.progress import progress

MET, NOT_MET, UNVERIFIED = "met", "not met", "unverified"


def search(scope: BudgetScope) -> Path:
    """Write BUDGET/architecture.json, the winner, and BUDGET/search.parquet, every candidate.

    An algorithm that searches for all budgets at once has left its candidates in search/candidates.parquet; they are
    topped up for this budget. The best few are measured on the device, and the best that meets the budget there wins.
    If none does, the search continues with the predictor corrected by the measurements.

    Raises:
        HatError: the budget cannot be met, or a loss is not a number.
        InputError: the budget is no budget, or the predictor, the SuperTransformer or the candidates are missing.
    """
    limit_ms = budget_ms(scope.budget)
    setting = SearchContext(scope)
    folder = scope.folder
    with only_one(folder, f"Searching for {scope.budget}"), setting.evaluator() as evaluator:
        rounds = Rounds(setting, evaluator, scope.budget, limit_ms)
        rounds.run(Verifier(scope))
        made = provenance(seed=scope.settings.seed, settings={**setting.made_from(), "budget_ms": limit_ms})
        candidates = table(rounds.within(), setting.chosen.objective)
        write_parquet(folder / SEARCH, candidates, {"budget": scope.budget, "provenance": made})
        path = folder / "architecture.json"
        write_json(path, rounds.summary() | {"provenance": made})
    return path


@dataclass
class Rounds:
    """Search and verification of one budget, until a measured candidate meets it."""

    setting: SearchContext
    evaluator: Evaluator
    budget: str
    limit_ms: float
    candidates: list[Candidate] = field(default_factory=list, init=False)
    verified: list[Verified] = field(default_factory=list, init=False)
    unverified: str | None = field(default=None, init=False)
    corrections: list[float] = field(default_factory=list, init=False)

    def run(self, verifier: Verifier) -> None:
        """Search and measure until a measured candidate meets the budget or the rounds are used up."""
        chosen = self.setting.chosen
        self.problem = self._problem()
        if chosen.all_budgets:
            folder = self.setting.scope.search
            self.candidates = read_candidates(folder / "candidates.parquet", chosen.objective)
        while True:
            self._search()
            if chosen.verify == 0:
                self.unverified = "search.verify is 0, so nothing was measured"
                return
            best = self.eligible()[: chosen.verify]
            measured = verifier.measure([found.architecture for found in best]) if best else []
            if measured is None:
                self.unverified = verifier.unreachable
                return
            self._keep(best, measured)
            if self.winner_measured() is not None or len(self.corrections) + 1 == chosen.verify_rounds:
                return
            predicted = self.setting.predictor.predict([known.architecture for known in self.verified])
            pairs = zip(self.verified, predicted.tolist(), strict=True)
            self.corrections.append(median(known.measured_latency_ms / value for known, value in pairs))
            try:
                self.problem = self._problem()
            except HatError:
                # No more candidates can be found; report the measured ones.
                return

    def _problem(self) -> Problem:
        chosen = self.setting.chosen
        predictor: Predictor = self.setting.predictor
        if self.corrections:
            predictor = Corrected(predictor, self.corrections[-1])
        name = f"{self.budget} on device {self.setting.scope.device!r}"
        return self.setting.problem(
            self.evaluator, [self.limit_ms], predictor, name, halving=chosen.all_budgets and chosen.halving
        )

    def _search(self) -> None:
        chosen, seed = self.setting.chosen, self.setting.scope.settings.seed
        if chosen.all_budgets:
            algorithm: Algorithm = SurrogateSearch(
                self.problem, chosen, seed, self.candidates, evaluations=chosen.top_up
            )
        else:
            algorithm = make_algorithm(chosen.algorithm, self.problem, chosen, seed + len(self.corrections))
        with progress(f"Searching for {self.budget}", algorithm.planned) as tracker:
            found = run(self.problem, algorithm, tracker, self.candidates)
        known = {candidate.architecture for candidate in self.candidates}
        self.candidates += [candidate for candidate in found if candidate.architecture not in known]

    def _winner_quality(self, winner: Candidate) -> dict[str, Any]:
        """Return the objective and the winner's validation loss, with its BLEU if that is the objective."""
        objective = self.setting.chosen.objective
        if objective == "loss":
            return {"objective": objective, "validation_loss": winner.objective_value}
        loss = Workers(self.setting.scope, "loss")
        ((nll, tokens),) = loss.sums([(winner.architecture, 0, loss.blocks)])
        return {
            "objective": objective,
            "validation_bleu": 100 - winner.objective_value,
            "validation_loss": sum(nll) / sum(tokens),
        }

    def eligible(self) -> list[Candidate]:
        """Return fully evaluated, unmeasured candidates within the budget by the predictor, best first."""
        measured = {known.architecture for known in self.verified}
        left = (found for found in self.within() if found.whole and found.architecture not in measured)
        return sorted(left, key=lambda found: found.rank)

    def within(self) -> list[Candidate]:
        """Return the candidates within the budget by the corrected predictor, and all measured ones."""
        allowed = set(self.problem.feasible([found.architecture for found in self.candidates]))
        allowed |= {known.architecture for known in self.verified}
        return [found for found in self.candidates if found.architecture in allowed]

    def _keep(self, best: Sequence[Candidate], measured: Sequence[float]) -> None:
        points = [found.architecture for found in best]
        if not points:
            return
        predictor = self.problem.predictor
        latencies = zip(predictor.predict(points).tolist(), predictor.upper_bound(points).tolist(), strict=True)
        for found, (predicted, bound), latency_ms in zip(best, latencies, measured, strict=True):
            self.verified.append(
                Verified(
                    architecture=found.architecture,
                    rank=len(self.verified) + 1,
                    objective=self.setting.chosen.objective,
                    objective_value=found.objective_value,
                    predicted_latency_ms=predicted,
                    bound_ms=bound,
                    measured_latency_ms=latency_ms,
                )
            )

    def winner_measured(self) -> Verified | None:
        """Return the best candidate measured within the budget; None if no candidate is."""
        meeting = [known for known in self.verified if known.measured_latency_ms <= self.limit_ms]
        return min(meeting, key=lambda known: known.objective_value, default=None)

    def winner(self) -> tuple[Architecture, Verified | None, str]:
        """Return the winner, its measurement and a verdict; if none meets the budget, the fastest measured wins."""
        if self.unverified is not None:
            return self.eligible()[0].architecture, None, UNVERIFIED
        if (met := self.winner_measured()) is not None:
            return met.architecture, met, MET
        nearest = min(self.verified, key=lambda known: known.measured_latency_ms)
        return nearest.architecture, nearest, NOT_MET

    def summary(self) -> dict[str, Any]:
        """Describe the winner and why it won."""
        architecture, measured, status = self.winner()
        own = next(found for found in self.candidates if found.architecture == architecture)
        predictor = self.problem.predictor
        others = sorted(
            (found for found in self.within() if found.whole and found is not own), key=lambda found: found.rank
        )
        return {
            "architecture": architecture.to_dict(),
            "digest": architecture.digest,
            "budget": self.budget,
            "budget_ms": self.limit_ms,
            "predicted_latency_ms": float(predictor.predict([architecture])[0]),
            "bound_ms": float(predictor.upper_bound([architecture])[0]),
            "measured_latency_ms": measured.measured_latency_ms if measured is not None else None,
            **self._winner_quality(own),
            "verification": {
                "status": status,
                "reason": self.unverified,
                "rank": measured.rank if measured is not None else None,
                "measured": [known.to_dict() for known in self.verified],
                "constraint": "upper bound" if self.problem.bounded else "prediction",
                "corrections": self.corrections,
            },
            "why": {
                "rank": measured.rank if measured is not None else 1,
                "evaluated": len(self.within()),
                "algorithm": self.setting.chosen.algorithm,
                "generations": 1 + max(candidate.generation for candidate in self.candidates),
                "found_in_generation": own.generation,
                "origin": own.origin,
                "runner_up": runner_up(own, others[0], self.setting.chosen.objective) if others else None,
                "fastest_of_space_ms": self.problem.fastest_ms,
            },
        }


def runner_up(winner: Candidate, other: Candidate, objective: ObjectiveName) -> dict[str, Any]:
    """Describe the best other candidate; a margin below 0 means that it is better but too slow on the device."""
    return {
        "architecture": other.architecture.to_dict(),
        "digest": other.architecture.digest,
        "predicted_latency_ms": other.predicted_latency_ms,
        **named_value(objective, other.objective_value),
        "margin": other.objective_value - winner.objective_value,
    }
