"""Validation loss of networks as they are: with inherited weights, and with random ones."""

import os

import torch

from hat.baselines import AnyArchitecture
from hat.data.batches import PairedSplit, validation_batches
from hat.layout import Results
from hat.model.networks import build_network
from hat.model.supertransformer import SuperTransformer
from hat.settings import Settings
from hat.shapes import task_shape
from hat.space import Architecture, SearchSpace
from hat.train import checkpoints
from hat.train.objective import Objective, validate


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
        self.objective = Objective(self.model, self.training)
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
        return validate(self.objective, self.batches).nll


def untrained_loss(
    settings: Settings, results: Results, task: str, architecture: AnyArchitecture, baseline: str | None = None
) -> float:
    """Negative log-likelihood of a network with random weights on the validation split, nats a token.

    Args:
        settings: the configuration.
        results: where the data are.
        task: name of the task.
        architecture: of the network.
        baseline: name of the baseline that it is of, if it is.
    """
    chosen = settings.task(task)
    torch.manual_seed(settings.seed)
    model = build_network(architecture, task_shape(settings, results, task, baseline))
    split = PairedSplit(results.data(task), chosen, "validation")
    training = chosen.subtransformer
    return validate(Objective(model, training), list(validation_batches(split, training.batch_tokens))).nll
