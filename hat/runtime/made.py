"""Networks with random weights, for measuring: made in a moment, with NumPy alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.runtime.base import Blueprint, LoadedModel, Runtime, Shape, Weights, shared_names
from hat.runtime.shortlist import Shortlist
from hat.special_tokens import SPECIALS

if TYPE_CHECKING:
    from hat.baselines import AnyArchitecture
    from hat.space import Architecture


def weight_shapes(architecture: "Architecture", shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a Transformer's tensors, as :class:`hat.model.transformer.Transformer` has them."""
    encoder, decoder, qkv = architecture.encoder_embed_dim, architecture.decoder_embed_dim, shape.qkv_dim
    share, both = shape.share_embeddings, max(encoder, decoder)
    source = (shape.source_vocabulary, both if share == "all" else encoder)
    target = source if share == "all" else (shape.target_vocabulary, decoder)
    yield "source_embedding.weight", source
    yield "target_embedding.weight", target
    yield "projection.weight", (shape.target_vocabulary, decoder) if share == "none" else target

    def linear(name: str, inner: int, outer: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (outer, inner)
        yield f"{name}.bias", (outer,)

    def norm(name: str, dim: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", (dim,)
        yield f"{name}.bias", (dim,)

    def layer(name: str, dim: int, ffn: int, *, cross: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from linear(f"{name}.attention.qkv", dim, 3 * qkv)
        yield from linear(f"{name}.attention.out", qkv, dim)
        yield from norm(f"{name}.attention_residual.norm", dim)
        if cross:
            yield from linear(f"{name}.cross_attention.query", dim, qkv)
            yield from linear(f"{name}.cross_attention.key_value", encoder, 2 * qkv)
            yield from linear(f"{name}.cross_attention.out", qkv, dim)
            yield from norm(f"{name}.cross_attention_residual.norm", dim)
        yield from linear(f"{name}.ffn.inner", dim, ffn)
        yield from linear(f"{name}.ffn.out", ffn, dim)
        yield from norm(f"{name}.ffn_residual.norm", dim)

    for side, dim, widths in (
        ("encoder", encoder, architecture.encoder_ffn_dim),
        ("decoder", decoder, architecture.decoder_ffn_dim),
    ):
        for number, ffn in enumerate(widths):
            yield from layer(f"{side}.{number}", dim, ffn, cross=side == "decoder")
        if shape.norm != "post":
            yield from norm(f"{side}_norm", dim)


def random_weights(architecture: "Architecture", shape: Shape, seed: int) -> Weights:
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
    runtime: Runtime, architecture: "Architecture", shape: Shape, *, seed: int, candidates: int | None = None
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
