"""The torch-published Runtime: executes networks the way the research code (fairseq 0.8 in HAT) does, for comparison.

Weights and results equal the torch Runtime's. The operations that take time differ:

- Time is the first dimension; attention is bmm with a softmax in fp32.
- A KV cache is copied whole to grow by a position.
- Encoder outputs and cross-attention keys are repeated for every hypothesis, and all are gathered after each step.
- The encoder outputs that a layer attends to are concatenated in each step.
- The output projection gets each hypothesis as a sentence of its own, [N, 1, D], which takes PyTorch twice as long as
  [N, D].
"""

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hat.config.runtimes import RUNTIMES
from hat.model.attention import CrossAttention, SelfAttention
from hat.model.base import EncoderDecoder
from hat.model.transformer import Transformer
from hat.runtime.base import Blueprint, Weights
from hat.runtime.torch.runtime import TorchModel, TorchRuntime, TorchStepper

if TYPE_CHECKING:
    from pathlib import Path

    from hat.runtime.shortlist import Shortlist

# Keys and values of one attention, each [N x H, S, K].
KeysValues = tuple[Tensor, Tensor]


def _split(x: Tensor, heads: int) -> Tensor:
    """Split into heads, [T, N, H x K] -> [N x H, T, K]."""
    return x.contiguous().view(x.size(0), x.size(1) * heads, -1).transpose(0, 1)


