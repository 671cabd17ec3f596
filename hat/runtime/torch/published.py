"""The torch-published Runtime: the same networks, executed the way the research code does, to compare with.

Time first, attention by bmm with a softmax in fp32, caches that are copied whole to grow by a position, the outputs of
all encoder layers and cross-attention keys repeated for every beam, all of which are gathered anew after each step, and
those that a layer attends to joined in each step (fairseq 0.8, as HAT has it). The output projection gets the features
of each beam as a sentence of its own, [N, 1, D], which takes PyTorch twice the time of [N, D]. Weights and results are
those of the torch Runtime.
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
    """[T, N, H x K] -> [N x H, T, K]."""
    return x.contiguous().view(x.size(0), x.size(1) * heads, -1).transpose(0, 1)


def _attend(query: Tensor, keys: Tensor, values: Tensor, refused: Tensor | None, heads: int) -> Tensor:
    """[N x H, T, K] x [N x H, S, K] -> [T, N, H x K]; ``refused`` is true on padding, [N, S]."""
    rows, length, width = query.shape
    scores = torch.bmm(query * width**-0.5, keys.transpose(1, 2))
    if refused is not None:
        scores = scores.view(-1, heads, *scores.shape[1:]).masked_fill(refused[:, None, None], -torch.inf)
        scores = scores.view(rows, length, -1)
    weights = F.softmax(scores.float(), dim=-1).type_as(scores)
    attended = torch.bmm(weights, values)
    return attended.transpose(0, 1).contiguous().view(length, rows // heads, -1)


class _PublishedStepper(TorchStepper):
    """Caches of N = B x beam hypotheses in the middle of decoding; see :class:`hat.runtime.beam.Stepper`."""

    def __init__(self, model: Transformer, source: Tensor, beam: int) -> None:
        super().__init__(range(model.output_weight.size(0)), beam, model.output_weight.device)
        self.model = model
        self.position = 0
        outputs, mask = self._encode(source)
        encoded = model.attended(outputs)
        every = torch.arange(source.size(0), device=self.device).repeat_interleave(beam)
        self.encoded = [output.index_select(1, every) for output in encoded]
        # The last output twice: by itself, and among those of all layers.
        self.unattended = [output.index_select(1, every) for output in outputs[: len(outputs) - len(encoded) + 1]]
        self.refused = None if mask is None else ~mask[:, 0, 0].index_select(0, every)
        self.own: list[KeysValues | None] = [None] * len(model.active_decoder)
        self.cross: list[KeysValues | None] = [None] * len(model.active_decoder)

    def _encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Outputs of all encoder layers, each [S, B, D], and a mask that is true on tokens, [B, 1, 1, S]."""
        model = self.model
        rows, mask = model.embed_source(source)
        x = rows.view(*source.shape, -1).transpose(0, 1)
        refused = None if mask is None else ~mask[:, 0, 0]
        encoded = []
        for layer in model.active_encoder:
            inner = layer.attention_residual.prepare(x)
            query, keys, values = self._project(layer.attention, inner)
            attended = _attend(query, keys, values, refused, layer.attention.heads)
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
        """Log-probabilities [N, V] of the token after ``tokens`` [N]."""
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
            # Joined in every step, used in the first.
            encoded = torch.cat(memories) if len(memories := layer.memories_of(self.encoded)) > 1 else memories[0]
            if (memory := self.cross[number]) is None:
                memory = self.cross[number] = self._cross_project(cross, encoded)
            refused = None if self.refused is None else self.refused.repeat(1, layer.cross_span)
            query = _split(cross.query(layer.cross_attention_residual.prepare(x)), cross.heads)
            x = layer.cross_attention_residual.join(x, cross.out(_attend(query, *memory, refused, cross.heads)))
            x = layer.ffn_residual.join(x, layer.ffn(layer.ffn_residual.prepare(x)))
        if model.decoder_norm is not None:
            x = model.decoder_norm(x)
        self.position += 1
        return F.log_softmax(model.logits(x.transpose(0, 1)).float(), dim=-1)[:, -1]

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """Go on with these rows: everything that is kept is gathered."""
        kept = torch.as_tensor(hypotheses, device=self.device)
        self.encoded = [output.index_select(1, kept) for output in self.encoded]
        self.unattended = [output.index_select(1, kept) for output in self.unattended]
        self.refused = None if self.refused is None else self.refused.index_select(0, kept)
        for number, layer in enumerate(self.model.active_decoder):
            self.own[number] = _gathered(self.own[number], kept, layer.attention.heads)
            self.cross[number] = _gathered(self.cross[number], kept, layer.cross_attention.heads)


def _gathered(kept: KeysValues | None, hypotheses: Tensor, heads: int) -> KeysValues | None:
    if kept is None:
        return None
    keys, values = (part.view(-1, heads, *part.shape[1:]).index_select(0, hypotheses).flatten(0, 1) for part in kept)
    return keys, values


class PublishedModel(TorchModel):
    """A network that translates as the research code does."""

    def stepper(self, source: Tensor, beam: int, candidates: list[np.ndarray] | None) -> _PublishedStepper:
        """The network after reading a batch."""
        return _PublishedStepper(cast(Transformer, self.model), source, beam)


class TorchPublishedRuntime(TorchRuntime):
    """Loads networks that are executed as published: the files are the torch Runtime's, without a shortlist."""

    facts = RUNTIMES["torch-published"]

    def write(self, folder: "Path", blueprint: Blueprint, weights: Weights, shortlist: "Shortlist | None") -> None:
        """See :class:`hat.runtime.base.Runtime`; the research code has no shortlist, so none is written."""
        super().write(folder, blueprint, weights, None)

    def loaded(self, model: EncoderDecoder, shortlist: "Shortlist | None") -> PublishedModel:
        """The network, ready to translate."""
        return PublishedModel(model.to(self.device))
