"""One sentence in the middle of decoding with ONNX Runtime: what is kept between steps, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from hat.data.text.special_tokens import END, PAD
from hat.model.positions import sinusoids
from hat.runtime.onnx.network import projection_arrays, projection_constants
from hat.runtime.onnx.sessions import Sessions, bind_input, bind_output
from hat.runtime.onnx.tables import Table
from hat.runtime.onnx.windows import Window, Windows
from hat.runtime.shortlist import Shortlist
from hat.space.shape import Shape

# Rows of the pools that are there from the beginning, and steps after which rows that no hypothesis sees are dropped.
_POOL_ROWS, _DROP_EVERY = 256, 8


class Embedding:
    """Vectors and positions of one side's tokens, as the graphs take them.

    Args:
        table: the vectors, of D features.
        super_dim: width that the position table is made at.
        shape: what the task's networks share.
    """

    def __init__(self, table: Table, super_dim: int, shape: Shape) -> None:
        self.vocabulary, self.dim = table.rows.shape
        self.super_dim = super_dim
        factor = (super_dim if shape.vocab_original_scaling else self.dim) ** 0.5
        scales = np.ones(self.vocabulary, np.float32) if table.scales is None else table.scales
        self.rows, self.factors = table.rows, (scales * np.float32(factor))[:, None]
        self.positions = sinusoids(super_dim, 1024)[:, : self.dim]

    def put(self, tokens: npt.NDArray[np.int64], first: int, last: int, out: npt.NDArray[np.float32]) -> None:
        """Put tokens [n] into ``out`` [n, D].

        Args:
            tokens: their numbers.
            first: position of the first, from 1.
            last: position of the last; ``first`` where all are there.
            out: what is overwritten.
        """
        if last >= len(self.positions):
            self.positions = sinusoids(self.super_dim, 2 * last)[:, : self.dim]
        np.multiply(self.rows[tokens], self.factors[tokens], out=out)
        out += self.positions[first : last + 1]


@dataclass(frozen=True, kw_only=True)
class OnnxNetwork:
    """A loaded network: graphs of the encoder and of a step (see :mod:`hat.runtime.onnx.network`), and tables.

    ``heads`` are those of each self-attention of the decoder, and features of a head; ``windows`` is what its
    convolutions see, where there are any; ``search`` is the model of a shortlist's search.
    """

    heads: Sequence[tuple[int, int]]
    windows: Sequence[Window]
    sessions: Sessions
    encoder: ort.InferenceSession
    step: ort.InferenceSession
    search: bytes
    source: Embedding
    target: Embedding
    shortlist: Shortlist | None


class Pools:
    """Keys and values of target positions before, of each self-attention [1, H, R, K]; a thread's, for all sentences.

    Args:
        heads: heads of each self-attention, and features of a head.
    """

    def __init__(self, heads: Sequence[tuple[int, int]]) -> None:
        self.arrays = [np.empty((1, count, _POOL_ROWS, dim), np.float32) for count, dim in heads for _ in range(2)]
        self.names = [f"{kind}.{number}" for number in range(len(heads)) for kind in ("keys", "values")]

    @property
    def rows(self) -> int:
        """R."""
        return self.arrays[0].shape[2]

    def grow(self) -> None:
        """Make place for twice as many rows."""
        self.arrays = [np.concatenate([array, np.empty_like(array)], axis=2) for array in self.arrays]

    def keep(self, rows: npt.NDArray[np.int64]) -> None:
        """Move these rows to the front."""
        for array in self.arrays:
            array[:, :, : len(rows)] = array[:, :, rows]


class OnnxStepper:
    """One sentence in the middle of decoding (see :class:`hat.runtime.beam.Stepper`).

    With a shortlist the search is a session of its own, made for the sentence: its projection is then a constant,
    which ONNX Runtime brings into the layout that it multiplies in once, not in every step.

    Args:
        network: the network.
        pools: of this thread.
        source: token numbers, end symbol last.
        beam: hypotheses.
    """

    def __init__(self, network: OnnxNetwork, pools: Pools, source: list[int], beam: int) -> None:
        self.network, self.pools, self.position = network, pools, 0
        candidates = None if network.shortlist is None else network.shortlist.candidates(source).astype(np.int64)
        self.numbers: Sequence[int] = range(network.target.vocabulary) if candidates is None else candidates.tolist()
        self.step = self.search = network.step.io_binding()
        self.searching: ort.InferenceSession | None = None
        # The session reads the projection from these arrays as long as it is there.
        encoded, self.projection = self._encode(source, candidates)
        for name, memory in encoded.items():
            self.step.bind_ortvalue_input(name, memory)
        if candidates is not None:
            model = network.search + projection_constants(self.projection)
            self.searching = network.sessions.make(model, self.projection)
            self.search = self.searching.io_binding()
            self.hidden = np.empty((1, beam, network.target.dim), np.float32)
            bind_output(self.step, "hidden", self.hidden)
            bind_input(self.search, "hidden", self.hidden)
        self._bind(beam)

    def _encode(
        self, source: list[int], candidates: npt.NDArray[np.int64] | None
    ) -> tuple[dict[str, ort.OrtValue], dict[str, npt.NDArray[Any]]]:
        """What decoder layers attend to, and the candidates' part of the projection, by their names."""
        encoder = self.network.encoder
        binding = encoder.io_binding()
        # Padding is attended to by nothing and has no position: the sentence is the same without.
        tokens = np.array([token for token in source if token != PAD])
        vectors = np.empty((1, len(tokens), self.network.source.dim), np.float32)
        self.network.source.put(tokens, 1, len(tokens), vectors[0])
        bind_input(binding, "source", vectors)
        projection = {} if candidates is None else projection_arrays(self.network.target.rows, len(candidates))
        if candidates is not None:
            bind_input(binding, "candidates", candidates)
        names = [output.name for output in encoder.get_outputs() if output.name not in projection]
        for name in names:
            binding.bind_output(name)
        for name, array in projection.items():
            bind_output(binding, name, array)
        encoder.run_with_iobinding(binding)
        # Values are in the order that their names were bound in.
        return dict(zip(names, binding.get_outputs(), strict=False)), projection

    def _bind(self, beam: int) -> None:
        """Make the arrays that are filled from step to step, and tell the sessions of them."""
        self.end = self.numbers.index(END)
        self.rule = np.zeros(len(self.numbers), np.float32)
        if PAD in self.numbers[: PAD + 1]:
            self.rule[self.numbers.index(PAD)] = -np.inf
        # What each hypothesis sees of the pools' rows, and of those that a step adds: its own.
        self.sees = np.empty((beam, 0), np.float32)
        self.own = np.where(np.eye(beam, dtype=bool), 0, -np.inf).astype(np.float32)
        self.target = np.empty((1, beam, self.network.target.dim), np.float32)
        self.last, self.total = np.empty(1, np.int32), np.empty((), np.int32)
        self.scores = np.empty((1, beam, 1), np.float32)
        self.count = np.array([2 * beam])
        self.best, self.places = np.empty((1, 2 * beam), np.float32), np.empty((1, 2 * beam), np.int64)
        for name in ("target", "last", "total"):
            bind_input(self.step, name, getattr(self, name))
        for name in ("rule", "scores", "count"):
            bind_input(self.search, name, getattr(self, name))
        for name in ("best", "places"):
            bind_output(self.search, name, getattr(self, name))
        self._bind_pools()
        self.windows = Windows(self.network.windows, beam)
        self.windows.bind(self.step)

    def _bind_pools(self) -> None:
        for name, array in zip(self.pools.names, self.pools.arrays, strict=True):
            bind_input(self.step, name, array)
            bind_output(self.step, f"new_{name}", array)

    def extend(
        self, tokens: list[int], scores: list[float], *, may_end: bool, must_end: list[bool]
    ) -> tuple[list[list[float]], list[list[int]]]:
        """See :class:`hat.runtime.beam.Stepper`."""
        self.position += 1
        self.network.target.put(np.array(tokens), self.position, self.position, self.target[0])
        self.scores[0, :, 0] = scores
        if must_end[0]:
            self.rule[:] = -np.inf
        self.rule[self.end] = 0 if may_end else -np.inf
        self.sees = np.concatenate([self.sees, self.own], axis=1)
        rows = self.sees.shape[1]
        if rows > self.pools.rows:
            self.pools.grow()
            self._bind_pools()
        self.last[0], self.total[()] = rows - 1, rows
        self.step.bind_cpu_input("sees", self.sees[None, None])
        self.network.step.run_with_iobinding(self.step)
        if self.searching is not None:
            self.searching.run_with_iobinding(self.search)
        return self.best.tolist(), self.places.tolist()

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """See :class:`hat.runtime.beam.Stepper`: only what the hypotheses see changes."""
        self.windows.move(hypotheses)
        self.sees = self.sees[hypotheses]
        if self.position % _DROP_EVERY == 0:
            kept = np.flatnonzero(self.sees.max(axis=0) == 0)
            self.pools.keep(kept)
            self.sees = self.sees[:, kept]
