"""The Transformer of one Architecture; its factory decides whether it is elastic."""

from typing import Any, cast

from torch import Tensor, nn

from hat.model.base import EncoderDecoder
from hat.model.dropout import Dropouts
from hat.model.factory import PLAIN, ModuleFactory
from hat.model.feed_forward import FeedForward, Residual
from hat.model.layers import DecoderLayer, EncoderLayer
from hat.space.architecture import Architecture
from hat.space.shape import Shape


class Transformer(EncoderDecoder):
    """Encoder and decoder of an Architecture.

    Args:
        architecture: widths, depths and heads.
        shape: what the task's networks share.
        dropouts: rates at the super width, and how they scale.
        factory: constructors of linear maps and norms.
    """

    def __init__(
        self,
        architecture: Architecture,
        shape: Shape,
        *,
        dropouts: Dropouts | None = None,
        factory: ModuleFactory = PLAIN,
    ) -> None:
        super().__init__(
            shape,
            encoder_dim=architecture.encoder_embed_dim,
            decoder_dim=architecture.decoder_embed_dim,
            dropouts=dropouts,
        )
        pre_norm = shape.norm != "post"
        common: dict[str, Any] = {
            "architecture": architecture,
            "qkv_dim": shape.qkv_dim,
            "dropouts": self.dropouts,
            "pre_norm": pre_norm,
            "factory": factory,
        }
        self.encoder = nn.ModuleList(EncoderLayer(number, **common) for number in range(architecture.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(number, **common) for number in range(architecture.decoder_layers))
        self.encoder_norm = factory.norm(self.encoder_dim) if pre_norm else None
        self.decoder_norm = factory.norm(self.decoder_dim) if pre_norm else None
        self.encoder_depth = architecture.encoder_layers
        self.decoder_depth = architecture.decoder_layers
        self.initialise()
        self.set_dropout()

    def set_dropout(self) -> None:
        """Set every dropout rate for the present widths."""
        rates = self.dropouts
        for layers, dim, super_dim in (
            (self.encoder, self.encoder_dim, self.shape.super_encoder_dim),
            (self.decoder, self.decoder_dim, self.shape.super_decoder_dim),
        ):
            scale = rates.scale(dim, super_dim)
            for module in layers.modules():
                if isinstance(module, FeedForward):
                    module.dropout = rates.activation * scale
                elif isinstance(module, Residual):
                    module.dropout = rates.residual * scale
        if rates.scaling == "published":
            for layer in self.encoder:
                cast(EncoderLayer, layer).attention_residual.dropout = rates.residual

    @property
    def active_encoder(self) -> list[EncoderLayer]:
        """Encoder layers within the present depth."""
        return cast(list[EncoderLayer], list(self.encoder)[: self.encoder_depth])

    @property
    def active_decoder(self) -> list[DecoderLayer]:
        """Decoder layers within the present depth."""
        return cast(list[DecoderLayer], list(self.decoder)[: self.decoder_depth])

    def encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Outputs of the encoder.

        Args:
            source: token numbers, padded on either side, [B, S].

        Returns:
            The last outputs that any decoder layer attends to, each [R, D] (layers beyond the sampled depth count,
            and repeat the last output), normalised where pre-norm (all, or with ``pre-published`` the last only),
            and a mask that is true on tokens, [B, 1, 1, S], None where nothing is padding.
        """
        x, mask = self.embed_source(source)
        encoded = []
        for layer in self.active_encoder:
            x = layer(x, *source.shape, mask)
            encoded.append(x)
        return self.attended(encoded), mask

    def attended(self, encoded: list[Tensor]) -> list[Tensor]:
        """Of the outputs of all encoder layers, whatever their layout, those that :meth:`encode` returns."""
        beyond = self.shape.super_encoder_layers - self.encoder_depth
        needed = max(layer.cross_span for layer in self.active_decoder)
        encoded = encoded[-max(needed - beyond, 1) :]
        encoded += [encoded[-1]] * min(beyond, needed - 1)
        if self.encoder_norm is not None:
            first = len(encoded) - 1 if self.shape.norm == "pre-published" else 0
            encoded = encoded[:first] + [self.encoder_norm(output) for output in encoded[first:]]
        return encoded
