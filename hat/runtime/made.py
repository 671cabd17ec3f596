"""Networks with random weights, for measuring: made in a moment, with NumPy alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.evolved import (
    DECODER_FINAL,
    DECODER_LEFT,
    DECODER_RIGHT,
    ENCODER_CONVOLUTION,
    ENCODER_SEPARABLE,
    FFN_FACTOR,
    EvolvedArchitecture,
)
from hat.runtime.base import Blueprint, LoadedModel, Runtime, Shape, Weights, shared_names
from hat.runtime.shortlist import Shortlist
from hat.special_tokens import SPECIALS

if TYPE_CHECKING:
    from hat.baselines import AnyArchitecture


# Names and shapes of tensors.
_Tensors = Iterator[tuple[str, tuple[int, ...]]]


def weight_shapes(architecture: "AnyArchitecture", shape: Shape) -> _Tensors:
    """Names and shapes of a network's tensors, as the networks of :mod:`hat.model.networks` have them."""
    encoder, decoder, share = architecture.encoder_embed_dim, architecture.decoder_embed_dim, shape.share_embeddings
    source = (shape.source_vocabulary, max(encoder, decoder) if share == "all" else encoder)
    target = source if share == "all" else (shape.target_vocabulary, decoder)
    yield "source_embedding.weight", source
    yield "target_embedding.weight", target
    yield "projection.weight", (shape.target_vocabulary, decoder) if share == "none" else target
    if isinstance(architecture, EvolvedArchitecture):
        for number in range(architecture.encoder_cells):
            yield from _encoder_cell(f"encoder.{number}", architecture.width)
        for number in range(architecture.decoder_cells):
            yield from _decoder_cell(f"decoder.{number}", architecture.width)
    else:
        for number, ffn in enumerate(architecture.encoder_ffn_dim):
            yield from _layer(f"encoder.{number}", encoder, ffn, shape.qkv_dim)
        for number, ffn in enumerate(architecture.decoder_ffn_dim):
            yield from _layer(f"decoder.{number}", decoder, ffn, shape.qkv_dim, memory=encoder)
    if shape.norm != "post":
        yield from _norm("encoder_norm", encoder)
        yield from _norm("decoder_norm", decoder)


def _linear(name: str, inner: int, outer: int, *, bias: bool = True) -> _Tensors:
    yield f"{name}.weight", (outer, inner)
    if bias:
        yield f"{name}.bias", (outer,)


def _norm(name: str, dim: int) -> _Tensors:
    yield f"{name}.weight", (dim,)
    yield f"{name}.bias", (dim,)


def _attention(name: str, dim: int, qkv: int, *, memory: int | None = None, bias: bool = True) -> _Tensors:
    """Attention to itself, or to a memory of so many features."""
    if memory is None:
        yield from _linear(f"{name}.qkv", dim, 3 * qkv, bias=bias)
    else:
        yield from _linear(f"{name}.query", dim, qkv, bias=bias)
        yield from _linear(f"{name}.key_value", memory, 2 * qkv, bias=bias)
    yield from _linear(f"{name}.out", qkv, dim, bias=bias)


def _layer(name: str, dim: int, ffn: int, qkv: int, *, memory: int | None = None) -> _Tensors:
    """A layer of a Transformer; one of the decoder attends to a memory of so many features."""
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
    """A cell of an Evolved Transformer's encoder."""
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
    """A cell of an Evolved Transformer's decoder."""
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


def random_weights(architecture: "AnyArchitecture", shape: Shape, seed: int) -> Weights:
    """Xavier-uniform matrices, embeddings of variance 1 / width, zero biases, norms of one."""
    rng = np.random.default_rng(seed)
    shared, weights = shared_names(shape), dict[str, npt.NDArray[np.float32]]()
    for name, size in weight_shapes(architecture, shape):
        if len(size) == 1:
            weights[name] = np.full(size, float(name.endswith("norm.weight")), np.float32)
            continue
        if name in shared:
            weights[name] = weights[shared[name]]
            continue
        bound = (
            (3 / size[1]) ** 0.5 if name.endswith(("embedding.weight", "projection.weight")) else (6 / sum(size)) ** 0.5
        )
        matrix = rng.random(size, np.float32)
        matrix -= 0.5
        matrix *= 2 * bound
        weights[name] = matrix
    return weights


def build(
    runtime: Runtime, architecture: "AnyArchitecture", shape: Shape, *, seed: int, candidates: int | None = None
) -> LoadedModel:
    """A network with random weights, for measuring.

    Args:
        runtime: what it is built for.
        architecture: its dimensions.
        shape: what it shares with others of its task.
        seed: of the weights.
        candidates: target tokens of every sentence's shortlist; no shortlist where absent.

    Raises:
        InputError: the Runtime cannot express it.
    """
    if (reason := runtime.refusal(architecture, shape)) is not None:
        raise InputError(f"runtime {runtime.name!r}: {reason}")
    blueprint = blueprint_of(architecture, shape)
    # Padding, one of the first tokens, is no candidate.
    shortlist = None if candidates is None else Shortlist(range(min(candidates + 1, shape.target_vocabulary)), {})
    with tempfile.TemporaryDirectory() as folder:
        runtime.write(Path(folder), blueprint, random_weights(architecture, shape, seed), shortlist)
        return runtime.load(Path(folder), blueprint)


def blueprint_of(architecture: "AnyArchitecture", shape: Shape) -> Blueprint:
    """A blueprint with made tokens."""
    source, target = (_made_tokens(count) for count in (shape.source_vocabulary, shape.target_vocabulary))
    return Blueprint(architecture=architecture, shape=shape, source_tokens=source, target_tokens=target)


def _made_tokens(count: int) -> list[str]:
    return [*SPECIALS, *(f"token{number}" for number in range(len(SPECIALS), count))]
