"""Weights whose int8 products all processors add exactly."""

from collections.abc import Mapping

import numpy as np


def unsaturated(weights: Mapping[str, np.ndarray], precision: str = "int8") -> dict[str, np.ndarray]:
    """Return a copy in which each row of the matrices [O, I] that are stored in int8 has a large weight beside a zero.

    x86-64 CPUs without VNNI instructions add two neighbouring products, each of a weight and an activation of up
    to 255, in 16 bits, which saturate. The large weight halves what the others of its row become when they are
    quantised, to at most 64, and no such sum exceeds 16 bits.

    Args:
        weights: of a network.
        precision: ``int8``, or ``int4``, where embeddings and the output projection alone are in int8.
    """
    return {
        name: _unsaturated(tensor)
        if tensor.ndim == 2 and (precision == "int8" or name.endswith(("embedding.weight", "projection.weight")))
        else tensor
        for name, tensor in weights.items()
    }


def _unsaturated(matrix: np.ndarray) -> np.ndarray:
    matrix, rows = matrix.copy(), np.arange(len(matrix))
    large = 2 * (rows % (matrix.shape[1] // 2))
    matrix[rows, large] = 2 * np.abs(matrix).max(axis=1) * np.where(rows % 2, -1, 1)
    matrix[rows, large + 1] = 0
    return matrix
