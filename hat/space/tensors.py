"""Names and shapes of a network's tensors."""

from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from typing import TYPE_CHECKING

from hat.space.evolved import (
    DECODER_FINAL,
    DECODER_LEFT,
    DECODER_RIGHT,
    ENCODER_CONVOLUTION,
    ENCODER_SEPARABLE,
    FFN_FACTOR,
    EvolvedArchitecture,
)
from hat.space.shape import Shape, shared_names

if TYPE_CHECKING:
    from hat.space.kinds import AnyArchitecture


# Tensors whose size depends on the dictionaries.
EMBEDDING_TENSORS = frozenset({"source_embedding.weight", "target_embedding.weight", "projection.weight"})
_Tensors = Iterator[tuple[str, tuple[int, ...]]]
_Sizes = tuple[int, ...]


def weight_shapes(architecture: "AnyArchitecture", shape: Shape) -> _Tensors:
    """Yield names and shapes of a network's tensors, as the networks of :mod:`hat.model.networks` have them."""
    for name, tensors, sizes in _parts(architecture, shape):
        yield from tensors(name, *sizes)


def parameter_counts(architecture: "AnyArchitecture", shape: Shape) -> tuple[int, int]:
    """Count the parameters of a network: of the embedding tables and the output projection, and of all other tensors.

    Shared weights count once.
    """
    shared = shared_names(shape)
    embeddings = others = 0
    for name, tensors, sizes in _parts(architecture, shape):
        if f"{name}.weight" in EMBEDDING_TENSORS:
            embeddings += 0 if f"{name}.weight" in shared else _count(tensors, sizes)
        else:
            others += _count(tensors, sizes)
    return embeddings, others


@cache
def _count(tensors: Callable[..., _Tensors], sizes: _Sizes) -> int:
    return sum(prod(dimensions) for _, dimensions in tensors("", *sizes))


def _parts(architecture: "AnyArchitecture", shape: Shape) -> Iterator[tuple[str, Callable[..., _Tensors], _Sizes]]:
    """Yield the parts of a network: a name, the function that yields its tensors, and the sizes to call it with."""
    encoder, decoder, share = architecture.encoder_embed_dim, architecture.decoder_embed_dim, shape.share_embeddings
    source = (shape.source_vocabulary, max(encoder, decoder) if share == "all" else encoder)
    target = source if share == "all" else (shape.target_vocabulary, decoder)
    yield "source_embedding", _table, source
    yield "target_embedding", _table, target
    yield "projection", _table, (shape.target_vocabulary, decoder) if share == "none" else target
    if isinstance(architecture, EvolvedArchitecture):
        for number in range(architecture.encoder_cells):
            yield f"encoder.{number}", _encoder_cell, (architecture.width,)
        for number in range(architecture.decoder_cells):
            yield f"decoder.{number}", _decoder_cell, (architecture.width,)
    else:
        for number, ffn in enumerate(architecture.encoder_ffn_dim):
            yield f"encoder.{number}", _layer, (encoder, ffn, shape.qkv_dim)
        for number, ffn in enumerate(architecture.decoder_ffn_dim):
            yield f"decoder.{number}", _layer, (decoder, ffn, shape.qkv_dim, encoder)
    if shape.norm != "post":
        yield "encoder_norm", _norm, (encoder,)
        yield "decoder_norm", _norm, (decoder,)


def _table(name: str, rows: int, dim: int) -> _Tensors:
    yield f"{name}.weight", (rows, dim)


def _linear(name: str, inner: int, outer: int, *, bias: bool = True) -> _Tensors:
    yield f"{name}.weight", (outer, inner)
    if bias:
        yield f"{name}.bias", (outer,)


def _norm(name: str, dim: int) -> _Tensors:
    yield f"{name}.weight", (dim,)
    yield f"{name}.bias", (dim,)


def _attention(name: str, dim: int, qkv: int, *, memory: int | None = None, bias: bool = True) -> _Tensors:
    """Yield tensors of self-attention, or of cross-attention to a memory of ``memory`` features."""
    if memory is None:
        yield from _linear(f"{name}.qkv", dim, 3 * qkv, bias=bias)
    else:
        yield from _linear(f"{name}.query", dim, qkv, bias=bias)
        yield from _linear(f"{name}.key_value", memory, 2 * qkv, bias=bias)
    yield from _linear(f"{name}.out", qkv, dim, bias=bias)


def _layer(name: str, dim: int, ffn: int, qkv: int, memory: int | None = None) -> _Tensors:
    """Yield tensors of an encoder layer, or of a decoder layer that attends to a memory of ``memory`` features."""
    yield from _attention(f"{name}.attention", dim, qkv)
    yield from _norm(f"{name}.attention_residual.norm", dim)
    if memory is not None:
        yield from _attention(f"{name}.cross_attention", dim, qkv, memory=memory)
        yield from _norm(f"{name}.cross_attention_residual.norm", dim)
    yield from _linear(f"{name}.ffn.inner", dim, ffn)
    yield from _linear(f"{name}.ffn.out", ffn, dim)
    yield from _norm(f"{name}.ffn_residual.norm", dim)


def _separable(name: str, dim: int, outer: int, kernel: int) -> _Tensors:
    yield f"{name}.filters", (dim, kernel)
    yield from _linear(f"{name}.linear", dim, outer)


def _encoder_cell(name: str, dim: int) -> _Tensors:
    """Yield tensors of an encoder cell of an Evolved Transformer."""
    wide = FFN_FACTOR * dim
    for sublayer in ("unit", "branches", "attention", "ffn"):
        yield from _norm(f"{name}.{sublayer}_residual.norm", dim)
    yield from _linear(f"{name}.unit.values", dim, dim)
    yield from _linear(f"{name}.unit.gates", dim, dim)
    yield from _linear(f"{name}.branches.left", dim, wide)
    yield from _linear(f"{name}.branches.right.linear", ENCODER_CONVOLUTION * dim, dim // 2)
    yield from _norm(f"{name}.branches.norm", wide)
    yield from _separable(f"{name}.branches.out", wide, dim // 2, ENCODER_SEPARABLE)
    yield from _attention(f"{name}.attention", dim, dim, bias=False)
    yield from _linear(f"{name}.ffn.inner", dim, wide)
    yield from _linear(f"{name}.ffn.out", wide, dim)


def _decoder_cell(name: str, dim: int) -> _Tensors:
    """Yield tensors of a decoder cell of an Evolved Transformer."""
    wide = FFN_FACTOR * dim
    for sublayer in ("wide", "branches", "attention", "cross", "ffn"):
        yield from _norm(f"{name}.{sublayer}_residual.norm", dim)
    for attention in ("wide_attention", "attention"):
        yield from _attention(f"{name}.{attention}", dim, dim, bias=False)
    for attention in ("first_cross_attention", "second_cross_attention"):
        yield from _attention(f"{name}.{attention}", dim, dim, memory=dim, bias=False)
    yield from _separable(f"{name}.branches.left", dim, 2 * dim, DECODER_LEFT)
    yield from _separable(f"{name}.branches.right", dim, dim // 2, DECODER_RIGHT)
    yield from _norm(f"{name}.branches.norm", 2 * dim)
    yield from _separable(f"{name}.branches.out", 2 * dim, dim, DECODER_FINAL)
    yield from _linear(f"{name}.ffn.inner", dim, wide)
    yield from _norm(f"{name}.ffn.norm", wide)
    yield from _linear(f"{name}.ffn.out", wide, dim)
