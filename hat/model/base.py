"""Base class of all networks: embeddings, positions, rows, output projection, decoding."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.data.text.special_tokens import PAD
from hat.model.attention import Cache, Memory, pad_rows
from hat.model.dropout import Dropouts
from hat.model.embedding import SinusoidalPositions, TokenEmbedding
from hat.model.fused import scale_add_dropout
from hat.space.shape import Shape


class CachedLayer(Protocol):
    """A decoder layer: computes whole sentences when called, one position with :meth:`step`."""

    def __call__(self, x: Tensor, sentences: int, length: int, memory: Memory) -> Tensor:
        """Decode all target positions at once, rows [R, D] -> [R, D]."""

    def project_memory(self, encoded: list[Tensor], sentences: int, length: int, mask: Tensor | None) -> Memory:
        """Precompute keys and values of encoder outputs, each [R, D], of B sentences of S positions."""

    def step(self, x: Tensor, cache: Cache, memory: Memory, beam: int) -> tuple[Tensor, Cache]:
        """Decode one position of N = B x beam hypotheses, [N, D] -> [N, D], and the cache with it."""


class EncoderDecoder(nn.Module):
    """A network that encodes source sentences and scores the next target token.

    ``forward`` returns hidden states, not logits: the loss projects them in chunks, so that the logits of a whole batch
    are never in memory at once; :meth:`logits` projects. A subclass defines :meth:`encode` and :attr:`active_decoder`,
    sets ``decoder_norm``, and calls :meth:`initialise` when it has all its layers.

    Args:
        shape: vocabularies, sharing, position tables.
        encoder_dim: width of the encoder.
        decoder_dim: width of the decoder.
        dropouts: rates at the super width, and how they scale.
    """

    decoder_norm: nn.LayerNorm | None

    def __init__(self, shape: Shape, *, encoder_dim: int, decoder_dim: int, dropouts: Dropouts | None) -> None:
        super().__init__()
        self.shape = shape
        # Set by training, so that few distinct shapes occur (see hat.train.objective).
        self.row_multiple = 1
        self.dropouts = dropouts or Dropouts()
        self.encoder_dim = encoder_dim
        self.decoder_dim = decoder_dim
        self._make_embeddings()
        self.encoder_positions = SinusoidalPositions(shape.super_encoder_dim)
        self.decoder_positions = SinusoidalPositions(shape.super_decoder_dim)

    def _make_embeddings(self) -> None:
        shape, share = self.shape, self.shape.share_embeddings
        both = max(self.encoder_dim, self.decoder_dim)
        self.source_embedding = TokenEmbedding(
            shape.source_vocabulary, both if share == "all" else self.encoder_dim, PAD
        )
        self.target_embedding = (
            self.source_embedding if share == "all" else TokenEmbedding(shape.target_vocabulary, self.decoder_dim, PAD)
        )
        self.projection = (
            TokenEmbedding(shape.target_vocabulary, self.decoder_dim, None)
            if share == "none"
            else self.target_embedding
        )

    def initialise(self) -> None:
        """Initialise weights Xavier-uniform and biases to zero, as published."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    @abstractmethod
    def active_decoder(self) -> Sequence[CachedLayer]:
        """Active decoder layers, from the embedding on."""

    @abstractmethod
    def encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Encode source sentences.

        Args:
            source: token ids, padded on either side, [B, S].

        Returns:
            The outputs that decoder layers attend to, in order, each [R, D], and the attention mask, true on tokens,
            [B, 1, 1, S]; None if there is no padding.
        """

    def _embed(
        self,
        tokens: Tensor,
        embedding: TokenEmbedding,
        positions: SinusoidalPositions,
        numbers: Tensor,
        longest: int,
        dim: int,
    ) -> Tensor:
        scale = math.sqrt(positions.super_dim if self.shape.vocab_original_scaling else dim)
        rate = self.dropouts.residual * self.dropouts.scale(dim, positions.super_dim)
        return scale_add_dropout(embedding(tokens, dim), positions(numbers, dim, longest), scale, rate, self.training)

    def _rows(self, x: Tensor) -> Tensor:
        """Flatten [B, S, D] -> [R, D], padded with zeros to a multiple of ``row_multiple``."""
        rows = x.flatten(0, 1)
        return pad_rows(rows, rows.size(0) + -rows.size(0) % self.row_multiple)

    def embed_source(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the encoder input [R, D] of token ids [B, S], padded on either side, and the attention mask."""
        real = source != PAD
        numbers = real.cumsum(1) * real
        # Checking for padding would wait for the GPU, and nearly every large batch has some.
        everywhere = not (self.training and source.is_cuda) and bool(real.all())
        mask = None if everywhere else real[:, None, None, :]
        positions = self.encoder_positions
        x = self._embed(source, self.source_embedding, positions, numbers, source.size(1), self.encoder_dim)
        return self._rows(x), mask

    def embed_target(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Return the decoder input [B, T, D] of token ids [B, T]; the first has position ``first`` (from 0)."""
        longest = first + tokens.size(1)
        numbers = torch.arange(first + 1, longest + 1, device=tokens.device)
        return self._embed(tokens, self.target_embedding, self.decoder_positions, numbers, longest, self.decoder_dim)

    def forward(self, source: Tensor, previous: Tensor) -> Tensor:
        """Compute the hidden states before the output projection.

        Args:
            source: source token ids, [B, S].
            previous: target token ids shifted right (end symbol first), padded on the right, [B, T].

        Returns:
            [R, D]: B x T rows, sentence after sentence, then padding up to a multiple of ``row_multiple``.
        """
        encoded, mask = self.encode(source)
        x = self._rows(self.embed_target(previous))
        sentences, length = source.shape
        for layer in self.active_decoder:
            memory = layer.project_memory(encoded, sentences, length, mask)
            x = layer(x, sentences, previous.size(1), memory)
        return x if self.decoder_norm is None else cast(Tensor, self.decoder_norm(x))

    @property
    def output_weight(self) -> Tensor:
        """Weight of the output projection, [V, D]."""
        return self.projection.sliced(self.decoder_dim)

    def logits(self, hidden: Tensor) -> Tensor:
        """Project [..., D] -> [..., V]."""
        return F.linear(hidden, self.output_weight)
