"""Cells of the Evolved Transformer (So, Liang, Le 2019, arXiv 1901.11117), after its reference definition.

Figure 3 of the paper shows the cells. Details follow tensor2tensor's ``models/evolved_transformer.py``: every block is
norm, layer, dropout and residual sum (pre-norm); attention has no biases; norms have an epsilon of 1e-6; the narrower
of two branches is padded with zero features; branches and feed-forward networks use the dropout rate of residuals; a
separable convolution is a filter per feature without bias, then a linear map with bias.

B sentences, S positions, D features, R rows as in :mod:`hat.model.layers`. Convolutions see zeros beyond the ends of a
sentence and in place of padding, so that results depend on neither the batch nor the side of the padding. Those of the
decoder see no later position.
"""

from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.model.attention import Cache, CrossAttention, Memory, SelfAttention, pad_rows
from hat.model.dropout import Dropouts, dropout
from hat.model.factory import LayerNorm, ModuleFactory
from hat.model.feed_forward import FeedForward, Residual
from hat.space.evolved import (
    DECODER_FINAL,
    DECODER_LEFT,
    DECODER_RIGHT,
    ENCODER_CONVOLUTION,
    ENCODER_SEPARABLE,
    FFN_FACTOR,
)

NORM = partial(LayerNorm, eps=1e-6)
LEAVES = ModuleFactory(nn.Linear, NORM)
ATTENTION_LEAVES = ModuleFactory(partial(nn.Linear, bias=False), NORM)


def sentences_of(x: Tensor, sentences: int, length: int, mask: Tensor | None, before: int, after: int) -> Tensor:
    """Reshape rows [R, D] to [B, before + S + after, D]; zero at the ends and where ``mask`` [B, 1, 1, S] is false."""
    x = x[: sentences * length].view(sentences, length, -1)
    if mask is not None:
        x = x * mask.view(sentences, length, 1)
    return F.pad(x, (0, 0, before, after))


def widened(x: Tensor, dim: int) -> Tensor:
    """Pad [R, d] -> [R, D] with zero features."""
    return F.pad(x, (0, dim - x.size(1)))


