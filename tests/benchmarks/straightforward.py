"""The elastic Transformer as one writes it down at first: what the training loop's speed is compared with.

Time-first layout [T, B, D], attention as batched products with a softmax in fp32, positions and padding carried through
every layer, logits of the whole batch, their full log-softmax, dropout and Adam as torch has them by default. It reads
the weights of a :class:`hat.model.supertransformer.SuperTransformer` and computes the same loss.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from hat.data.binary.batches import Batch, PairedSplit
from hat.data.text.special_tokens import PAD
from hat.model.feed_forward import Residual
from hat.model.supertransformer import SuperTransformer


class Straightforward:
    """Forward pass and loss of the selected Architecture, with dropout where the model is in training mode."""

    def __init__(self, model: SuperTransformer, smoothing: float) -> None:
        self.model = model
        self.smoothing = smoothing

    def loss(self, batch: Batch) -> Tensor:
        """Return the label-smoothed loss summed over the target tokens, in nats."""
        model = self.model
        architecture = model.architecture
        padding = batch.source == PAD
        x = self._embed(batch.source, architecture.encoder_embed_dim)
        outputs = []
        for layer, heads in zip(model.encoder, architecture.encoder_heads, strict=False):
            inner = self._self(layer.attention, self._before(layer.attention_residual, x), heads, padding)
            x = self._after(layer.attention_residual, x, inner)
            x = self._after(layer.ffn_residual, x, self._ffn(layer.ffn, self._before(layer.ffn_residual, x)))
            outputs.append(x if model.encoder_norm is None else model.encoder_norm(x))
        y = self._embed(batch.previous, architecture.decoder_embed_dim)
        for number, layer in enumerate(model.active_decoder):
            span = architecture.decoder_cross_span[number]
            inner = self._before(layer.attention_residual, y)
            inner = self._self(layer.attention, inner, architecture.decoder_self_heads[number], None)
            y = self._after(layer.attention_residual, y, inner)
            inner, memory = self._before(layer.cross_attention_residual, y), torch.cat(outputs[: -span - 1 : -1])
            heads = architecture.decoder_cross_heads[number]
            inner = self._cross(layer.cross_attention, inner, memory, heads, padding.repeat(1, span))
            y = self._after(layer.cross_attention_residual, y, inner)
            y = self._after(layer.ffn_residual, y, self._ffn(layer.ffn, self._before(layer.ffn_residual, y)))
        if model.decoder_norm is not None:
            y = model.decoder_norm(y)
        return self._smoothed(model.logits(y), batch.target.t())

    def _smoothed(self, logits: Tensor, target: Tensor) -> Tensor:
        probabilities = F.log_softmax(logits.float(), dim=-1)
        real = target != PAD
        nll = -probabilities.gather(-1, target[..., None])[..., 0][real].sum()
        mean = -probabilities.mean(-1)[real].sum()
        return (1 - self.smoothing) * nll + self.smoothing * mean

    def _embed(self, tokens: Tensor, dim: int) -> Tensor:
        model = self.model
        real = tokens != PAD
        x = model.source_embedding(tokens, dim) * math.sqrt(dim)
        x = x + model.encoder_positions(real.cumsum(1) * real, dim, tokens.size(1))
        return self._drop(x, self.model.dropouts.residual).transpose(0, 1)

    def _drop(self, x: Tensor, rate: float) -> Tensor:
        return F.dropout(x, rate, self.model.training)

    def _before(self, residual: Residual, x: Tensor) -> Tensor:
        return residual.norm(x) if residual.pre_norm else x

    def _after(self, residual: Residual, x: Tensor, inner: Tensor) -> Tensor:
        x = x + self._drop(inner, residual.dropout)
        return x if residual.pre_norm else residual.norm(x)

    def _ffn(self, ffn: torch.nn.Module, x: Tensor) -> Tensor:
        return ffn.out(self._drop(F.relu(ffn.inner(x)), ffn.dropout))

    def _self(self, attention: torch.nn.Module, x: Tensor, heads: int, padding: Tensor | None) -> Tensor:
        query, key, value = attention.qkv(x).chunk(3, dim=-1)
        mask = None
        if padding is None:
            mask = torch.full((x.size(0), x.size(0)), float("-inf"), device=x.device).triu(1)
        return attention.out(self._attend(query, key, value, heads, padding, mask, attention.dropout))

    def _cross(self, attention: torch.nn.Module, x: Tensor, memory: Tensor, heads: int, padding: Tensor) -> Tensor:
        key, value = attention.key_value(memory).chunk(2, dim=-1)
        return attention.out(self._attend(attention.query(x), key, value, heads, padding, None, attention.dropout))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        heads: int,
        padding: Tensor | None,
        mask: Tensor | None,
        rate: float,
    ) -> Tensor:
        length, sentences, _ = query.shape
        split = [part.reshape(part.size(0), sentences * heads, -1).transpose(0, 1) for part in (query, key, value)]
        scores = torch.bmm(split[0] * split[0].size(-1) ** -0.5, split[1].transpose(1, 2))
        if mask is not None:
            scores = scores + mask
        if padding is not None:
            scores = scores.view(sentences, heads, length, -1)
            scores = scores.masked_fill(padding[:, None, None], float("-inf")).view(sentences * heads, length, -1)
        weights = self._drop(scores.float().softmax(-1).type_as(scores), rate)
        return torch.bmm(weights, split[2]).transpose(0, 1).reshape(length, sentences, -1)


class UnsortedBatches:
    """Sentences in the order of the text, as many in a batch as it holds when all are padded to the longest."""

    def __init__(self, split: PairedSplit, batch_tokens: int) -> None:
        self.split = split
        self.all_numbers: list[npt.NDArray[np.int64]] = []
        lengths = np.maximum(split.source.sizes, split.target.sizes)
        begin = longest = 0
        for end, length in enumerate(lengths):
            longest = max(longest, int(length))
            if longest * (end + 1 - begin) > batch_tokens:
                self.all_numbers.append(np.arange(begin, end))
                begin, longest = end, int(length)

    def __getitem__(self, index: int) -> Batch:
        """Return batch ``index``, counted from 0."""
        return self.split.batch(self.all_numbers[index])
