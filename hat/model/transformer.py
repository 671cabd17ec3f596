"""The Transformer of an Architecture, plain or elastic."""

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
        architecture: Architecture of the network.
        shape: vocabularies, sharing, position tables.
        dropouts: rates at the super width, and how they scale.
        factory: makes linear maps and norms; an elastic one makes the network elastic.
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
        """Set all dropout rates for the active widths."""
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
        """Active encoder layers, from the embedding on."""
        return cast(list[EncoderLayer], list(self.encoder)[: self.encoder_depth])

    @property
    def active_decoder(self) -> list[DecoderLayer]:
        """Active decoder layers, from the embedding on."""
        return cast(list[DecoderLayer], list(self.decoder)[: self.decoder_depth])

    def encode(self, source: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Encode source sentences.

        Args:
            source: token ids, padded on either side, [B, S].

        Returns:
            The outputs that decoder layers attend to, in order, each [R, D], see :meth:`attended`, and the attention
            mask, true on tokens, [B, 1, 1, S]; None if there is no padding.
        """
        x, mask = self.embed_source(source)
        encoded = []
        for layer in self.active_encoder:
            x = layer(x, *source.shape, mask)
            encoded.append(x)
        return self.attended(encoded), mask

    def attended(self, encoded: list[Tensor]) -> list[Tensor]:
        """Return the last encoder outputs, as many as any decoder layer attends to.

        Layers beyond the sampled depth count and repeat the last output. With pre-norm the outputs are normalised; with
        ``pre-published`` only the last one is.
        """
        beyond = self.shape.super_encoder_layers - self.encoder_depth
        needed = max(layer.cross_span for layer in self.active_decoder)
        encoded = encoded[-max(needed - beyond, 1) :]
        encoded += [encoded[-1]] * min(beyond, needed - 1)
        if self.encoder_norm is not None:
            first = len(encoded) - 1 if self.shape.norm == "pre-published" else 0
            encoded = encoded[:first] + [self.encoder_norm(output) for output in encoded[first:]]
        return encoded
