"""How well validation loss predicts the BLEU ranking."""

from pathlib import Path
from typing import Any

import numpy as np

from hat.artifacts.files import file_digest, only_one, provenance, write_json
from hat.artifacts.missing import require_artifact
from hat.config.scope import TaskScope
from hat.config.search import ObjectiveName
from hat.data.chunks import in_chunks
from hat.errors import InputError
from hat.latency.predictor.accuracy import kendall_tau
from hat.latency.selection import draw_architectures
from hat.search.context import evaluation_context
from hat.search.evaluations import Evaluations
from hat.search.evaluator import Evaluator
from hat.search.workers import Workers
from hat.space.search_space import SearchSpace
from hat.system.progress import progress

BOOTSTRAPS = 2000
# Architectures handed to the workers between two reports of progress.
SIDE_BY_SIDE = 16


def compare_objectives(scope: TaskScope, count: int) -> Path:
    """Write search/objectives.json: how well validation loss predicts the BLEU ranking of Architectures.

    Both use the same validation sentences and inherited weights; evaluations are kept in the task's cache.

    Args:
        scope: the task.
        count: Architectures drawn, the largest and the smallest among them; at least 3.

    Raises:
        InputError: the checkpoint or the data are missing, or ``count`` is too small.
    """
    if count < 3:
        raise InputError(f"--count is {count}, expected at least 3 Architectures to rank")
    points = list(draw_architectures(SearchSpace(scope.space), count, scope.settings.seed, "random"))
    path = scope.evaluations.with_name("objectives.json")
    weights = file_digest(require_artifact(scope.supertransformer / "checkpoint.pt"))
    found: dict[ObjectiveName, list[float]] = {"loss": [], "bleu": []}
    with (
        only_one(path.parent, "Comparing objectives"),
        progress(f"Objectives of {scope.task}", 2 * len(points)) as tracker,
    ):
        for objective, values in found.items():
            workers = Workers(scope, objective)
            context = evaluation_context(scope, weights, objective)
            evaluator = Evaluator(Evaluations(scope.evaluations, context, objective), workers)
            for some in in_chunks(points, SIDE_BY_SIDE):
                values += [known.loss() for known in evaluator.known(some, workers.blocks)]
                tracker(sum(map(len, found.values())), objective)
            workers.close()
        loss, bleu = np.array(found["loss"]), 100 - np.array(found["bleu"])
        low, high = _bootstrap(loss, bleu, scope.settings.seed)
        content = {
            "architectures": len(points),
            "validation_sentences": scope.task_settings.search.validation_sentences,
            "kendall_tau": kendall_tau(-loss, bleu),
            "kendall_tau_95_percent": [low, high],
            "values": [
                {"digest": point.digest, "validation_loss": float(one), "bleu": float(other)}
                for point, one, other in zip(points, loss, bleu, strict=True)
            ],
            "provenance": provenance(seed=scope.settings.seed, settings={"weights": weights, "count": count}),
        }
        write_json(path, content)
    return path


def _bootstrap(loss: Any, bleu: Any, seed: int) -> tuple[float, float]:
    """Compute the bootstrap interval of Kendall's tau."""
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(loss), len(loss)) for _ in range(BOOTSTRAPS))
    low, high = np.quantile([kendall_tau(-loss[rows], bleu[rows]) for rows in drawn], [0.025, 0.975]).tolist()
    return low, high
