"""The Evolved Transformer (So, Liang, Le 2019, arXiv 1901.11117)."""

import math
from typing import cast

from torch import Tensor, nn

from hat.model.attention import CrossAttention, SelfAttention
from hat.model.base import EncoderDecoder
from hat.model.dropout import Dropouts
from hat.model.evolved_cells import NORM, Convolution, DecoderCell, EncoderCell, SeparableConvolution
from hat.space.evolved import EvolvedArchitecture
from hat.space.shape import Shape


class EvolvedTransformer(EncoderDecoder):
    """Encoder and decoder of Evolved Transformer cells, each with a final norm.

    Tokens, positions, embeddings and projection are as in all networks of this project. The reference definition counts
    positions from 0 instead of 2 and starts a target with zeros instead of the end symbol.

    Args:
        architecture: width, heads and cells.
        shape: vocabularies, sharing, position tables.
        dropouts: rates, not scaled, since the width is fixed.
    """

    def __init__(self, architecture: EvolvedArchitecture, shape: Shape, *, dropouts: Dropouts | None = None) -> None:
        width, heads = architecture.width, architecture.heads
        super().__init__(shape, encoder_dim=width, decoder_dim=width, dropouts=dropouts)
        self.encoder = nn.ModuleList(
            EncoderCell(width, heads, self.dropouts) for _ in range(architecture.encoder_cells)
        )
        self.decoder = nn.ModuleList(
            DecoderCell(width, heads, architecture.wide_heads, self.dropouts) for _ in range(architecture.decoder_cells)
        )
        self.encoder_norm = NORM(width)
        self.decoder_norm = NORM(width)
        self.initialise()

    def initialise(self) -> None:
        """Initialise weights Xavier-uniform, query, key and value projections separately, and biases to zero.

        The fans of a convolution are features times positions, as in the reference definition.
        """
        super().initialise()
        for module in self.modules():
            if isinstance(module, SelfAttention | CrossAttention):
                joint = module.qkv if isinstance(module, SelfAttention) else module.key_value
                for weight in joint.weight.chunk(joint.out_features // joint.in_features):
                    nn.init.xavier_uniform_(weight)
            elif isinstance(module, Convolution):
                out_dim, inputs = module.linear.weight.shape
                _uniform(module.linear.weight, inputs + out_dim * module.kernel)
            elif isinstance(module, SeparableConvolution):
                dim, kernel = module.filters.shape
                _uniform(module.filters, dim * kernel + kernel)

    @property
    def active_decoder(self) -> list[DecoderCell]:
        """Decoder cells, from the embedding on."""
        return cast(list[DecoderCell], list(self.decoder))

    def encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Encode source sentences.

        Args:
            source: token ids, padded on either side, [B, S].

        Returns:
            One normalised output, [R, D], and the attention mask, true on tokens, [B, 1, 1, S]; None if there is no
            padding.
        """
        x, mask = self.embed_source(source)
        for cell in self.encoder:
            x = cell(x, *source.shape, mask)
        return [self.encoder_norm(x)], mask


def _uniform(weight: Tensor, fans: int) -> None:
    """Initialise weights Xavier-uniform, given the sum of both fans."""
    bound = math.sqrt(6 / fans)
    nn.init.uniform_(weight, -bound, bound)
