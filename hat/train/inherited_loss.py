"""Validation loss of networks without training: with inherited or with random weights."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from hat.config.scope import TaskScope
from hat.config.training import Training
from hat.data.binary.batches import Batch, PairedSplit, length_batches, spread_numbers, validation_batches
from hat.data.task_shape import task_shape
from hat.data.text.special_tokens import PAD
from hat.model.networks import build_network
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture
from hat.train.objective import Objective, validate
from hat.train.parent import load_parent

# Blocks of the validation subset; an evaluation is stored as the sums of its blocks.
BLOCKS = 54
ORDER_SEED = 0


class InheritedLoss:
    """Evaluates Architectures on a fixed subset of the validation split, block by block.

    The subset is in a fixed random order, so that its first blocks are a random sample of it.

    Args:
        scope: the task.
        gpu: number of the GPU to use; default: the CPU, with one thread for reproducible sums.

    Raises:
        InputError: the checkpoint or the data are missing or malformed.
    """

    def __init__(self, scope: TaskScope, gpu: int | None = None) -> None:
        chosen = scope.task_settings
        training = chosen.supertransformer
        torch.set_num_threads(1)
        self._device = torch.device("cpu") if gpu is None else torch.device("cuda", gpu)
        model = load_parent(scope).model
        self._model = model.to(self._device)
        self._objective = Objective(model, training).eval()
        self._split = PairedSplit(scope.data, chosen, "validation")
        self._batch_tokens = training.batch_tokens
        numbers = spread_numbers(len(self._split), chosen.search.validation_sentences)
        order = np.random.default_rng(ORDER_SEED).permutation(len(numbers))
        self._blocks = np.array_split(numbers[order], min(BLOCKS, len(numbers)))
        self._batches: dict[tuple[int, int], list[tuple[Batch, npt.NDArray[np.int64]]]] = {}

    @property
    def blocks(self) -> int:
        """Number of blocks in the subset."""
        return len(self._blocks)

    def sums(self, requests: Sequence[tuple[Architecture, int, int]]) -> Iterator[tuple[list[float], list[float]]]:
        """Yield the nll (nats) and target tokens of the blocks ``first`` to ``last`` - 1 of each request, in order."""
        for architecture, first, last in requests:
            self._model.select(architecture)
            nll, tokens = torch.zeros(last - first, dtype=torch.float64), torch.zeros(last - first, dtype=torch.float64)
            for batch, owners in self._batches_of(first, last):
                positions = torch.from_numpy(owners)
                nll.index_add_(0, positions, self._objective.sentence_nll(batch).cpu())
                tokens.index_add_(0, positions, (batch.target != PAD).sum(1).cpu().double())
            yield nll.tolist(), tokens.tolist()

    def _batches_of(self, first: int, last: int) -> list[tuple[Batch, npt.NDArray[np.int64]]]:
        """Return the batches of some blocks, each with the position of every sentence's block among them."""
        if (first, last) not in self._batches:
            chosen = self._blocks[first:last]
            owner = {int(number): place for place, block in enumerate(chosen) for number in block}
            self._batches[first, last] = [
                (self._split.batch(rows).to(self._device), np.array([owner[int(number)] for number in rows]))
                for rows in length_batches(self._split, self._batch_tokens, np.concatenate(chosen))
            ]
        return self._batches[first, last]

    def __call__(self, architecture: Architecture) -> float:
        """Return the negative log-likelihood on the whole subset, nats per token."""
        nll, tokens = next(self.sums([(architecture, 0, self.blocks)]))
        return sum(nll) / sum(tokens)


def untrained_loss(scope: TaskScope, architecture: AnyArchitecture, baseline: str | None = None) -> float:
    """Return the negative log-likelihood of a random-weight network on the validation split, nats per token.

    Args:
        scope: the task.
        architecture: Architecture of the network.
        baseline: name of the baseline, if it is one.
    """
    chosen = scope.task_settings
    torch.manual_seed(scope.settings.seed)
    model = build_network(architecture, task_shape(scope, baseline))
    split = PairedSplit(scope.data, chosen, "validation")
    training: Training = chosen.subtransformer
    if baseline is not None:
        training = scope.settings.baseline_training(scope.task, baseline)
    return validate(Objective(model, training), list(validation_batches(split, training.batch_tokens))).nll
