"""The loss of a batch as a module that DistributedDataParallel can wrap, and validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.config.training import Training
from hat.data.binary.batches import Batch
from hat.data.text.special_tokens import PAD
from hat.model.base import EncoderDecoder
from hat.train.loss import Teacher, projected_loss, token_nll
from hat.train.processes import ALONE, Processes

# Batches are padded with rows of zeros, so that matrix products have few distinct shapes. In bf16 a CPU compiles a
# kernel for each shape: a multiple of 128 rows, 2 % more. A GPU's library takes half a millisecond to choose a kernel
# for a new shape: a multiple of a sixteenth of a batch, 3 % more.
CPU_ROWS = 128
GPU_PARTS = 16
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Objective(nn.Module):
    """Loss of a network on a batch.

    Args:
        model: network on its device; its ``row_multiple`` is set.
        training: label smoothing and precision.
    """

    def __init__(self, model: EncoderDecoder, training: Training) -> None:
        super().__init__()
        self.model = model
        self.smoothing = training.label_smoothing
        self.dtype = PRECISIONS[training.precision]
        if model.output_weight.is_cuda:
            model.row_multiple = max(1, training.batch_tokens // GPU_PARTS)
        else:
            model.row_multiple = CPU_ROWS if training.precision == "bf16" else 1

    def forward(
        self, source: Tensor, previous: Tensor, target: Tensor, teacher: Teacher | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the loss and the nll, summed over target tokens, in nats, and the hidden states [R, D].

        Args:
            source: [B, S].
            previous: target shifted right, [B, T].
            target: [B, T].
            teacher: outputs of a network to learn from.
        """
        hidden, rows = self._hidden(source, previous, target)
        loss, nll = projected_loss(
            hidden, self.model.output_weight, rows, smoothing=self.smoothing, teacher=teacher, dtype=self.dtype
        )
        return loss, nll, hidden

    def _hidden(self, source: Tensor, previous: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states before the output projection, [R, D], and their targets, [R], both padded beyond B x T."""
        with torch.autocast(source.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            hidden = self.model(source, previous)
        rows = target.flatten()
        return hidden, F.pad(rows, (0, hidden.size(0) - rows.size(0)), value=PAD)

    @torch.inference_mode()
    def sentence_nll(self, batch: Batch) -> Tensor:
        """Return the negative log-likelihood of each sentence in nats, summed over its target tokens, [B]."""
        hidden, rows = self._hidden(batch.source, batch.previous, batch.target)
        nll = token_nll(hidden, self.model.output_weight, rows, dtype=self.dtype)
        return nll[: batch.target.numel()].view_as(batch.target).sum(1, dtype=torch.float64)

    @torch.no_grad()
    def teaching(self, batch: Batch, share: float) -> Teacher:
        """Return the outputs of the model for another network to learn from."""
        hidden, _ = self._hidden(batch.source, batch.previous, batch.target)
        return Teacher(hidden, self.model.output_weight, share)

    def as_teacher(self, hidden: Tensor) -> Teacher:
        """Return outputs that the model has just computed, for another network to learn from."""
        return Teacher(hidden.detach(), self.model.output_weight.detach())


@dataclass(frozen=True)
class Validation:
    """Mean losses over a set of batches, nats per token."""

    loss: float
    nll: float


@torch.inference_mode()
def validate(objective: Objective, batches: Sequence[Batch], processes: Processes = ALONE) -> Validation:
    """Compute the losses of the model without dropout; the processes share the batches."""
    was_training = objective.training
    objective.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=processes.device)
    for batch in batches[processes.rank :: processes.count]:
        here = batch.to(processes.device)
        loss, nll, _ = objective(here.source, here.previous, here.target)
        sums += torch.stack([loss, nll, torch.full_like(loss, batch.tokens)]).double()
    objective.train(was_training)
    loss, nll, tokens = processes.sum(sums).tolist()
    return Validation(loss / tokens, nll / tokens)
