"""Position vectors of the Transformer."""

import numpy as np
import numpy.typing as npt


def sinusoids(dim: int, count: int) -> npt.NDArray[np.float32]:
    """Return position vectors, [count, dim]: sines in the first half of the features, cosines in the second.

    Positions are counted from 1; row 0 is padding, and zero. fairseq counts positions from padding_idx + 1 = 2.
    """
    half = dim // 2
    step = np.log(np.float32(10000.0)) / np.float32(max(half - 1, 1))
    frequency = np.exp(np.arange(half, dtype=np.float32) * -step)
    angle = (np.arange(count, dtype=np.float32)[:, None] + 1) * frequency
    table = np.zeros((count, dim), np.float32)
    table[:, :half] = np.sin(angle)
    table[:, half : 2 * half] = np.cos(angle)
    table[0] = 0
    return table
