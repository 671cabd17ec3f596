"""The stage of search: the best Architecture under a budget, and everything that was tried on the way."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from hat.artifacts import digest, only_one, provenance, write_json
from hat.errors import InputError
from hat.latency.dataset import write_parquet
from hat.latency.stages import load_predictor
from hat.layout import Results
from hat.progress import progress
from hat.search.evaluations import Evaluations
from hat.search.genetic import GeneticSearch
from hat.search.problem import Candidate, Problem, run
from hat.settings import Settings, budget_ms
from hat.space import SearchSpace
from hat.train.evaluator import InheritedLoss


def search(settings: Settings, results: Results, task: str, device: str, budget: str) -> Path:
    """Write BUDGET/architecture.json, the winner, and BUDGET/search.parquet, every candidate.

    Losses are kept in BUDGET/search.jsonl as they are found; an interrupted search goes on from there and
    ends with the same result.

    Raises:
        HatError: the budget cannot be met, or a loss is not a number.
        InputError: the budget is no budget, or the predictor or the SuperTransformer is missing.
    """
    limit_ms = budget_ms(budget)
    space = SearchSpace(settings.space_on(task, device))
    chosen = settings.task(task).search
    predictor = load_predictor(results, task, device)
    folder = results.budget(task, device, budget)
    weights = weights_digest(results.supertransformer(task) / "checkpoint.pt")
    context = digest({"weights": weights, "validation_sentences": chosen.validation_sentences})

    @cache
    def evaluator() -> InheritedLoss:
        return InheritedLoss(settings, results, task)

    with only_one(folder, f"Searching for {budget}"):
        problem = Problem(
            space=space,
            predictor=predictor,
            budget_ms=limit_ms,
            evaluate=lambda architecture: evaluator()(architecture),
            evaluations=Evaluations(folder / "search.jsonl", context),
            name=f"{budget} on device {device!r}",
        )
        algorithm = GeneticSearch(problem, chosen, settings.seed)
        with progress(f"Searching for {budget}", algorithm.planned) as tracker:
            candidates = run(problem, algorithm, tracker)
        made_from = {
            "search": chosen.model_dump(mode="json"),
            "space": space.space.model_dump(mode="json"),
            "predictor": predictor.to_dict(),
            "weights": weights,
            "budget_ms": limit_ms,
        }
        made = provenance(seed=settings.seed, settings=made_from)
        write_parquet(folder / "search.parquet", table(candidates), {"budget": budget, "provenance": made})
        path = folder / "architecture.json"
        write_json(path, summary(candidates, problem, budget, chosen.algorithm) | {"provenance": made})
    return path


def weights_digest(path: Path) -> str:
    """SHA-256 of a checkpoint.

    Raises:
        InputError: there is no such file.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; it is made by training the SuperTransformer") from None


def table(candidates: Sequence[Candidate]) -> pd.DataFrame:
    """One row for each candidate, in the order of evaluation."""
    return pd.DataFrame(
        {
            "order": candidate.order,
            "generation": candidate.generation,
            "origin": candidate.origin,
            "digest": candidate.architecture.digest,
            "architecture": candidate.architecture.to_json(),
            "predicted_latency_ms": candidate.predicted_latency_ms,
            "validation_loss": candidate.validation_loss,
        }
        for candidate in candidates
    )


def summary(candidates: Sequence[Candidate], problem: Problem, budget: str, algorithm: str) -> dict[str, Any]:
    """The winner and why it won."""
    ranked = sorted(candidates, key=lambda candidate: candidate.rank)
    winner = ranked[0]
    runner_up = ranked[1] if len(ranked) > 1 else None
    return {
        "architecture": winner.architecture.to_dict(),
        "digest": winner.architecture.digest,
        "budget": budget,
        "budget_ms": problem.budget_ms,
        "predicted_latency_ms": winner.predicted_latency_ms,
        "validation_loss": winner.validation_loss,
        "why": {
            "rank": 1,
            "evaluated": len(candidates),
            "algorithm": algorithm,
            "generations": 1 + max(candidate.generation for candidate in candidates),
            "found_in_generation": winner.generation,
            "origin": winner.origin,
            "runner_up": None
            if runner_up is None
            else {
                "architecture": runner_up.architecture.to_dict(),
                "digest": runner_up.architecture.digest,
                "predicted_latency_ms": runner_up.predicted_latency_ms,
                "validation_loss": runner_up.validation_loss,
                "margin": runner_up.validation_loss - winner.validation_loss,
            },
            "fastest_of_space_ms": problem.fastest_ms,
        },
    }
