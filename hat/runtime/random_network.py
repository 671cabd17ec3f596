"""Random-weight networks for measurements: quick to make, with NumPy alone."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import SPECIALS
from hat.runtime.base import Blueprint, LoadedModel, Runtime, Weights, check_expressed
from hat.runtime.shortlist import Shortlist
from hat.space.shape import Shape, shared_names
from hat.space.tensors import weight_shapes

if TYPE_CHECKING:
    from hat.space.kinds import AnyArchitecture


def random_weights(architecture: "AnyArchitecture", shape: Shape, seed: int) -> Weights:
    """Return Xavier-uniform matrices, embeddings of variance 1 / width, zero biases, and norm weights of one."""
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
    """Load a random-weight network for measurements.

    Args:
        runtime: the Runtime that executes it.
        architecture: its dimensions.
        shape: hyperparameters that it shares with the other networks of its task.
        seed: seed of the weights.
        candidates: size of the shortlist that every sentence gets; default: no shortlist.

    Raises:
        InputError: the Runtime cannot express it.
    """
    check_expressed(runtime.facts, architecture)
    blueprint = blueprint_of(architecture, shape)
    # One more than asked for: a Shortlist leaves out padding, which is among the first tokens.
    shortlist = None if candidates is None else Shortlist(range(min(candidates + 1, shape.target_vocabulary)), {})
    with tempfile.TemporaryDirectory() as folder:
        runtime.write(Path(folder), blueprint, random_weights(architecture, shape, seed), shortlist)
        return runtime.load(Path(folder), blueprint)


def blueprint_of(architecture: "AnyArchitecture", shape: Shape) -> Blueprint:
    """Return a blueprint with synthetic tokens."""
    source, target = (_synthetic_tokens(count) for count in (shape.source_vocabulary, shape.target_vocabulary))
    return Blueprint(architecture=architecture, shape=shape, source_tokens=source, target_tokens=target)


def _synthetic_tokens(count: int) -> list[str]:
    return [*SPECIALS, *(f"token{number}" for number in range(len(SPECIALS), count))]
