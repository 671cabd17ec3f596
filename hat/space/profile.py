"""Parameters, FLOPs and memory of an Architecture, counted from its dimensions without building it.

FLOPs are counted as in the published tables of the research code: twice the multiply-accumulate operations (MACs)
that torchprofile finds in a forward pass of one sentence, with source and target of the same length and all target
positions at once. torchprofile counts

- one MAC for each weight of a linear map and position (biases are free), and for each product inside the two matrix
  products of attention;
- one MAC for each element of a layer norm's output;
- one MAC for each element of an explicit multiplication: embeddings times the square root of their width, queries
  times their scale, positions times the padding mask, and in every attention three integer products (batch size x
  heads, one each for queries, keys and values);
- nothing for softmax, ReLU, residual sums, dropout and table look-ups.

Keys and values of cross-attention are projected once for each encoder layer that is attended to. The number of heads
does not change the count.

The published tables of parameters and FLOPs leave out the embedding tables and the output projection ("last layer"),
because both depend on the task's dictionary. IWSLT'14 is counted at length 23, WMT at length 30. The published table
of quantised models gives sizes of the same weights in millions of bytes, at 4 bytes a parameter in fp32 and half a
byte with 4 bits, without code books: the 176,357,376 parameters of Transformer-Big are its 705 MB.
"""

from dataclasses import dataclass

from hat.errors import InputError
from hat.space import profile_evolved
from hat.space.architecture import Architecture
from hat.space.evolved import EvolvedArchitecture
from hat.space.kinds import AnyArchitecture
from hat.space.shape import Shape
from hat.space.tensors import parameter_counts

# Shape of the published WMT tasks, for published files, which do not state it.
PUBLISHED_SHAPE = Shape(
    source_vocabulary=32768,
    target_vocabulary=32768,
    qkv_dim=512,
    super_encoder_dim=640,
    super_decoder_dim=640,
    super_encoder_layers=6,
    norm="post",
    share_embeddings="all",
    vocab_original_scaling=False,
)
BITS = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Size and arithmetic of an Architecture.

    "Without embeddings" means without the embedding tables and the output projection.
    """

    length: int
    params: int
    params_without_embeddings: int
    flops: int
    flops_without_last_layer: int

    @classmethod
    def of(cls, architecture: AnyArchitecture, shape: Shape, length: int) -> "Profile":
        """Count the parameters and FLOPs of an Architecture.

        Args:
            architecture: widths, depths and heads, or cells of an Evolved Transformer.
            shape: hyperparameters that the task's networks share.
            length: number of source tokens and of target tokens.

        Raises:
            InputError: a head count does not divide the width of queries, keys and values.
        """
        if isinstance(architecture, EvolvedArchitecture):
            inner = profile_evolved.macs(architecture, length)
        else:
            for name in ("encoder_heads", "decoder_self_heads", "decoder_cross_heads"):
                for heads in getattr(architecture, name):
                    if shape.qkv_dim % heads:
                        raise InputError(f"{name} contains {heads}, expected divisors of qkv_dim ({shape.qkv_dim})")
            inner = _macs(architecture, shape, length)
        embeddings, others = parameter_counts(architecture, shape)
        return cls(
            length=length,
            params=embeddings + others,
            params_without_embeddings=others,
            flops=2 * (inner + length * architecture.decoder_embed_dim * shape.target_vocabulary),
            flops_without_last_layer=2 * inner,
        )

    @property
    def memory_bytes(self) -> dict[str, int]:
        """Return the bytes of all weights by precision, without the scales and code books of int8 and int4."""
        return {name: -(-self.params * bits // 8) for name, bits in BITS.items()}

    @property
    def memory_bytes_without_embeddings(self) -> dict[str, int]:
        """Return the bytes of the weights without embeddings by precision, as :attr:`memory_bytes` counts them."""
        return {name: -(-self.params_without_embeddings * bits // 8) for name, bits in BITS.items()}


def _macs(architecture: Architecture, shape: Shape, length: int) -> int:
    """Return the MACs of one sentence without the last layer."""
    encoder, decoder, qkv = architecture.encoder_embed_dim, architecture.decoder_embed_dim, shape.qkv_dim

    def attention(dim: int, memory_dim: int, memories: int) -> int:
        keys = memories * length
        projections = 2 * length * dim * qkv + 2 * keys * memory_dim * qkv
        return projections + 2 * length * keys * qkv + length * qkv + 3 + length * dim

    def feed_forward(dim: int, ffn_dim: int) -> int:
        return 2 * length * dim * ffn_dim + length * dim

    total = sum(length * dim + length for dim in (encoder, decoder))
    total += sum(
        attention(encoder, encoder, 1) + feed_forward(encoder, ffn_dim) for ffn_dim in architecture.encoder_ffn_dim
    )
    total += sum(
        attention(decoder, decoder, 1) + attention(decoder, encoder, span) + feed_forward(decoder, ffn_dim)
        for ffn_dim, span in zip(architecture.decoder_ffn_dim, architecture.decoder_cross_span, strict=True)
    )
    if shape.norm != "post":
        total += length * (_normed_outputs(architecture, shape) * encoder + decoder)
    return total


def _normed_outputs(architecture: Architecture, shape: Shape) -> int:
    """Return how many encoder outputs pass the final norm: the last, or (``pre``) all that the decoder attends to."""
    if shape.norm == "pre-published":
        return 1
    needed = max(architecture.decoder_cross_span)
    beyond = shape.super_encoder_layers - architecture.encoder_layers
    return min(max(needed - beyond, 1), architecture.encoder_layers) + max(min(beyond, needed - 1), 0)