class Convolution(nn.Module):
    """A convolution along the sentence, as one matrix product."""

    def __init__(self, dim: int, out_dim: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.linear = nn.Linear(kernel * dim, out_dim)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        """Map [B, S + kernel - 1, D] -> [R, out_dim]."""
        length = x.size(1) - self.kernel + 1
        features = torch.cat([x[:, first : first + length] for first in range(self.kernel)], dim=2)
        return cast(Tensor, self.linear(pad_rows(features.flatten(0, 1), rows)))


class SeparableConvolution(nn.Module):
    """A filter along the sentence per feature, then a linear map."""

    def __init__(self, dim: int, out_dim: int, kernel: int) -> None:
        super().__init__()
        self.filters = nn.Parameter(torch.empty(dim, kernel))
        self.linear = nn.Linear(dim, out_dim)

    def forward(self, x: Tensor, rows: int) -> Tensor:
        """Map [B, S + kernel - 1, D] -> [R, out_dim]."""
        kernel = self.filters.size(1)
        if x.size(1) == kernel:
            # Decoding one position: takes a tenth of the time of the general case.
            mixed = (x * self.filters.t()).sum(1)
        else:
            # bf16 is no faster, and its kernels are compiled for each shape.
            with torch.autocast("cpu", enabled=False):
                mixed = F.conv1d(x.float().transpose(1, 2), self.filters[:, None], groups=len(self.filters))
            mixed = mixed.transpose(1, 2).flatten(0, 1)
        return cast(Tensor, self.linear(pad_rows(mixed, rows)))


class GatedLinearUnit(nn.Module):
    """A linear map times the sigmoid of a second one."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.values = nn.Linear(dim, dim)
        self.gates = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [R, D] -> [R, D]."""
        return cast(Tensor, self.values(x) * self.gates(x).sigmoid())


class EncoderBranches(nn.Module):
    """Linear map to 4 D and convolution 3x1 to D / 2 features, each with ReLU; separable convolution 9x1 of the sum."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.dim = dim
        self.dropout = dropout
        self.left = nn.Linear(dim, FFN_FACTOR * dim)
        self.right = Convolution(dim, dim // 2, ENCODER_CONVOLUTION)
        self.norm = NORM(FFN_FACTOR * dim)
        self.out = SeparableConvolution(FFN_FACTOR * dim, dim // 2, ENCODER_SEPARABLE)

    def forward(self, x: Tensor, sentences: int, length: int, mask: Tensor | None) -> Tensor:
        """Map [R, D] -> [R, D]; ``mask`` is true on tokens, [B, 1, 1, S]."""
        rows = x.size(0)

        def around(rows_of_x: Tensor, kernel: int) -> Tensor:
            return sentences_of(rows_of_x, sentences, length, mask, kernel // 2, kernel // 2)

        left = dropout(F.relu(self.left(x)), self.dropout, self.training)
        right = F.relu(self.right(around(x, ENCODER_CONVOLUTION), rows))
        right = dropout(right, self.dropout, self.training)
        joined = self.norm(left + widened(right, left.size(1)))
        return widened(self.out(around(joined, ENCODER_SEPARABLE), rows), self.dim)


class EncoderCell(nn.Module):
    """Figure 3, left: gated linear unit; convolution branches; self-attention; feed-forward network of 4 D, ReLU."""

    def __init__(self, dim: int, heads: int, dropouts: Dropouts) -> None:
        super().__init__()
        rate = dropouts.residual
        self.unit_residual, self.branches_residual, self.attention_residual, self.ffn_residual = (
            Residual(dim, rate, True, LEAVES) for _ in range(4)
        )
        self.unit = GatedLinearUnit(dim)
        self.branches = EncoderBranches(dim, rate)
        self.attention = SelfAttention(dim, dim, heads, dropouts.attention, ATTENTION_LEAVES)
        self.ffn = FeedForward(dim, FFN_FACTOR * dim, rate, LEAVES)

    def forward(self, x: Tensor, sentences: int, length: int, mask: Tensor | None) -> Tensor:
        """Map [R, D] -> [R, D]; ``mask`` is true where attention is allowed, [B, 1, 1, S]."""
        x = self.unit_residual.join(x, self.unit(self.unit_residual.prepare(x)))
        x = self.branches_residual.join(x, self.branches(self.branches_residual.prepare(x), sentences, length, mask))
        attended = self.attention(self.attention_residual.prepare(x), sentences, length, mask, False)
        x = self.attention_residual.join(x, attended)
        return self.ffn_residual.join(x, self.ffn(self.ffn_residual.prepare(x)))


class DecoderBranches(nn.Module):
    """Separable convolutions 11x1 to 2 D features, ReLU, and 7x1 to D / 2, summed; separable convolution 7x1 to D."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.left = SeparableConvolution(dim, 2 * dim, DECODER_LEFT)
        self.right = SeparableConvolution(dim, dim // 2, DECODER_RIGHT)
        self.norm = NORM(2 * dim)
        self.out = SeparableConvolution(2 * dim, dim, DECODER_FINAL)

    def _joined(self, x: Tensor, rows: int) -> Tensor:
        """Map T positions and the 10 before them, [B, 10 + T, D], to the normalised sum of both branches, [R, 2 D]."""
        left = dropout(F.relu(self.left(x, rows)), self.dropout, self.training)
        right = dropout(self.right(x[:, DECODER_LEFT - DECODER_RIGHT :], rows), self.dropout, self.training)
        return cast(Tensor, self.norm(left + widened(right, left.size(1))))

    def forward(self, x: Tensor, sentences: int, length: int) -> Tensor:
        """Map [R, D] -> [R, D]."""
        rows = x.size(0)
        joined = self._joined(sentences_of(x, sentences, length, None, DECODER_LEFT - 1, 0), rows)
        return cast(Tensor, self.out(sentences_of(joined, sentences, length, None, DECODER_FINAL - 1, 0), rows))

    def step(self, x: Tensor, inputs: Tensor | None, joined: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Decode one position of N hypotheses.

        Args:
            x: inputs of this position, [N, D].
            inputs: the 10 inputs before, [10, N, D], None at the first position.
            joined: the 6 sums of both branches before, [6, N, 2 D], None at the first position.

        Returns:
            [N, D], and both windows moved on by this position.
        """
        inputs = _window(inputs, x, DECODER_LEFT)
        joined = _window(joined, self._joined(inputs.transpose(0, 1), x.size(0)), DECODER_FINAL)
        return self.out(joined.transpose(0, 1), x.size(0)), inputs[1:], joined[1:]


def _window(before: Tensor | None, x: Tensor, kernel: int) -> Tensor:
    """Return the positions that a convolution reads, [kernel, N, D], zeros before the first."""
    return torch.cat([x.new_zeros(kernel - 1, *x.shape) if before is None else before, x[None]])


class DecoderCell(nn.Module):
    """Figure 3, right.

    Wide self-attention beside attention to the encoder; convolution branches; self-attention; attention to the
    encoder; feed-forward network of 4 D with swish and a second norm.
    """

    def __init__(self, dim: int, heads: int, wide_heads: int, dropouts: Dropouts) -> None:
        super().__init__()
        rate = dropouts.residual
        self.wide_residual, self.branches_residual, self.attention_residual, self.cross_residual, self.ffn_residual = (
            Residual(dim, rate, True, LEAVES) for _ in range(5)
        )
        self.wide_attention, self.attention = (
            SelfAttention(dim, dim, count, dropouts.attention, ATTENTION_LEAVES) for count in (wide_heads, heads)
        )
        self.first_cross_attention, self.second_cross_attention = (
            CrossAttention(dim, dim, dim, heads, dropouts.attention, ATTENTION_LEAVES) for _ in range(2)
        )
        self.branches = DecoderBranches(dim, rate)
        self.ffn = SwishFeedForward(dim, FFN_FACTOR * dim, rate)

    def project_memory(self, encoded: list[Tensor], sentences: int, length: int, mask: Tensor | None) -> Memory:
        """Precompute the keys and values of both cross-attentions from the last of ``encoded``, [R, D]."""
        both = (self.first_cross_attention, self.second_cross_attention)
        return Memory(tuple(attention.project(encoded[-1:], sentences, length) for attention in both), mask)

    def forward(self, x: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        """Decode all target positions of B sentences at once, rows [R, D] -> [R, D]."""
        normed = self.wide_residual.prepare(x)
        attended = self.wide_attention(normed, sentences, length, None, True)
        x = self._join_attentions(x, normed, attended, sentences, length, memory)
        branches = self.branches(self.branches_residual.prepare(x), sentences, length)
        x = self.branches_residual.join(x, branches)
        attended = self.attention(self.attention_residual.prepare(x), sentences, length, None, True)
        return self._after_self_attention(x, attended, sentences, length, memory)

    def step(self, x: Tensor, cache: Cache, memory: Memory, beam: int) -> tuple[Tensor, Cache]:
        """Decode one target position of B x beam hypotheses.

        Args:
            x: hidden states, [N, D] with N = B x beam.
            cache: keys and values of both self-attentions, each [2, N, H, t, K], and both windows of the
                convolutions (see DecoderBranches.step); nothing at the first position.
            memory: keys and values of the B sentences; hypotheses of a sentence share them.
            beam: hypotheses of a sentence.

        Returns:
            Hidden states [N, D] and the cache with this position.
        """
        wide, narrow, inputs, joined = cache or (None,) * 4
        sentences = x.size(0) // beam
        normed = self.wide_residual.prepare(x)
        attended, wide = self.wide_attention.step(normed, wide)
        x = self._join_attentions(x, normed, attended, sentences, beam, memory)
        branches, inputs, joined = self.branches.step(self.branches_residual.prepare(x), inputs, joined)
        x = self.branches_residual.join(x, branches)
        attended, narrow = self.attention.step(self.attention_residual.prepare(x), narrow)
        return self._after_self_attention(x, attended, sentences, beam, memory), (wide, narrow, inputs, joined)

    def _join_attentions(
        self, x: Tensor, normed: Tensor, attended: Tensor, sentences: int, length: int, memory: Memory
    ) -> Tensor:
        x = self.wide_residual.join(x, attended)
        cross = self.first_cross_attention(normed, sentences, length, memory.projected[0], memory.mask)
        return self.wide_residual.join(x, cross)

    def _after_self_attention(self, x: Tensor, attended: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        x = self.attention_residual.join(x, attended)
        query = self.cross_residual.prepare(x)
        x = self.cross_residual.join(
            x, self.second_cross_attention(query, sentences, length, memory.projected[1], memory.mask)
        )
        return self.ffn_residual.join(x, self.ffn(self.ffn_residual.prepare(x)))


class SwishFeedForward(nn.Module):
    """Two linear maps with swish and a norm between them."""

    def __init__(self, dim: int, ffn_dim: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.inner = nn.Linear(dim, ffn_dim)
        self.norm = NORM(ffn_dim)
        self.out = nn.Linear(ffn_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [R, D] -> [R, D]."""
        hidden = dropout(F.silu(self.inner(x)), self.dropout, self.training)
        return cast(Tensor, self.out(self.norm(hidden)))
