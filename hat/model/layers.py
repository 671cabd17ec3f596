"""Encoder and decoder layers of the Transformer, written once for elastic and plain networks.

B sentences, S source or memory positions, T target positions, D features, H heads, K features of a head.
Between sub-layers a batch is R rows of D features, sentence after sentence, padded with rows of zeros at the end: CPU
kernels in bf16 are compiled for each shape, and with the same number of rows in every batch they are compiled once.
A factory makes the linear maps and norms, so that the elastic network differs from a plain one in those only.
"""

from torch import Tensor, nn

from hat.model.attention import Cache, CrossAttention, Memory, SelfAttention
from hat.model.dropout import Dropouts
from hat.model.factory import ModuleFactory
from hat.model.feed_forward import FeedForward, Residual
from hat.space.architecture import Architecture


class EncoderLayer(nn.Module):
    """Self-attention and a feed-forward network.

    Args:
        number: index of the layer in the Architecture, from 0 next to the embedding.
        architecture: its D features, H attention heads and the hidden features of the feed-forward network.
        qkv_dim: features of queries, keys and values over all heads.
        dropouts: dropout rates.
        pre_norm: normalise the inputs of sub-layers instead of their sums.
        factory: makes linear maps and norms.
    """

    def __init__(
        self,
        number: int,
        *,
        architecture: Architecture,
        qkv_dim: int,
        dropouts: Dropouts,
        pre_norm: bool,
        factory: ModuleFactory,
    ) -> None:
        super().__init__()
        dim = architecture.encoder_embed_dim
        heads, ffn_dim = architecture.encoder_heads[number], architecture.encoder_ffn_dim[number]
        self.attention = SelfAttention(dim, qkv_dim, heads, dropouts.attention, factory)
        self.attention_residual = Residual(dim, dropouts.residual, pre_norm, factory)
        self.ffn = FeedForward(dim, ffn_dim, dropouts.activation, factory)
        self.ffn_residual = Residual(dim, dropouts.residual, pre_norm, factory)

    def forward(self, x: Tensor, sentences: int, length: int, mask: Tensor | None) -> Tensor:
        """Encode B sentences of S positions.

        Args:
            x: rows of all sentences, [R, D].
            sentences: B.
            length: S.
            mask: true where attention is allowed, [B, 1, 1, S]; None allows everything.

        Returns:
            [R, D].
        """
        attended = self.attention(self.attention_residual.prepare(x), sentences, length, mask, False)
        x = self.attention_residual.join(x, attended)
        return self.ffn_residual.join(x, self.ffn(self.ffn_residual.prepare(x)))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the last encoder layers, and a feed-forward network.

    Args:
        number: index of the layer in the Architecture, from 0 next to the embedding.
        architecture: its D features, its heads, the hidden features of the feed-forward network, and the number of
            encoder layers attended to, from the last one back.
        qkv_dim: features of queries, keys and values over all heads.
        dropouts: dropout rates.
        pre_norm: normalise the inputs of sub-layers instead of their sums.
        factory: makes linear maps and norms.
    """

    def __init__(
        self,
        number: int,
        *,
        architecture: Architecture,
        qkv_dim: int,
        dropouts: Dropouts,
        pre_norm: bool,
        factory: ModuleFactory,
    ) -> None:
        super().__init__()
        dim, memory_dim = architecture.decoder_embed_dim, architecture.encoder_embed_dim
        self_heads, cross_heads = architecture.decoder_self_heads[number], architecture.decoder_cross_heads[number]
        ffn_dim = architecture.decoder_ffn_dim[number]
        self.cross_span = architecture.decoder_cross_span[number]
        self.attention = SelfAttention(dim, qkv_dim, self_heads, dropouts.attention, factory)
        self.attention_residual = Residual(dim, dropouts.residual, pre_norm, factory)
        self.cross_attention = CrossAttention(dim, memory_dim, qkv_dim, cross_heads, dropouts.attention, factory)
        self.cross_attention_residual = Residual(dim, dropouts.residual, pre_norm, factory)
        self.ffn = FeedForward(dim, ffn_dim, dropouts.activation, factory)
        self.ffn_residual = Residual(dim, dropouts.residual, pre_norm, factory)

    def forward(self, x: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        """Decode all T target positions of B sentences at once.

        Args:
            x: rows of all target positions, [R, D].
            sentences: B.
            length: T.
            memory: result of :meth:`project_memory`.

        Returns:
            [R, D].
        """
        attended = self.attention(self.attention_residual.prepare(x), sentences, length, None, True)
        return self._after_self_attention(x, attended, sentences, length, memory)

    def _after_self_attention(self, x: Tensor, attended: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        x = self.attention_residual.join(x, attended)
        query = self.cross_attention_residual.prepare(x)
        attended = self.cross_attention(query, sentences, length, memory.projected[0], memory.mask)
        x = self.cross_attention_residual.join(x, attended)
        return self.ffn_residual.join(x, self.ffn(self.ffn_residual.prepare(x)))

    def project_memory(self, encoded: list[Tensor], sentences: int, length: int, mask: Tensor | None) -> Memory:
        """Precompute the keys and values of cross-attention.

        Args:
            encoded: outputs of the encoder layers in order, each [R, D].
            sentences: B.
            length: S.
            mask: true where attention is allowed, [B, 1, 1, S].

        Returns:
            Keys and values of the last ``cross_span`` outputs, concatenated along the sentence.
        """
        projected = self.cross_attention.project(self.memories_of(encoded), sentences, length)
        return Memory((projected,), None if mask is None else mask.repeat(1, 1, 1, self.cross_span))

    def step(self, x: Tensor, cache: Cache, memory: Memory, beam: int) -> tuple[Tensor, Cache]:
        """Decode one more target position of B x beam hypotheses.

        Args:
            x: hidden states, [N, D] with N = B x beam.
            cache: keys and values of earlier positions, [2, N, H, t, K]; empty at the first.
            memory: result of :meth:`project_memory` for B sentences; the hypotheses of a sentence share it.
            beam: hypotheses a sentence.

        Returns:
            Hidden states [N, D] and the cache with this position, [2, N, H, t + 1, K].
        """
        attended, grown = self.attention.step(self.attention_residual.prepare(x), cache[0] if cache else None)
        return self._after_self_attention(x, attended, x.size(0) // beam, beam, memory), (grown,)

    def memories_of(self, encoded: list[Tensor]) -> list[Tensor]:
        """Return the encoder outputs that this layer attends to, last layer first."""
        return encoded[: -self.cross_span - 1 : -1]
