"""What a task's search is made of: its space, predictor, evaluator and limits, from the artifacts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hat.artifacts.files import digest, weights_digest
from hat.artifacts.layout import Results
from hat.config.search import Search
from hat.config.settings import Settings
from hat.latency.stages import load_predictor
from hat.measure.workload import workload_of
from hat.search.evaluations import Evaluations
from hat.search.evaluator import Evaluator
from hat.search.problem import Predictor, Problem
from hat.search.workers import Workers
from hat.space.architecture import Architecture
from hat.space.profile import Profile
from hat.space.search_space import SearchSpace


class SearchSetting:
    """All that searches of a task on a device have in common.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: name of the task.
        device: name of the device.

    Raises:
        InputError: the predictor or the SuperTransformer is missing.
    """

    def __init__(self, settings: Settings, results: Results, task: str, device: str) -> None:
        self.settings, self.results, self.task, self.device = settings, results, task, device
        self.chosen: Search = settings.task(task).search
        self.space = SearchSpace(settings.space_on(task, device))
        self.predictor = load_predictor(results, task, device)
        self.weights = weights_digest(results.supertransformer(task) / "checkpoint.pt")

    @contextmanager
    def evaluator(self) -> Iterator[Evaluator]:
        """Evaluates through the task's cache; its processes end with the block."""
        losses = Workers(self.settings, self.results, self.task)
        try:
            context = evaluation_context(self.settings, self.task, self.weights)
            yield Evaluator(Evaluations(self.results.evaluations(self.task), context), losses)
        finally:
            losses.close()

    def problem(
        self, evaluator: Evaluator, budgets_ms: Sequence[float], predictor: Predictor, name: str, *, halving: bool
    ) -> Problem:
        """The problem of some budgets.

        Raises:
            HatError: the smallest cannot be met.
        """
        return Problem(
            space=self.space,
            predictor=predictor,
            budgets_ms=budgets_ms,
            evaluator=evaluator,
            name=name,
            limited=self._limited(),
            # BLEU of a part of the sentences says nothing about single ones.
            halving=halving and self.chosen.objective == "loss",
        )

    def _limited(self) -> Callable[[Architecture], bool]:
        """Whether an Architecture is within ``search.limits``."""
        limits = self.chosen.limits
        if limits == type(limits)():
            return lambda architecture: True
        shape = workload_of(self.settings, self.results, self.task, self.device).shape
        length = self.settings.task(self.task).latency.source_length
        precision = self.settings.device(self.device).precision

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
        """What the result depends on, for its provenance."""
        return {
            "search": self.chosen.model_dump(mode="json"),
            "space": self.space.space.model_dump(mode="json"),
            "predictor": self.predictor.to_dict(),
            "weights": self.weights,
        }


def evaluation_context(settings: Settings, task: str, weights: str, objective: str | None = None) -> str:
    """Digest of all that an evaluation of an objective, ``search.objective`` by default, depends on."""
    chosen = settings.task(task)
    objective = objective or chosen.search.objective
    made_from: dict[str, Any] = {
        "weights": weights,
        "validation_sentences": chosen.search.validation_sentences,
        "objective": objective,
        "precision": chosen.supertransformer.precision,
        "batch_tokens": chosen.supertransformer.batch_tokens,
    }
    if chosen.search.gpus:
        # Sums of a GPU differ in their last digits.
        made_from["gpu"] = True
    if objective == "bleu":
        made_from["scoring"] = chosen.scoring.model_dump(mode="json")
    return digest(made_from)
