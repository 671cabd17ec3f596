"""What an Architecture makes a device do for one sentence: the features of the latency predictor.

Every feature is a sum over the layers of the full Architecture, so heterogeneous layers keep their shape
(the published predictor averages them, HAT, section 3.2). Unless said otherwise a feature counts
multiply-accumulate operations of one sentence.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hat.latency.workload import Workload
from hat.space import Architecture

FEATURES = (
    "sentence",
    "encoder_layers",
    "encoder_projections",
    "encoder_ffn",
    "encoder_heads",
    "cross_keys",
    "decoder_layers",
    "decoder_projections",
    "decoder_ffn",
    "decoder_self_heads",
    "decoder_cross_heads",
    "cross_attention",
    "output_projection",
)


def features(architectures: Sequence[Architecture], workload: Workload) -> npt.NDArray[np.float64]:
    """Features of Architectures, none negative and none growing when a network gets smaller.

    Columns, in the order of ``FEATURES``, for source length S, steps T, beam B, widths E and D, all heads
    together Q wide, F of a layer's feed-forward network, V target tokens:

    - ``sentence``: 1, the cost of a sentence whatever the network;
    - ``encoder_layers``, ``decoder_layers``: fixed cost of a layer: its number, for the decoder times T;
    - ``encoder_projections``: S x 4 E Q per layer, query, key, value and output; ``encoder_ffn``: S x 2 E F;
    - ``encoder_heads``: heads, the cost of a head; ``decoder_self_heads``, ``decoder_cross_heads``: heads x T;
    - ``cross_keys``: 2 E Q S x span per decoder layer, keys and values of cross-attention, once a sentence;
    - ``decoder_projections``: T B x 6 D Q per layer, four of self- and two of cross-attention;
    - ``decoder_ffn``: T B x 2 D F;
    - ``cross_attention``: T B x 2 Q S x span per layer;
    - ``output_projection``: T B x D V, or x D candidates where there is a shortlist.

    Returns:
        [len(architectures), len(FEATURES)]
    """
    source, steps = workload.source_length, workload.target_length
    tokens, qkv = steps * workload.beam, workload.shape.qkv_dim
    table = np.empty((len(architectures), len(FEATURES)))
    for row, point in enumerate(architectures):
        encoder, decoder = point.encoder_embed_dim, point.decoder_embed_dim
        span = sum(point.decoder_cross_span)
        table[row] = (
            1,
            point.encoder_layers,
            4 * source * encoder * qkv * point.encoder_layers,
            2 * source * encoder * sum(point.encoder_ffn_dim),
            sum(point.encoder_heads),
            2 * source * encoder * qkv * span,
            steps * point.decoder_layers,
            6 * tokens * decoder * qkv * point.decoder_layers,
            2 * tokens * decoder * sum(point.decoder_ffn_dim),
            steps * sum(point.decoder_self_heads),
            steps * sum(point.decoder_cross_heads),
            2 * tokens * qkv * source * span,
            tokens * decoder * (workload.candidates or workload.shape.target_vocabulary),
        )
    return table
