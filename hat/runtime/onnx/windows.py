"""What the decoder's convolutions see of the positions before: the last rows of each of their inputs, and no others.

For each :class:`Window` of P positions a step's graph has the input ``NAME`` [P x N, D], a ring of rows of N
hypotheses in which a position takes the place of the one that is no longer seen, and the output ``new_NAME`` [1, N, D],
the rows of the new position. The input ``before.P`` [N, P] says where in the ring the past of each hypothesis is, from
the earliest position on, so that nothing is copied where hypotheses are dropped or doubled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from hat.runtime.onnx.sessions import bind_input, bind_output


@dataclass(frozen=True)
class Window:
    """A convolution's input: what it is called, positions before that are seen, and features."""

    name: str
    positions: int
    dim: int

    @property
    def before(self) -> str:
        """Name of the input that says where they are."""
        return f"before.{self.positions}"

    @property
    def new(self) -> str:
        """Name of the output."""
        return f"new_{self.name}"


class Windows:
    """The rows of a sentence's hypotheses; zeros before the first position.

    Args:
        windows: what is kept.
        beam: hypotheses.
    """

    def __init__(self, windows: Sequence[Window], beam: int) -> None:
        self.windows, self.beam, self.position = windows, beam, 0
        self.rings = [np.zeros((one.positions * beam, one.dim), np.float32) for one in windows]
        self.new = [np.empty((1, beam, one.dim), np.float32) for one in windows]
        sizes = {one.before: one.positions for one in windows}
        # [N, P]
        self.before = {name: np.arange(size * beam).reshape(size, beam).T.copy() for name, size in sizes.items()}

    def bind(self, step: ort.IOBinding) -> None:
        """Have runs of a step read and write these arrays."""
        for window, ring, new in zip(self.windows, self.rings, self.new, strict=True):
            bind_input(step, window.name, ring)
            bind_output(step, window.new, new)
        for name, rows in self.before.items():
            bind_input(step, name, rows)

    def move(self, hypotheses: list[int]) -> None:
        """Take the new position in, and go on with these hypotheses."""
        for window, ring, new in zip(self.windows, self.rings, self.new, strict=True):
            ring.reshape(window.positions, self.beam, -1)[self.position % window.positions] = new[0]
        for rows in self.before.values():
            rows[:, :-1] = rows[hypotheses, 1:]
            rows[:, -1] = self.position % rows.shape[1] * self.beam + np.array(hypotheses)
        self.position += 1
