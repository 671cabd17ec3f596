"""The SuperTransformer: one network whose leading slices are the SubTransformers of a space (HAT, section 3.1)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hat.model.dropout import Dropouts
from hat.model.embedding import TokenEmbedding
from hat.model.factory import LayerNorm, ModuleFactory
from hat.model.linear import linear
from hat.model.transformer import Transformer
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape


class ElasticLinear(nn.Linear):
    """A linear map that uses the leading rows and columns of its weight."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.select(in_features, out_features)

    def select(self, in_features: int, out_features: int) -> None:
        """Set the number of input and output features."""
        self.rows, self.columns = out_features, in_features

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in] -> [..., out]."""
        return linear(x, self.weight, self.bias, self.rows, self.columns)

    def sliced(self) -> tuple[Tensor, Tensor]:
        """Return the weight [out, in] and the bias [out] in use."""
        return self.weight[: self.rows, : self.columns], self.bias[: self.rows]


class ElasticLayerNorm(LayerNorm):
    """A layer norm that uses its leading features."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.select(features)

    def select(self, features: int) -> None:
        """Set the number of features."""
        self.active = features

    def sliced(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias in use, each [D]."""
        return self.weight[: self.active], self.bias[: self.active]


class SuperTransformer(Transformer):
    """All Architectures of a space in one set of weights; :meth:`select` selects one.

    Args:
        space: search space.
        shape: vocabularies, sharing, position tables.
        dropouts: rates at the super width, and how they scale.
    """

    def __init__(self, space: SearchSpace, shape: Shape, *, dropouts: Dropouts | None = None) -> None:
        super().__init__(
            space.largest,
            shape,
            dropouts=dropouts,
            factory=ModuleFactory(ElasticLinear, ElasticLayerNorm),
        )
        self.architecture = space.largest

    def select(self, architecture: Architecture) -> None:
        """Compute the SubTransformer of an Architecture of the space from now on."""
        self.architecture = architecture
        self.encoder_dim, self.decoder_dim = architecture.encoder_embed_dim, architecture.decoder_embed_dim
        self.encoder_depth, self.decoder_depth = architecture.encoder_layers, architecture.decoder_layers
        encoder, decoder, qkv = self.encoder_dim, self.decoder_dim, self.shape.qkv_dim
        for i, encoder_layer in enumerate(self.active_encoder):
            encoder_layer.attention.heads = architecture.encoder_heads[i]
            ffn = architecture.encoder_ffn_dim[i]
            _select_linear(encoder_layer.attention, qkv=(encoder, 3 * qkv), out=(qkv, encoder))
            _select_linear(encoder_layer.ffn, inner=(encoder, ffn), out=(ffn, encoder))
            _select_norms(encoder_layer, encoder)
        for i, layer in enumerate(self.active_decoder):
            layer.attention.heads = architecture.decoder_self_heads[i]
            layer.cross_attention.heads = architecture.decoder_cross_heads[i]
            layer.cross_span = architecture.decoder_cross_span[i]
            ffn = architecture.decoder_ffn_dim[i]
            _select_linear(layer.attention, qkv=(decoder, 3 * qkv), out=(qkv, decoder))
            _select_linear(
                layer.cross_attention, query=(decoder, qkv), key_value=(encoder, 2 * qkv), out=(qkv, decoder)
            )
            _select_linear(layer.ffn, inner=(decoder, ffn), out=(ffn, decoder))
            _select_norms(layer, decoder)
        for norm, dim in ((self.encoder_norm, encoder), (self.decoder_norm, decoder)):
            if isinstance(norm, ElasticLayerNorm):
                norm.select(dim)
        self.set_dropout()

    def extract(self, architecture: Architecture) -> Transformer:
        """Return the SubTransformer of an Architecture as a plain network with a copy of its weights."""
        self.select(architecture)
        plain = Transformer(architecture, self.shape, dropouts=self.dropouts)
        with torch.no_grad():
            for weights, part in self.parts(plain):
                weights.copy_(part)
        return plain

    def parts(self, plain: Transformer) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the weights of a plain network of the selected SubTransformer, each with its view in this network."""
        own = dict(self.named_modules())
        for name, module in plain.named_modules():
            elastic = own[name]
            if isinstance(elastic, ElasticLinear | ElasticLayerNorm):
                weight, bias = elastic.sliced()
                yield module.weight, weight
                yield module.bias, bias
            elif isinstance(elastic, TokenEmbedding):
                yield module.weight, elastic.sliced(module.weight.size(1))


def _select_linear(parent: nn.Module, **sizes: tuple[int, int]) -> None:
    for name, (in_features, out_features) in sizes.items():
        getattr(parent, name).select(in_features, out_features)


def _select_norms(layer: nn.Module, dim: int) -> None:
    for module in layer.modules():
        if isinstance(module, ElasticLayerNorm):
            module.select(dim)
