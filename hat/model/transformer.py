"""The Transformer of one Architecture: what a SubTransformer is, with or without elastic leaves."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hat.data.dictionary import PAD
from hat.model.layers import (
    PLAIN,
    DecoderLayer,
    Dropouts,
    EncoderLayer,
    FeedForward,
    Leaves,
    Residual,
    SinusoidalPositions,
    TokenEmbedding,
    dropout,
)
from hat.runtime.base import Shape
from hat.space import Architecture


class Transformer(nn.Module):
    """Encoder and decoder of an Architecture.

    ``forward`` returns hidden states, not logits: the loss projects them piece by piece, so that the
    logits of a whole batch are never held at once; :meth:`logits` projects.

    Args:
        architecture: widths, depths and heads.
        shape: what the task's networks share.
        dropouts: rates at the super width.
        scale_dropout: scale the rates by sampled width / super width (published).
        leaves: constructors of linear maps and norms.
    """

    def __init__(
        self,
        architecture: Architecture,
        shape: Shape,
        *,
        dropouts: Dropouts | None = None,
        scale_dropout: bool = True,
        leaves: Leaves = PLAIN,
    ) -> None:
        super().__init__()
        self.shape = shape
        # Training in bf16 on a CPU sets this, so that few different shapes occur (see hat.model.layers).
        self.row_multiple = 1
        self.dropouts = dropouts or Dropouts()
        self.scale_dropout = scale_dropout
        self.encoder_dim = architecture.encoder_embed_dim
        self.decoder_dim = architecture.decoder_embed_dim
        pre_norm = shape.norm == "pre"
        self._make_embeddings()
        self.encoder_positions = SinusoidalPositions(shape.super_encoder_dim)
        self.decoder_positions = SinusoidalPositions(shape.super_decoder_dim)
        self.encoder = nn.ModuleList(
            EncoderLayer(
                dim=self.encoder_dim,
                ffn_dim=ffn_dim,
                heads=heads,
                qkv_dim=shape.qkv_dim,
                dropouts=self.dropouts,
                pre_norm=pre_norm,
                leaves=leaves,
            )
            for ffn_dim, heads in zip(architecture.encoder_ffn_dim, architecture.encoder_heads, strict=True)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(
                dim=self.decoder_dim,
                memory_dim=self.encoder_dim,
                ffn_dim=ffn_dim,
                self_heads=self_heads,
                cross_heads=cross_heads,
                cross_span=span,
                qkv_dim=shape.qkv_dim,
                dropouts=self.dropouts,
                pre_norm=pre_norm,
                leaves=leaves,
            )
            for ffn_dim, self_heads, cross_heads, span in zip(
                architecture.decoder_ffn_dim,
                architecture.decoder_self_heads,
                architecture.decoder_cross_heads,
                architecture.decoder_cross_span,
                strict=True,
            )
        )
        self.encoder_norm = leaves.norm(self.encoder_dim) if pre_norm else None
        self.decoder_norm = leaves.norm(self.decoder_dim) if pre_norm else None
        self.encoder_depth = architecture.encoder_layers
        self.decoder_depth = architecture.decoder_layers
        self._initialise()
        self.set_dropout()

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

    def _initialise(self) -> None:
        """Xavier-uniform matrices and zero biases, as published."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def set_dropout(self) -> None:
        """Set every dropout rate for the present widths."""
        rates = self.dropouts
        for layers, dim, super_dim in (
            (self.encoder, self.encoder_dim, self.shape.super_encoder_dim),
            (self.decoder, self.decoder_dim, self.shape.super_decoder_dim),
        ):
            scale = dim / super_dim if self.scale_dropout else 1.0
            for module in layers.modules():
                if isinstance(module, FeedForward):
                    module.dropout = rates.activation * scale
                elif isinstance(module, Residual):
                    module.dropout = rates.residual * scale

    @property
    def active_encoder(self) -> list[EncoderLayer]:
        """Encoder layers within the present depth."""
        return cast(list[EncoderLayer], list(self.encoder)[: self.encoder_depth])

    @property
    def active_decoder(self) -> list[DecoderLayer]:
        """Decoder layers within the present depth."""
        return cast(list[DecoderLayer], list(self.decoder)[: self.decoder_depth])

    def _embed(
        self, tokens: Tensor, embedding: TokenEmbedding, positions: SinusoidalPositions, numbers: Tensor, dim: int
    ) -> Tensor:
        scale = math.sqrt(positions.super_dim if self.shape.vocab_original_scaling else dim)
        x = embedding(tokens, dim) * scale + positions(numbers, dim)
        rate = self.dropouts.residual * (dim / positions.super_dim if self.scale_dropout else 1.0)
        return dropout(x, rate, self.training)

    def _rows(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [R, D], filled up with zeros to the next multiple of ``row_multiple``."""
        rows = x.flatten(0, 1)
        filling = -rows.size(0) % self.row_multiple
        return F.pad(rows, (0, 0, 0, filling)) if filling else rows

    def encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Outputs of the encoder.

        Args:
            source: token numbers, padded on either side, [B, S].

        Returns:
            The last outputs that any decoder layer attends to, each [R, D], normalised where pre-norm (layers
            beyond the sampled depth count, and repeat the last output), and a mask that is true on tokens,
            [B, 1, 1, S], None where nothing is padding.
        """
        real = source != PAD
        numbers = real.cumsum(1) * real
        mask = None if bool(real.all()) else real[:, None, None, :]
        x = self._rows(self._embed(source, self.source_embedding, self.encoder_positions, numbers, self.encoder_dim))
        encoded = []
        for layer in self.active_encoder:
            x = layer(x, *source.shape, mask)
            encoded.append(x)
        beyond = self.shape.super_encoder_layers - self.encoder_depth
        needed = max(layer.cross_span for layer in self.active_decoder)
        encoded = encoded[-max(needed - beyond, 1) :]
        if self.encoder_norm is not None:
            encoded = [self.encoder_norm(output) for output in encoded]
        return encoded + [encoded[-1]] * min(beyond, needed - 1), mask

    def embed_target(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Decoder input [B, T, D] of tokens [B, T], the first of which has position ``first`` (from 0)."""
        numbers = torch.arange(first + 1, first + tokens.size(1) + 1, device=tokens.device)
        return self._embed(tokens, self.target_embedding, self.decoder_positions, numbers, self.decoder_dim)

    def forward(self, source: Tensor, previous: Tensor) -> Tensor:
        """Hidden states before the output projection.

        Args:
            source: source tokens, [B, S].
            previous: target tokens shifted right (the end symbol first), padded on the right, [B, T].

        Returns:
            [R, D]: B x T rows, sentence after sentence, and the filling (see ``row_multiple``).
        """
        encoded, mask = self.encode(source)
        x = self._rows(self.embed_target(previous))
        for layer in self.active_decoder:
            x = layer(x, *previous.shape, encoded, source.size(1), mask)
        return x if self.decoder_norm is None else cast(Tensor, self.decoder_norm(x))

    @property
    def output_weight(self) -> Tensor:
        """Weights of the output projection, [V, D]."""
        return self.projection.sliced(self.decoder_dim)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., D] -> [..., V]."""
        return F.linear(hidden, self.output_weight)
