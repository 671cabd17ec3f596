"""The context that all searches of a task on a device share: space, predictor, evaluator and limits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from hat.artifacts.files import digest, file_digest
from hat.artifacts.missing import require_artifact
from hat.config.scope import DeviceScope, TaskScope
from hat.config.search import Search
from hat.latency.stages import load_predictor
from hat.measure.workload import workload_of
from hat.runtime.decoding import configured_decoding
from hat.search.evaluations import Evaluations
from hat.search.evaluator import Evaluator
from hat.search.problem import Predictor, Problem
from hat.search.workers import Workers
from hat.space.architecture import Architecture
from hat.space.profile import Profile
from hat.space.search_space import SearchSpace


class SearchContext:
    """Space, predictor, weights and settings of the searches of a task on a device.

    Args:
        scope: the task and the device.

    Raises:
        InputError: the predictor or the SuperTransformer is missing.
    """

    def __init__(self, scope: DeviceScope) -> None:
        self.scope = scope
        self.chosen: Search = scope.task_settings.search
        self.space = SearchSpace(scope.device_space)
        self.predictor = load_predictor(scope)
        self.weights = file_digest(require_artifact(scope.supertransformer / "checkpoint.pt"))

    @contextmanager
    def evaluator(self) -> Iterator[Evaluator]:
        """Open an evaluator on the task's cache; its processes end with the block."""
        losses = Workers(self.scope)
        try:
            context = evaluation_context(self.scope, self.weights)
            yield Evaluator(Evaluations(self.scope.evaluations, context, self.chosen.objective), losses)
        finally:
            losses.close()

    def problem(
        self, evaluator: Evaluator, budgets_ms: Sequence[float], predictor: Predictor, name: str, *, halving: bool
    ) -> Problem:
        """Return the search problem of one or several budgets.

        Raises:
            HatError: the smallest budget cannot be met.
        """
        return Problem(
            space=self.space,
            predictor=predictor,
            budgets_ms=budgets_ms,
            evaluator=evaluator,
            name=name,
            limited=self._limited(),
            # BLEU is not a sum over sentences, so a subset of them does not estimate it.
            halving=halving and self.chosen.objective == "loss",
            objective=self.chosen.objective,
        )

    def _limited(self) -> Callable[[Architecture], bool]:
        """Return the test whether an Architecture is within ``search.limits``."""
        limits = self.chosen.limits
        if limits == type(limits)():
            return lambda architecture: True
        shape = workload_of(self.scope).shape
        length = self.scope.task_settings.latency.source_length
        precision = self.scope.device_settings.precision

        def limited(architecture: Architecture) -> bool:
            found = Profile.of(architecture, shape, length)
            costs = (
                (limits.params_m, found.params / 1e6),
                (limits.flops_g, found.flops / 1e9),
                (limits.weights_mb, found.memory_bytes[precision] / 1e6),
            )
            return all(limit is None or cost <= limit for limit, cost in costs)

        return limited

    def made_from(self) -> dict[str, Any]:
        """Return the settings and inputs of the result, for its provenance."""
        return {
            "search": self.chosen.model_dump(mode="json"),
            "space": self.space.space.model_dump(mode="json"),
            "predictor": self.predictor.to_dict(),
            "weights": self.weights,
        }


def evaluation_context(scope: TaskScope, weights: str, objective: str | None = None) -> str:
    """Return a digest of everything that an evaluation depends on besides the Architecture."""
    chosen = scope.task_settings
    objective = objective or chosen.search.objective
    made_from: dict[str, Any] = {
        "weights": weights,
        "validation_sentences": chosen.search.validation_sentences,
        "objective": objective,
        "precision": chosen.supertransformer.precision,
        "batch_tokens": chosen.supertransformer.batch_tokens,
    }
    if chosen.search.gpus:
        # Sums on a GPU differ in their last digits.
        made_from["gpu"] = True
    if objective == "bleu":
        made_from["decoding"] = asdict(configured_decoding(chosen.scoring))
    return digest(made_from)
