"""Multiply-accumulate operations (MACs) of an Evolved Transformer, from its dimensions.

:mod:`hat.space.profile` describes the counting. In addition, a filter of a separable convolution costs one MAC for
each position and output, and the gate of a gated linear unit one for each output. Swish costs nothing.
"""

from hat.space.evolved import (
    DECODER_FINAL,
    DECODER_LEFT,
    DECODER_RIGHT,
    ENCODER_CONVOLUTION,
    ENCODER_SEPARABLE,
    FFN_FACTOR,
    EvolvedArchitecture,
)


def macs(architecture: EvolvedArchitecture, length: int) -> int:
    """Return the MACs of one sentence of ``length`` source and target tokens, without the last layer."""
    dim = architecture.width
    half, wide = dim // 2, FFN_FACTOR * dim
    # All counts are for one position; only the products of attention grow with the length.
    attention = 4 * dim * dim + dim + 2 * length * dim
    feed_forward = 2 * dim * wide
    encoder = 4 * dim + 2 * dim * dim + dim + attention + feed_forward
    encoder += dim * wide + ENCODER_CONVOLUTION * dim * half + wide + (ENCODER_SEPARABLE + half) * wide
    decoder = 5 * dim + 4 * attention + feed_forward + wide
    decoder += (DECODER_LEFT + 2 * dim) * dim + (DECODER_RIGHT + half) * dim
    decoder += 2 * dim + (DECODER_FINAL + dim) * 2 * dim
    each = architecture.encoder_cells * encoder + architecture.decoder_cells * decoder
    attentions = architecture.encoder_cells + 4 * architecture.decoder_cells
    embedded_and_normed = 2 * (dim + 1) + 2 * dim
    return length * (each + embedded_and_normed) + 3 * attentions
