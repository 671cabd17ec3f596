"""Inherited weights: a SubTransformer's tensors are leading slices of the SuperTransformer's. Needs only NumPy."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from hat.errors import InputError
from hat.runtime.base import Weights
from hat.space.shape import Shape
from hat.space.tensors import weight_shapes

if TYPE_CHECKING:
    from hat.space.architecture import Architecture


def inherited_weights(weights: Weights, architecture: "Architecture", shape: Shape) -> Weights:
    """Return the weights of an Architecture: views of the leading rows and columns of larger ones.

    Raises:
        InputError: a tensor is missing or too small.
    """
    found = {}
    for name, size in weight_shapes(architecture, shape):
        whole = weights.get(name)
        if whole is None or whole.ndim != len(size) or any(np.array(whole.shape) < size):
            have = "nothing" if whole is None else list(whole.shape)
            raise InputError(f"weights, {name}: {have}, expected at least {list(size)}")
        found[name] = whole[tuple(slice(length) for length in size)]
    return found


def envelope(architectures: Sequence["Architecture"]) -> "Architecture":
    """Return the smallest Architecture whose weights contain the weights of all the given ones."""
    first = architectures[0]
    largest: dict[str, Any] = {}
    for name, value in vars(first).items():
        values = [getattr(point, name) for point in architectures]
        largest[name] = (
            tuple(max(entries) for entries in zip_longest(*values, fillvalue=1))
            if isinstance(value, tuple)
            else max(values)
        )
    return type(first)(**largest)