def _attend(query: Tensor, keys: Tensor, values: Tensor, padding: Tensor | None, heads: int) -> Tensor:
    """Attend, [N x H, T, K] x [N x H, S, K] -> [T, N, H x K]; ``padding`` is true on padding, [N, S]."""
    rows, length, width = query.shape
    scores = torch.bmm(query * width**-0.5, keys.transpose(1, 2))
    if padding is not None:
        scores = scores.view(-1, heads, *scores.shape[1:]).masked_fill(padding[:, None, None], -torch.inf)
        scores = scores.view(rows, length, -1)
    weights = F.softmax(scores.float(), dim=-1).type_as(scores)
    attended = torch.bmm(weights, values)
    return attended.transpose(0, 1).contiguous().view(length, rows // heads, -1)


class _PublishedStepper(TorchStepper):
    """Decodes N = B x beam hypotheses; see :class:`hat.runtime.beam.Stepper`."""

    def __init__(self, model: Transformer, source: Tensor, beam: int) -> None:
        super().__init__(range(model.output_weight.size(0)), beam, model.output_weight.device)
        self.model = model
        self.position = 0
        outputs, mask = self._encode(source)
        encoded = model.attended(outputs)
        repeated = torch.arange(source.size(0), device=self.device).repeat_interleave(beam)
        self.encoded = [output.index_select(1, repeated) for output in encoded]
        # The research code keeps the last output twice: by itself, and among the outputs of all layers.
        self.unattended = [output.index_select(1, repeated) for output in outputs[: len(outputs) - len(encoded) + 1]]
        self.padding_mask = None if mask is None else ~mask[:, 0, 0].index_select(0, repeated)
        self.own: list[KeysValues | None] = [None] * len(model.active_decoder)
        self.cross: list[KeysValues | None] = [None] * len(model.active_decoder)

    def _encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Return the outputs of all encoder layers, each [S, B, D], and a mask that is true on tokens, [B, 1, 1, S]."""
        model = self.model
        rows, mask = model.embed_source(source)
        x = rows.view(*source.shape, -1).transpose(0, 1)
        padding = None if mask is None else ~mask[:, 0, 0]
        encoded = []
        for layer in model.active_encoder:
            inner = layer.attention_residual.prepare(x)
            query, keys, values = self._project(layer.attention, inner)
            attended = _attend(query, keys, values, padding, layer.attention.heads)
            x = layer.attention_residual.join(x, layer.attention.out(attended))
            x = layer.ffn_residual.join(x, layer.ffn(layer.ffn_residual.prepare(x)))
            encoded.append(x)
        return encoded, mask

    @staticmethod
    def _project(attention: SelfAttention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, values = (_split(part, attention.heads) for part in attention.qkv(x).chunk(3, dim=-1))
        return query, keys, values

    @staticmethod
    def _cross_project(attention: CrossAttention, encoded: Tensor) -> KeysValues:
        keys, values = attention.key_value(encoded).chunk(2, dim=-1)
        return _split(keys, attention.heads), _split(values, attention.heads)

    def step(self, tokens: Tensor) -> Tensor:
        """Return the log-probabilities [N, V] of the token after ``tokens`` [N]."""
        model = self.model
        x = model.embed_target(tokens[:, None], self.position).transpose(0, 1)
        for number, layer in enumerate(model.active_decoder):
            query, keys, values = self._project(layer.attention, layer.attention_residual.prepare(x))
            if (own := self.own[number]) is not None:
                keys, values = torch.cat([own[0], keys], dim=1), torch.cat([own[1], values], dim=1)
            self.own[number] = keys, values
            attended = _attend(query, keys, values, None, layer.attention.heads)
            x = layer.attention_residual.join(x, layer.attention.out(attended))
            cross = layer.cross_attention
            # The research code concatenates them in every step, but uses the result only in the first.
            encoded = torch.cat(memories) if len(memories := layer.memories_of(self.encoded)) > 1 else memories[0]
            if (memory := self.cross[number]) is None:
                memory = self.cross[number] = self._cross_project(cross, encoded)
            padding = None if self.padding_mask is None else self.padding_mask.repeat(1, layer.cross_span)
            query = _split(cross.query(layer.cross_attention_residual.prepare(x)), cross.heads)
            x = layer.cross_attention_residual.join(x, cross.out(_attend(query, *memory, padding, cross.heads)))
            x = layer.ffn_residual.join(x, layer.ffn(layer.ffn_residual.prepare(x)))
        if model.decoder_norm is not None:
            x = model.decoder_norm(x)
        self.position += 1
        return F.log_softmax(model.logits(x.transpose(0, 1)).float(), dim=-1)[:, -1]

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """Select the hypotheses to continue with; all state is gathered."""
        rows = torch.as_tensor(hypotheses, device=self.device)
        self.encoded = [output.index_select(1, rows) for output in self.encoded]
        self.unattended = [output.index_select(1, rows) for output in self.unattended]
        self.padding_mask = None if self.padding_mask is None else self.padding_mask.index_select(0, rows)
        for number, layer in enumerate(self.model.active_decoder):
            self.own[number] = _gathered(self.own[number], rows, layer.attention.heads)
            self.cross[number] = _gathered(self.cross[number], rows, layer.cross_attention.heads)


def _gathered(cache: KeysValues | None, rows: Tensor, heads: int) -> KeysValues | None:
    if cache is None:
        return None
    keys, values = (part.view(-1, heads, *part.shape[1:]).index_select(0, rows).flatten(0, 1) for part in cache)
    return keys, values


class PublishedModel(TorchModel):
    """A network that is executed as the research code does."""

    def stepper(self, source: Tensor, beam: int, candidates: list[np.ndarray] | None) -> _PublishedStepper:
        """Encode a batch; return the stepper that decodes it."""
        return _PublishedStepper(cast(Transformer, self.model), source, beam)


class TorchPublishedRuntime(TorchRuntime):
    """Writes and loads networks that are executed as published; files are the torch Runtime's, without a shortlist."""

    facts = RUNTIMES["torch-published"]

    def write(self, folder: "Path", blueprint: Blueprint, weights: Weights, shortlist: "Shortlist | None") -> None:
        """See :class:`hat.runtime.base.Runtime`; writes no shortlist, as the research code has none."""
        super().write(folder, blueprint, weights, None)

    def loaded(self, model: EncoderDecoder, shortlist: "Shortlist | None") -> PublishedModel:
        """Return the network, ready to translate."""
        return PublishedModel(model.to(self.device))
