"""Multi-head attention: of a sentence to itself, and of target positions to encoder outputs."""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.model.factory import ModuleFactory

# KV cache of a decoder layer: tensors whose dimension 1 is N hypotheses; empty before the first position.
Cache = tuple[Tensor, ...]


@dataclass(frozen=True)
class Memory:
    """Keys and values of the encoder outputs of B sentences, precomputed for a decoder layer.

    Attributes:
        projected: keys and values of each cross-attention of the layer, each [B, H, S, K].
        mask: true where attention is allowed, [B, 1, 1, S]; None if it is allowed everywhere.
    """

    projected: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor | None

    def of(self, sentences: Tensor) -> "Memory":
        """Return the memory of some of the sentences, given by their indices [B']."""
        projected = tuple((key[sentences], value[sentences]) for key, value in self.projected)
        return Memory(projected, None if self.mask is None else self.mask[sentences])


def split_heads(x: Tensor, sentences: int, length: int, heads: int) -> Tensor:
    """Split features into heads: leading rows of [R, H x K] -> [B, H, S, K]."""
    return x[: sentences * length].view(sentences, length, heads, -1).transpose(1, 2)


def merge_heads(x: Tensor, rows: int) -> Tensor:
    """Join heads into features: [B, H, S, K] -> [R, H x K], padded with rows of zeros."""
    return pad_rows(x.transpose(1, 2).reshape(x.size(0) * x.size(2), -1), rows)


def pad_rows(x: Tensor, rows: int) -> Tensor:
    """Pad [r, D] with rows of zeros to [R, D]."""
    return x if x.size(0) == rows else F.pad(x, (0, 0, 0, rows - x.size(0)))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, dropout: float) -> Tensor:
    """Compute fused scaled dot-product attention.

    On a CPU it runs in fp32 even under bf16 autocast: the fused bf16 kernel takes five times as long there, forward and
    backward together.

    Args:
        query: [B, H, T, K].
        key: [B, H, S, K].
        value: [B, H, S, K].
        mask: true where attention is allowed, broadcast to [B, H, T, S]; None allows everything.
        causal: each position sees itself and earlier ones only.
        dropout: rate on the attention weights.

    Returns:
        [B, H, T, K].
    """
    if query.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        query, key, value = query.float(), key.float(), value.float()
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal)


def drop_key_gradient(bias: Tensor | None, keys: slice) -> None:
    """Zero the gradient of the key bias.

    A bias on the keys adds the same amount to all scores of a query, and softmax ignores that. Rounding would leave a
    gradient of pure noise, which Adam would scale up.

    Args:
        bias: bias of a joint projection; None if it has none.
        keys: its entries that belong to the keys.
    """

    def hook(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[keys] = 0
        return gradient

    if bias is not None:
        bias.register_hook(hook)  # type: ignore[no-untyped-call]


class SelfAttention(nn.Module):
    """Multi-head self-attention.

    Args:
        dim: D, input and output features.
        qkv_dim: features of queries, keys and values over all heads; ``heads`` divides it.
        heads: H, attention heads.
        dropout: rate on the attention weights.
        factory: makes the linear maps.
    """

    def __init__(self, dim: int, qkv_dim: int, heads: int, dropout: float, factory: ModuleFactory) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = factory.linear(dim, 3 * qkv_dim)
        drop_key_gradient(self.qkv.bias, slice(qkv_dim, 2 * qkv_dim))
        self.out = factory.linear(qkv_dim, dim)

    def heads_of(self, x: Tensor, sentences: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Project rows [R, D] to queries, keys and values, each [B, H, S, K]."""
        query, key, value = (split_heads(part, sentences, length, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return query, key, value

    def forward(self, x: Tensor, sentences: int, length: int, mask: Tensor | None, causal: bool) -> Tensor:
        """Attend within B sentences of S positions.

        Args:
            x: rows of all sentences, [R, D].
            sentences: B.
            length: S.
            mask: true where attention is allowed, [B, 1, 1, S]; None allows everything.
            causal: each position sees itself and earlier ones only.

        Returns:
            [R, D].
        """
        rate = self.dropout if self.training else 0.0
        attended = attend(*self.heads_of(x, sentences, length), mask, causal, rate)
        return cast(Tensor, self.out(merge_heads(attended, x.size(0))))

    def step(self, x: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attend from one more position of N hypotheses.

        Args:
            x: hidden states, [N, D].
            cache: keys and values of earlier positions, [2, N, H, t, K]; None at the first.

        Returns:
            [N, D], and the cache with this position, [2, N, H, t + 1, K].
        """
        query, key, value = self.heads_of(x, x.size(0), 1)
        here = torch.stack([key, value])
        grown = here if cache is None else torch.cat([cache, here], dim=3)
        attended = attend(query, grown[0], grown[1], None, False, 0.0)
        return cast(Tensor, self.out(merge_heads(attended, x.size(0)))), grown


class CrossAttention(nn.Module):
    """Multi-head attention of target positions to encoder outputs.

    Args:
        dim: D, features of the decoder.
        memory_dim: features of the encoder outputs.
        qkv_dim: features of queries, keys and values over all heads; ``heads`` divides it.
        heads: H, attention heads.
        dropout: rate on the attention weights.
        factory: makes the linear maps.
    """

    def __init__(
        self, dim: int, memory_dim: int, qkv_dim: int, heads: int, dropout: float, factory: ModuleFactory
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = factory.linear(dim, qkv_dim)
        self.key_value = factory.linear(memory_dim, 2 * qkv_dim)
        drop_key_gradient(self.key_value.bias, slice(qkv_dim))
        self.out = factory.linear(qkv_dim, dim)

    def project(self, memories: list[Tensor], sentences: int, length: int) -> tuple[Tensor, Tensor]:
        """Project n encoder outputs [R, D] to keys and values, concatenated along the sentence: [B, H, n x S, K]."""
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
        """Attend from B sentences of T target positions.

        Args:
            x: rows of all target positions, [R, D].
            sentences: B.
            length: T.
            projected: keys and values from :meth:`project`, each [B, H, n x S, K].
            mask: true where attention is allowed, [B, 1, 1, n x S]; None allows everything.

        Returns:
            [R, D].
        """
        query = split_heads(self.query(x), sentences, length, self.heads)
        rate = self.dropout if self.training else 0.0
        attended = attend(query, *projected, mask, False, rate)
        return cast(Tensor, self.out(merge_heads(attended, x.size(0))))
