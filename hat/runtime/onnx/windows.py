"""Ring buffers with the earlier positions that the decoder's convolutions read: the last P positions of each input.

For each :class:`Window` of P positions, a step's graph has the input ``NAME`` [P x N, D], a ring buffer with rows of N
hypotheses in which a new position overwrites the oldest, and the output ``new_NAME`` [1, N, D], the rows of the new
position. The input ``before.P`` [N, P] holds the indices of each hypothesis's rows in the ring, earliest position
first, so that nothing is copied when hypotheses are dropped or duplicated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from hat.runtime.onnx.sessions import bind_input, bind_output


@dataclass(frozen=True)
class Window:
    """The input of a convolution: its name, the number of earlier positions that it reads, and its features."""

    name: str
    positions: int
    dim: int

    @property
    def before(self) -> str:
        """Name of the graph's input with the indices of the earlier positions."""
        return f"before.{self.positions}"

    @property
    def new(self) -> str:
        """Name of the graph's output with the new position."""
        return f"new_{self.name}"


class Windows:
    """The ring buffers of one sentence; positions before the first are zeros.

    Args:
        windows: the inputs to keep.
        beam: number of hypotheses.
    """

    def __init__(self, windows: Sequence[Window], beam: int) -> None:
        self.windows, self.beam, self.position = windows, beam, 0
        self.rings = [np.zeros((one.positions * beam, one.dim), np.float32) for one in windows]
        self.new = [np.empty((1, beam, one.dim), np.float32) for one in windows]
        sizes = {one.before: one.positions for one in windows}
        # [N, P]
        self.before = {name: np.arange(size * beam).reshape(size, beam).T.copy() for name, size in sizes.items()}

    def bind(self, step: ort.IOBinding) -> None:
        """Bind these arrays to the session of a step."""
        for window, ring, new in zip(self.windows, self.rings, self.new, strict=True):
            bind_input(step, window.name, ring)
            bind_output(step, window.new, new)
        for name, rows in self.before.items():
            bind_input(step, name, rows)

    def advance(self, hypotheses: list[int]) -> None:
        """Store the new position, and select the hypotheses to continue with."""
        for window, ring, new in zip(self.windows, self.rings, self.new, strict=True):
            ring.reshape(window.positions, self.beam, -1)[self.position % window.positions] = new[0]
        for rows in self.before.values():
            rows[:, :-1] = rows[hypotheses, 1:]
            rows[:, -1] = self.position % rows.shape[1] * self.beam + np.array(hypotheses)
        self.position += 1
