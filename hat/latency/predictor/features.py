"""What an Architecture makes a device do for one sentence: the features of the latency predictor, by component.

A component is a part of the network that a person can name (encoder layer 1 attention, output projection, ...). What
each of them does is counted in the units that its time depends on, and a feature is the sum of one unit over all
components, so heterogeneous layers keep their shape (the published predictor averages them, HAT, section 3.2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from hat.latency.predictor.averages import AVERAGES, AveragedNetwork
from hat.measure.workload import Workload
from hat.space.architecture import Architecture

Network = Architecture | AveragedNetwork
Vector = npt.NDArray[np.float64]

FEATURES = (
    "sentence",
    "source_embedding",
    "encoder_operators",
    "encoder_projections",
    "encoder_ffn",
    "encoder_heads",
    "cross_keys",
    "decoder_operators",
    "decoder_projections",
    "decoder_ffn",
    "decoder_self_heads",
    "decoder_cross_heads",
    "cross_attention",
    "output_projection",
)
# Bytes of a weight in each precision; activations and the caches of attention stay in fp32.
WEIGHT_BYTES = {"fp32": 4.0, "int8": 1.0, "int4": 0.5}
ACTIVATION_BYTES = 4
# Operators that a runtime starts one after the other, whatever their sizes: query, key and value in one product,
# scores, softmax, weighted sum, output, residual with norm; for the feed-forward network two products, the activation,
# residual with norm.
ATTENTION_OPERATORS, FFN_OPERATORS = 6, 4
EVERY_ARCHITECTURE = "search and overhead"


@dataclass(frozen=True)
class Rows:
    """What regressions see of N networks: ``costs`` [N, len(FEATURES)] and ``averages`` [N, len(AVERAGES)]."""

    costs: Vector
    averages: Vector

    def __len__(self) -> int:
        return len(self.costs)

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> Self:
        """Some of the rows, by their numbers."""
        return type(self)(self.costs[rows], self.averages[rows])


def components(
    architecture: Network, workload: Workload, precision: str = "fp32"
) -> Iterator[tuple[str, dict[str, float]]]:
    """What each part of a network makes the device do: its name, and amounts of features.

    For source length S, steps T, beam B, widths E and D, all heads together Q wide, F of a layer's feed-forward
    network, V target tokens or candidates of the shortlist, and weights of b bytes:

    - the encoder reads all tokens at once and is bound by arithmetic: multiply-accumulates, S x 4 E Q of projections
      and S x 2 E F of the feed-forward network of a layer, 2 E Q S x span for the keys and values of cross-attention;
    - a decoding step has a handful of tokens and is bound by memory: bytes moved in T steps, 6 D Q b for the four
      projections of self- and two of cross-attention, 2 D F b for the feed-forward network, D V b for the output
      projection with B D for the embedding of its tokens, and B 2 Q S x span for the keys and values attended to;
    - heads, in the decoder times T, and operators: what a head or an operator costs whatever its size;
    - one ``sentence``, whatever the network: search over the scores, starting and ending.

    Within one workload bytes and multiply-accumulates of the same product are proportional, so they are told apart by
    no measurement; the split of a product between components is the same either way. For the same reason sentences of
    several lengths are counted at their mean lengths: within one workload the others only scale features.
    """
    source, steps = workload.source_length, workload.target_length
    beam, qkv = workload.beam, workload.shape.qkv_dim
    weight = WEIGHT_BYTES[precision]
    encoder, decoder = architecture.encoder_embed_dim, architecture.decoder_embed_dim
    target_embedding = steps * beam * decoder * ACTIVATION_BYTES
    yield EVERY_ARCHITECTURE, {"sentence": 1}
    yield (
        "embedding",
        {"source_embedding": source * encoder * ACTIVATION_BYTES, "output_projection": target_embedding},
    )
    for layer, (ffn, heads) in enumerate(zip(architecture.encoder_ffn_dim, architecture.encoder_heads, strict=True), 1):
        yield (
            f"encoder layer {layer} attention",
            {
                "encoder_operators": ATTENTION_OPERATORS,
                "encoder_projections": 4 * source * encoder * qkv,
                "encoder_heads": heads,
            },
        )
        yield (
            f"encoder layer {layer} FFN",
            {"encoder_operators": FFN_OPERATORS, "encoder_ffn": 2 * source * encoder * ffn},
        )
    decoder_layers = zip(
        architecture.decoder_ffn_dim,
        architecture.decoder_self_heads,
        architecture.decoder_cross_heads,
        architecture.decoder_cross_span,
        strict=True,
    )
    for layer, (ffn, self_heads, cross_heads, span) in enumerate(decoder_layers, 1):
        yield (
            f"decoder layer {layer} self-attention",
            {
                "decoder_operators": steps * ATTENTION_OPERATORS,
                "decoder_projections": steps * 4 * decoder * qkv * weight,
                "decoder_self_heads": steps * self_heads,
            },
        )
        yield (
            f"decoder layer {layer} cross-attention",
            {
                "decoder_operators": steps * ATTENTION_OPERATORS,
                "decoder_projections": steps * 2 * decoder * qkv * weight,
                "decoder_cross_heads": steps * cross_heads,
                "cross_keys": 2 * source * encoder * qkv * span,
                "cross_attention": steps * beam * 2 * qkv * source * span * ACTIVATION_BYTES,
            },
        )
        yield (
            f"decoder layer {layer} FFN",
            {"decoder_operators": steps * FFN_OPERATORS, "decoder_ffn": steps * 2 * decoder * ffn * weight},
        )
    candidates = workload.candidates or workload.shape.target_vocabulary
    yield "output projection", {"output_projection": steps * decoder * candidates * weight}


def features(architectures: Sequence[Network], workload: Workload, precision: str = "fp32") -> Vector:
    """Features of Architectures, none negative and none growing when a network gets smaller.

    Args:
        architectures: the networks.
        workload: lengths, beam and shape.
        precision: of the weights.

    Returns:
        [len(architectures), len(FEATURES)], the sums over :func:`components`.
    """
    table = np.empty((len(architectures), len(FEATURES)))
    for row, architecture in enumerate(architectures):
        total = dict.fromkeys(FEATURES, 0.0)
        for _, amounts in components(architecture, workload, precision):
            for name, amount in amounts.items():
                total[name] += amount
        table[row] = list(total.values())
    return table


def averages(architectures: Sequence[Network]) -> Vector:
    """The published features, [len(architectures), len(AVERAGES)]: widths, depths and averages over layers."""
    rows = [
        (
            point.encoder_embed_dim,
            len(point.encoder_heads),
            np.mean(point.encoder_ffn_dim),
            np.mean(point.encoder_heads),
            point.decoder_embed_dim,
            len(point.decoder_self_heads),
            np.mean(point.decoder_ffn_dim),
            np.mean(point.decoder_self_heads),
            np.mean(point.decoder_cross_heads),
            np.mean(point.decoder_cross_span),
        )
        for point in architectures
    ]
    return np.array(rows, dtype=np.float64).reshape(len(architectures), len(AVERAGES))


def rows_of(architectures: Sequence[Network], workload: Workload, precision: str = "fp32") -> Rows:
    """Everything that regressions look at, of Architectures."""
    return Rows(features(architectures, workload, precision), averages(architectures))
