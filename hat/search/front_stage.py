"""The stage that searches once for all budgets of a device."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hat.artifacts.files import only_one, provenance, write_json
from hat.config.scope import DeviceScope
from hat.errors import InputError
from hat.latency.dataset import write_parquet
from hat.search.algorithms.registry import make_algorithm
from hat.search.context import SearchContext
from hat.search.evaluator import Evaluator
from hat.search.front import hypervolume, pareto_front
from hat.search.objective import named_value
from hat.search.problem import Candidate, run
from hat.search.tables import table
from hat.space.moves import extreme
from hat.system.progress import progress

# Most promising stopped candidates to evaluate fully at the end, to see what stopping cost.
AUDITED = 3


def search_front(scope: DeviceScope) -> Path:
    """Search for all budgets at once; write search/candidates.parquet, search/front.parquet and search/front.json.

    Evaluations are kept in the task's cache as they are made; an interrupted search continues from them and ends with
    the same result.

    Raises:
        HatError: a loss is not a number, or the smallest Architecture is above the limits.
        InputError: the algorithm searches each budget for itself, or the predictor or the SuperTransformer is missing.
    """
    setting = SearchContext(scope)
    chosen = setting.chosen
    if not chosen.all_budgets:
        raise InputError(
            f"task {scope.task!r}, search.algorithm: {chosen.algorithm!r} searches for one budget at a time"
        )
    folder = scope.search
    with only_one(folder, f"Searching on {scope.device}"), setting.evaluator() as evaluator:
        levels = latency_levels(setting)
        where = f"{levels[0]:.4g}ms on device {scope.device!r}"
        problem = setting.problem(evaluator, levels, setting.predictor, where, halving=chosen.halving)
        algorithm = make_algorithm(chosen.algorithm, problem, chosen, scope.settings.seed)
        with progress(f"Searching on {scope.device}", algorithm.planned) as tracker:
            candidates = run(problem, algorithm, tracker)
        candidates, halving = audit(candidates, evaluator)
        front = pareto_front(candidates)
        made = provenance(seed=scope.settings.seed, settings=setting.made_from())
        write_parquet(folder / "candidates.parquet", table(candidates, chosen.objective), {"provenance": made})
        write_parquet(folder / "front.parquet", table(front, chosen.objective), {"provenance": made})
        worst = max(candidate.objective_value for candidate in candidates)
        path = folder / "front.json"
        write_json(
            path,
            {
                "algorithm": chosen.algorithm,
                "evaluated": len(candidates),
                "levels_ms": levels,
                "front": len(front),
                "hypervolume": hypervolume(
                    [(found.bound_ms, found.objective_value) for found in front], (levels[-1], worst)
                ),
                "hypervolume_reference": {"bound_ms": levels[-1], **named_value(chosen.objective, worst)},
                # The objective `bleu` stops no candidate early, so there is nothing to report.
                "halving": halving if chosen.objective == "loss" else None,
                "provenance": made,
            },
        )
    return path


def latency_levels(setting: SearchContext) -> list[float]:
    """Return the latencies in milliseconds that the search aims at, evenly over the space; the last exceeds all."""
    bound, space = setting.predictor.upper_bound, setting.space
    _, fastest = extreme(space, bound, [space.smallest])
    _, slowest = extreme(space, bound, [space.largest], slowest=True)
    values: list[float] = np.linspace(fastest, slowest, setting.chosen.levels + 1)[1:].tolist()
    return values


def audit(candidates: Sequence[Candidate], evaluator: Evaluator) -> tuple[list[Candidate], dict[str, Any]]:
    """Fully evaluate the most promising stopped candidates, and report what stopping saved and cost.

    Returns:
        The candidates, the audited ones with their true losses, and the report: tokens evaluated with
        and without stopping, the largest half-width of an estimate's interval, and each audited estimate beside the
        loss; ``missed`` are those that belong to the front.
    """
    stopped = sorted((found for found in candidates if not found.whole), key=lambda found: found.rank)
    points = [found.architecture for found in stopped[:AUDITED]]
    blocks = evaluator.known(points, evaluator.losses.blocks) if points else []
    known = {
        point: replace(found, objective_value=own.loss(), loss_error=0.0, whole=True, tokens=math.fsum(own.tokens))
        for point, found, own in zip(points, stopped, blocks, strict=False)
    }
    result = [known.get(found.architecture, found) for found in candidates]
    front = {found.architecture for found in pareto_front(result)}
    whole = max((found.tokens for found in result if found.whole), default=0.0)
    return result, {
        "stopped": len(stopped),
        "tokens": math.fsum(found.tokens for found in result),
        "tokens_without": whole * len(result),
        "largest_interval": max((found.loss_error for found in stopped), default=0.0),
        "audited": [
            {
                "digest": found.architecture.digest,
                "estimate": found.objective_value,
                "interval": found.loss_error,
                "validation_loss": known[found.architecture].objective_value,
            }
            for found in stopped[:AUDITED]
        ],
        "missed": sum(point in front for point in points),
    }
