"""Parameters and multiply-accumulate operations of an Evolved Transformer, from its dimensions.

What is counted is said in :mod:`hat.space.profile`; in addition a filter of a separable convolution costs one MAC for
each of its positions and each output, the gate of a gated linear unit one for each of its outputs, and swish nothing.
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


def layer_params(architecture: EvolvedArchitecture) -> int:
    """Weights and biases of the cells and of the final norms."""
    dim = architecture.width
    half, wide = dim // 2, FFN_FACTOR * dim
    attention = 4 * dim * dim
    encoder = 4 * _norm(dim) + 2 * _linear(dim, dim) + attention + _linear(dim, wide) + _linear(wide, dim)
    encoder += _linear(dim, wide) + _linear(ENCODER_CONVOLUTION * dim, half) + _norm(wide)
    encoder += _separable(wide, half, ENCODER_SEPARABLE)
    decoder = 5 * _norm(dim) + 4 * attention + _linear(dim, wide) + _norm(wide) + _linear(wide, dim)
    decoder += _separable(dim, 2 * dim, DECODER_LEFT) + _separable(dim, half, DECODER_RIGHT)
    decoder += _norm(2 * dim) + _separable(2 * dim, dim, DECODER_FINAL)
    return architecture.encoder_cells * encoder + architecture.decoder_cells * decoder + 2 * _norm(dim)


def macs(architecture: EvolvedArchitecture, length: int) -> int:
    """MACs of one sentence of ``length`` tokens to as many, without the last layer."""
    dim = architecture.width
    half, wide = dim // 2, FFN_FACTOR * dim
    # Of each position but for the products of attention, which see all others.
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


def _linear(inner: int, outer: int) -> int:
    return (inner + 1) * outer


def _norm(dim: int) -> int:
    return 2 * dim


def _separable(dim: int, outer: int, kernel: int) -> int:
    return dim * kernel + _linear(dim, outer)
