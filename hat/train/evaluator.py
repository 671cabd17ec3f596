"""Validation loss of Architectures with the weights that they inherit from the SuperTransformer."""

import os

import torch

from hat.data.batches import PairedSplit, validation_batches
from hat.layout import Results
from hat.model.supertransformer import SuperTransformer
from hat.settings import Settings
from hat.space import Architecture, SearchSpace
from hat.train import checkpoints
from hat.train.loop import fix_rows, validate
from hat.train.stages import task_shape


class InheritedLoss:
    """Evaluates Architectures on a fixed subset of the validation split.

    Args:
        settings: the configuration.
        results: where the SuperTransformer and the data are.
        task: name of the task.

    Raises:
        InputError: the checkpoint or the data are missing or malformed.
    """

    def __init__(self, settings: Settings, results: Results, task: str) -> None:
        chosen = settings.task(task)
        self.training = chosen.supertransformer
        torch.set_num_threads(self.training.threads or len(os.sched_getaffinity(0)))
        self.model = SuperTransformer(SearchSpace(settings.space_of(task)), task_shape(settings, results, task))
        self.model.load_state_dict(checkpoints.load(results.supertransformer(task) / "checkpoint.pt")["model"])
        fix_rows(self.model, self.training)
        self.batches = list(
            validation_batches(
                PairedSplit(results.data(task), chosen, "validation"),
                self.training.batch_tokens,
                chosen.search.validation_sentences,
            )
        )

    def __call__(self, architecture: Architecture) -> float:
        """Negative log-likelihood in nats a token."""
        self.model.select(architecture)
        return validate(self.model, self.batches, self.training).nll
