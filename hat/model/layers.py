"""Layers of the Transformer, written once for the elastic and for the plain networks.

B sentences, S source or memory positions, T target positions, D features, H heads, K features of a head.
Between sub-layers a batch is R rows of D features, sentence after sentence, with perhaps some rows of filling at
the end: the same number of rows in every batch spares the CPU's bf16 kernels, which are compiled for each shape,
from being compiled anew for every batch. The leaves (linear maps and norms) are handed in, so that the elastic
network differs from a plain one in its leaves only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.model.positions import sinusoids


@dataclass(frozen=True)
class Leaves:
    """Constructors of the modules that hold weights."""

    linear: Callable[[int, int], nn.Linear]
    norm: Callable[[int], nn.LayerNorm]


PLAIN = Leaves(nn.Linear, nn.LayerNorm)


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """Dropout rates at the super width.

    ``scaling`` says which are scaled by sampled width / super width: ``all`` of the residual and activation
    rates, all as ``published`` (not that on the encoder's self-attention residual), or ``none``.
    """

    residual: float = 0.0
    attention: float = 0.0
    activation: float = 0.0
    scaling: str = "all"

    def scale(self, dim: int, super_dim: int) -> float:
        """Factor of the scaled rates."""
        return 1.0 if self.scaling == "none" else dim / super_dim


# What a decoder layer keeps of the positions before, for N hypotheses, which are dimension 1 of each tensor; empty
# before the first position.
Cache = tuple[Tensor, ...]


@dataclass(frozen=True)
class Memory:
    """What a decoder layer attends to: encoder outputs of B sentences, projected for each of its cross-attentions.

    ``projected`` holds keys and values, each [B, H, S, K]; ``mask`` is true where attention is allowed,
    [B, 1, 1, S], None where it is everywhere.
    """

    projected: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor | None

    def of(self, sentences: Tensor) -> "Memory":
        """That of these sentences alone, [B']."""
        projected = tuple((key[sentences], value[sentences]) for key, value in self.projected)
        return Memory(projected, None if self.mask is None else self.mask[sentences])


def split_heads(x: Tensor, sentences: int, length: int, heads: int) -> Tensor:
    """Leading rows of [R, H x K] -> [B, H, S, K]."""
    return x[: sentences * length].view(sentences, length, heads, -1).transpose(1, 2)


def merge_heads(x: Tensor, rows: int) -> Tensor:
    """[B, H, S, K] -> [R, H x K], filled up with zeros."""
    return filled(x.transpose(1, 2).reshape(x.size(0) * x.size(2), -1), rows)


def filled(x: Tensor, rows: int) -> Tensor:
    """[r, D] -> [R, D], filled up with zeros."""
    return x if x.size(0) == rows else F.pad(x, (0, 0, 0, rows - x.size(0)))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, dropout: float) -> Tensor:
    """Fused scaled dot-product attention, [B, H, T, K] x [B, H, S, K] -> [B, H, T, K].

    On a CPU in fp32 even under bf16 autocast: in bf16 the fused kernel takes five times as long there, forward and
    backward together (docs/benchmarks/training.md).
    """
    if query.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        query, key, value = query.float(), key.float(), value.float()
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Zero each element with probability ``rate`` and scale the others by 1 / (1 - rate).

    torch draws a CPU's mask element by element, which took a seventh of an update; here 16 random bits decide on
    each, drawn by NumPy in one go from a seed that torch's generator gives.
    """
    if not training or rate == 0.0 or x.device.type != "cpu":
        return F.dropout(x, rate, training)
    generator = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, (1,)))))
    words = generator.integers(2**64 - 1, size=-(-x.numel() // 4), dtype=np.uint64, endpoint=True)
    kept = words.view(np.uint16)[: x.numel()] >= round(rate * 2**16)
    # As numbers: a product with truth values takes several times as long, forward and backward.
    mask = torch.from_numpy(np.multiply(kept, np.float32(1 / (1 - rate))))
    return x * mask.view(x.shape).to(x.dtype)


def drop_key_gradient(bias: Tensor | None, keys: slice) -> None:
    """Make the gradient of the keys' part of a bias, where there is one, what it is: zero.

    A bias on the keys adds the same to all scores of a query, which softmax does not see. What rounding leaves of
    the gradient is noise that Adam, which divides by its size, would train on.
    """

    def hook(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[keys] = 0
        return gradient

    if bias is not None:
        bias.register_hook(hook)  # type: ignore[no-untyped-call]


class SelfAttention(nn.Module):
    """Multi-head attention of sentences to themselves; the head count only divides ``qkv_dim``."""

    def __init__(self, dim: int, qkv_dim: int, heads: int, dropout: float, leaves: Leaves) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = leaves.linear(dim, 3 * qkv_dim)
        drop_key_gradient(self.qkv.bias, slice(qkv_dim, 2 * qkv_dim))
        self.out = leaves.linear(qkv_dim, dim)

    def heads_of(self, x: Tensor, sentences: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of rows [R, D], each [B, H, S, K]."""
        query, key, value = (split_heads(part, sentences, length, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return query, key, value

    def forward(self, x: Tensor, sentences: int, length: int, mask: Tensor | None, causal: bool) -> Tensor:
        """[R, D] -> [R, D]; ``mask`` is true where attention is allowed, [B, 1, 1, S]."""
        rate = self.dropout if self.training else 0.0
        attended = attend(*self.heads_of(x, sentences, length), mask, causal, rate)
        return cast(Tensor, self.out(merge_heads(attended, x.size(0))))

    def step(self, x: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """One position of N hypotheses, [N, D] -> [N, D], and the cache grown by it (see DecoderLayer.step)."""
        query, key, value = self.heads_of(x, x.size(0), 1)
        here = torch.stack([key, value])
        grown = here if cache is None else torch.cat([cache, here], dim=3)
        attended = attend(query, grown[0], grown[1], None, False, 0.0)
        return cast(Tensor, self.out(merge_heads(attended, x.size(0)))), grown


class CrossAttention(nn.Module):
    """Multi-head attention of target sentences to encoder outputs."""

    def __init__(self, dim: int, memory_dim: int, qkv_dim: int, heads: int, dropout: float, leaves: Leaves) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = leaves.linear(dim, qkv_dim)
        self.key_value = leaves.linear(memory_dim, 2 * qkv_dim)
        drop_key_gradient(self.key_value.bias, slice(qkv_dim))
        self.out = leaves.linear(qkv_dim, dim)

    def project(self, memories: list[Tensor], sentences: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values of encoder outputs [R, D], one after the other along the sentence: [B, H, n x S, K]."""
        keys, values = [], []
        for memory in memories:
            key, value = self.key_value(memory).chunk(2, dim=-1)
            keys.append(split_heads(key, sentences, length, self.heads))
            values.append(split_heads(value, sentences, length, self.heads))
        if len(memories) == 1:
            return keys[0], values[0]
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)

    def forward(
        self, x: Tensor, sentences: int, length: int, projected: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> Tensor:
        """[R, D] -> [R, D]; ``mask`` is true where attention is allowed, [B, 1, 1, n x S]."""
        query = split_heads(self.query(x), sentences, length, self.heads)
        rate = self.dropout if self.training else 0.0
        attended = attend(query, *projected, mask, False, rate)
        return cast(Tensor, self.out(merge_heads(attended, x.size(0))))


class FeedForward(nn.Module):
    """Two linear maps with a ReLU between."""

    def __init__(self, dim: int, ffn_dim: int, dropout: float, leaves: Leaves) -> None:
        super().__init__()
        self.dropout = dropout
        self.inner = leaves.linear(dim, ffn_dim)
        self.out = leaves.linear(ffn_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """[R, D] -> [R, D]."""
        hidden = F.relu(self.inner(x))
        return cast(Tensor, self.out(dropout(hidden, self.dropout, self.training)))


class Residual(nn.Module):
    """Residual, dropout and norm around a sub-layer f: norm(x + f(x)), or x + f(norm(x)) where pre-norm."""

    def __init__(self, dim: int, dropout: float, pre_norm: bool, leaves: Leaves) -> None:
        super().__init__()
        self.dropout = dropout
        self.pre_norm = pre_norm
        self.norm = leaves.norm(dim)

    def prepare(self, x: Tensor) -> Tensor:
        """What the sub-layer gets, [R, D]."""
        return cast(Tensor, self.norm(x)) if self.pre_norm else x

    def join(self, x: Tensor, inner: Tensor) -> Tensor:
        """The input of the residual and the output of the sub-layer put together, [R, D]."""
        x = x + dropout(inner, self.dropout, self.training)
        return x if self.pre_norm else cast(Tensor, self.norm(x))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network."""

    def __init__(
        self, *, dim: int, ffn_dim: int, heads: int, qkv_dim: int, dropouts: Dropouts, pre_norm: bool, leaves: Leaves
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(dim, qkv_dim, heads, dropouts.attention, leaves)
        self.attention_residual = Residual(dim, dropouts.residual, pre_norm, leaves)
        self.ffn = FeedForward(dim, ffn_dim, dropouts.activation, leaves)
        self.ffn_residual = Residual(dim, dropouts.residual, pre_norm, leaves)

    def forward(self, x: Tensor, sentences: int, length: int, mask: Tensor | None) -> Tensor:
        """[R, D] -> [R, D]; ``mask`` is true where attention is allowed, [B, 1, 1, S]."""
        attended = self.attention(self.attention_residual.prepare(x), sentences, length, mask, False)
        x = self.attention_residual.join(x, attended)
        return self.ffn_residual.join(x, self.ffn(self.ffn_residual.prepare(x)))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the last ``span`` encoder layers, feed-forward network."""

    def __init__(
        self,
        *,
        dim: int,
        memory_dim: int,
        ffn_dim: int,
        self_heads: int,
        cross_heads: int,
        cross_span: int,
        qkv_dim: int,
        dropouts: Dropouts,
        pre_norm: bool,
        leaves: Leaves,
    ) -> None:
        super().__init__()
        self.cross_span = cross_span
        self.attention = SelfAttention(dim, qkv_dim, self_heads, dropouts.attention, leaves)
        self.attention_residual = Residual(dim, dropouts.residual, pre_norm, leaves)
        self.cross_attention = CrossAttention(dim, memory_dim, qkv_dim, cross_heads, dropouts.attention, leaves)
        self.cross_attention_residual = Residual(dim, dropouts.residual, pre_norm, leaves)
        self.ffn = FeedForward(dim, ffn_dim, dropouts.activation, leaves)
        self.ffn_residual = Residual(dim, dropouts.residual, pre_norm, leaves)

    def forward(self, x: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        """All target positions of B sentences at once, rows [R, D] -> [R, D]."""
        attended = self.attention(self.attention_residual.prepare(x), sentences, length, None, True)
        return self._after_self_attention(x, attended, sentences, length, memory)

    def _after_self_attention(self, x: Tensor, attended: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        x = self.attention_residual.join(x, attended)
        query = self.cross_attention_residual.prepare(x)
        attended = self.cross_attention(query, sentences, length, memory.projected[0], memory.mask)
        x = self.cross_attention_residual.join(x, attended)
        return self.ffn_residual.join(x, self.ffn(self.ffn_residual.prepare(x)))

    def remember(self, encoded: list[Tensor], sentences: int, length: int, mask: Tensor | None) -> Memory:
        """What this layer attends to.

        Args:
            encoded: outputs of the encoder layers, the last one last, each [R, D].
            sentences: B.
            length: S.
            mask: true where attention is allowed, [B, 1, 1, S].

        Returns:
            Keys and values of the attention to the last ``cross_span`` outputs, along n x S positions.
        """
        projected = self.cross_attention.project(self.memories_of(encoded), sentences, length)
        return Memory((projected,), None if mask is None else mask.repeat(1, 1, 1, self.cross_span))

    def step(self, x: Tensor, cache: Cache, memory: Memory, beam: int) -> tuple[Tensor, Cache]:
        """One target position of B x beam hypotheses.

        Args:
            x: hidden states, [N, D] with N = B x beam.
            cache: keys and values of the positions before, [2, N, H, t, K]; nothing at the first.
            memory: of the B sentences; beams share it.
            beam: hypotheses of a sentence.

        Returns:
            Hidden states [N, D] and the cache with this position, [2, N, H, t + 1, K].
        """
        attended, grown = self.attention.step(self.attention_residual.prepare(x), cache[0] if cache else None)
        return self._after_self_attention(x, attended, x.size(0) // beam, beam, memory), (grown,)

    def memories_of(self, encoded: list[Tensor]) -> list[Tensor]:
        """The encoder outputs that this layer attends to, the last layer first."""
        return encoded[: -self.cross_span - 1 : -1]


class SinusoidalPositions(nn.Module):
    """Fixed position vectors: sines in the first half of the features, cosines in the second.

    The table is made at the super width and then sliced; a table made at the sampled width is another.
    Rows start at the first position; padding is zero (fairseq's convention, as published).
    """

    def __init__(self, super_dim: int, positions: int = 1024) -> None:
        super().__init__()
        self.super_dim = super_dim
        self.register_buffer("table", self._make(positions), persistent=False)
        self.table: Tensor

    def _make(self, positions: int) -> Tensor:
        return torch.from_numpy(sinusoids(self.super_dim, positions))

    def forward(self, numbers: Tensor, dim: int) -> Tensor:
        """Vectors [..., dim] of positions counted from 1, 0 for padding.

        The table grows where a position lies beyond it.
        """
        needed = int(numbers.max()) + 1
        if needed > self.table.size(0):
            self.table = self._make(2 * needed).to(self.table.device)
        return F.embedding(numbers, self.table)[..., :dim]


class TokenEmbedding(nn.Module):
    """Token vectors, also used as output projection where they are shared; narrower uses take a leading slice."""

    def __init__(self, vocabulary: int, dim: int, padding: int | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, dim).normal_(std=dim**-0.5))
        if padding is not None:
            with torch.no_grad():
                self.weight[padding].zero_()
        self.padding = padding

    def forward(self, tokens: Tensor, dim: int) -> Tensor:
        """[B, S] -> [B, S, dim]."""
        return F.embedding(tokens, self.weight, padding_idx=self.padding)[..., :dim]

    def sliced(self, dim: int) -> Tensor:
        """Weights of the output projection from ``dim`` features, [V, dim]."""
        return self.weight[:, :dim]
