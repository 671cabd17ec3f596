"""Features of the latency predictor: the work that an Architecture causes on a device for one sentence, by component.

A component is a part of the network with a familiar name (encoder layer 1 attention, output projection, ...). Its work
is counted in units that its time depends on, and a feature is the sum of one unit over all components. Heterogeneous
layers therefore count as they are, where the published predictor averages over layers (HAT, section 3.2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from hat.latency.predictor.averages import AVERAGES, AveragedNetwork
from hat.measure.workload import Workload
from hat.space.architecture import Architecture

MeasuredNetwork = Architecture | AveragedNetwork
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
# Bytes of a weight in each precision; activations and the KV cache stay in fp32.
WEIGHT_BYTES = {"fp32": 4.0, "int8": 1.0, "int4": 0.5}
ACTIVATION_BYTES = 4
# Number of operators that a Runtime starts one after another. Attention: one projection to queries, keys and values,
# scores, softmax, weighted sum, output projection, residual with norm. Feed-forward network: two products, the
# activation, residual with norm.
ATTENTION_OPERATORS, FFN_OPERATORS = 6, 4
EVERY_ARCHITECTURE = "search and overhead"


@dataclass(frozen=True)
class Rows:
    """Features of N networks for all regressions: ``costs`` [N, len(FEATURES)], ``averages`` [N, len(AVERAGES)]."""

    costs: Vector
    averages: Vector

    def __len__(self) -> int:
        return len(self.costs)

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> Self:
        """Return a subset of the rows, by index."""
        return type(self)(self.costs[rows], self.averages[rows])


def components(
    architecture: MeasuredNetwork, workload: Workload, precision: str = "fp32"
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each component of a network: its name, and its amounts of features.

    With source length S, decoding steps T, beam B, widths E and D of encoder and decoder, width Q of all heads
    together, width F of a layer's feed-forward network, V target tokens or shortlist candidates, and b bytes a weight:

    - The encoder reads all tokens at once and is bound by arithmetic. Multiply-accumulates of a layer are S x 4 E Q for
      projections and S x 2 E F for the feed-forward network; keys and values of a layer's cross-attention take
      2 E Q S x span.
    - A decoding step has few tokens and is bound by memory. Bytes moved in each step are 6 D Q b for the four
      projections of self-attention and two of cross-attention, 2 D F b for the feed-forward network, D V b for the
      output projection with B D for the embedding of its tokens, and B 2 Q S x span for the keys and values of
      cross-attention.
    - Heads (in the decoder times T) and operators have a cost whatever their size.
    - One ``sentence`` stands for what every network costs: the search over scores, start and end.

    Within one workload, the bytes and multiply-accumulates of a product are proportional, so one of them is enough; the
    split of a product between components is the same. For the same reason sentences of several lengths are counted at
    their mean lengths: within one workload, other lengths only scale features.
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


def features(architectures: Sequence[MeasuredNetwork], workload: Workload, precision: str = "fp32") -> Vector:
    """Return features of Architectures, which are never negative and never grow when a network gets smaller.

    Args:
        architectures: the networks.
        workload: lengths, beam and shape.
        precision: precision of the weights.

    Returns:
        Sums over :func:`components`, [len(architectures), len(FEATURES)].
    """
    table = np.empty((len(architectures), len(FEATURES)))
    for row, architecture in enumerate(architectures):
        total = dict.fromkeys(FEATURES, 0.0)
        for _, amounts in components(architecture, workload, precision):
            for name, amount in amounts.items():
                total[name] += amount
        table[row] = list(total.values())
    return table


def averages(architectures: Sequence[MeasuredNetwork]) -> Vector:
    """Return the published features, [len(architectures), len(AVERAGES)]: widths, depths and averages over layers."""
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


def rows_of(architectures: Sequence[MeasuredNetwork], workload: Workload, precision: str = "fp32") -> Rows:
    """Return the features of Architectures for all regressions."""
    return Rows(features(architectures, workload, precision), averages(architectures))
