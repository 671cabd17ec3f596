"""Decoding of one sentence with ONNX Runtime: the state between steps, in arrays that the sessions use in place."""

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

# Initial rows of a KV cache; steps between removals of rows that no hypothesis attends to.
_INITIAL_ROWS, _DROP_EVERY = 256, 8


class Embedding:
    """Embeddings of one side's tokens with positions added, as the graphs take them.

    Args:
        table: the token embeddings, of D features.
        super_dim: width of the position table before it is cut to D features.
        shape: hyperparameters that the task's networks share.
    """

    def __init__(self, table: Table, super_dim: int, shape: Shape) -> None:
        self.vocabulary, self.dim = table.rows.shape
        self.super_dim = super_dim
        factor = (super_dim if shape.vocab_original_scaling else self.dim) ** 0.5
        scales = np.ones(self.vocabulary, np.float32) if table.scales is None else table.scales
        self.rows, self.factors = table.rows, (scales * np.float32(factor))[:, None]
        self.positions = sinusoids(super_dim, 1024)[:, : self.dim]

    def put(self, tokens: npt.NDArray[np.int64], first: int, last: int, out: npt.NDArray[np.float32]) -> None:
        """Write the embeddings of tokens [n] into ``out`` [n, D].

        Args:
            tokens: token ids.
            first: position of the first token, counted from 1.
            last: position of the last token; equal to ``first`` if all tokens have the same position.
            out: the array to overwrite.
        """
        if last >= len(self.positions):
            self.positions = sinusoids(self.super_dim, 2 * last)[:, : self.dim]
        np.multiply(self.rows[tokens], self.factors[tokens], out=out)
        out += self.positions[first : last + 1]


@dataclass(frozen=True, kw_only=True)
class OnnxNetwork:
    """A loaded network: sessions of the encoder and of a step (see :mod:`hat.runtime.onnx.network`), and tables.

    ``heads`` holds, for each decoder self-attention, the number of heads and the features per head; ``windows`` the
    inputs of the decoder's convolutions, if it has any; ``search`` the model that searches a shortlist.
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


class KeyValueCache:
    """Keys and values of each decoder self-attention, [1, H, R, K]; a thread reuses them for all its sentences.

    Args:
        heads: for each self-attention, the number of heads and the features per head.
    """

    def __init__(self, heads: Sequence[tuple[int, int]]) -> None:
        self.arrays = [np.empty((1, count, _INITIAL_ROWS, dim), np.float32) for count, dim in heads for _ in range(2)]
        self.names = [f"{kind}.{number}" for number in range(len(heads)) for kind in ("keys", "values")]

    @property
    def rows(self) -> int:
        """Number of rows allocated, R."""
        return self.arrays[0].shape[2]

    def grow(self) -> None:
        """Double the number of rows."""
        self.arrays = [np.concatenate([array, np.empty_like(array)], axis=2) for array in self.arrays]

    def keep(self, rows: npt.NDArray[np.int64]) -> None:
        """Move these rows to the front."""
        for array in self.arrays:
            array[:, :, : len(rows)] = array[:, :, rows]


class OnnxStepper:
    """Decodes one sentence (see :class:`hat.runtime.beam.Stepper`).

    With a shortlist, the search runs in a session of its own, made for the sentence. The output projection is a
    constant there, so ONNX Runtime packs it for multiplication once instead of in every step.

    Args:
        network: the loaded network.
        cache: the KV cache of this thread.
        source: token ids, end symbol last.
        beam: number of hypotheses.
    """

    def __init__(self, network: OnnxNetwork, cache: KeyValueCache, source: list[int], beam: int) -> None:
        self.network, self.cache, self.position = network, cache, 0
        candidates = None if network.shortlist is None else network.shortlist.candidates(source).astype(np.int64)
        self.token_ids: Sequence[int] = range(network.target.vocabulary) if candidates is None else candidates.tolist()
        self.step = self.search = network.step.io_binding()
        self.searching: ort.InferenceSession | None = None
        # Kept alive because the search session reads the projection from these arrays.
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
        """Return the cross-attention's keys and values, and the candidates' part of the projection, by name."""
        encoder = self.network.encoder
        binding = encoder.io_binding()
        # Nothing attends to padding and it has no position, so the result is the same without it.
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
        # Values come in the order in which their names were bound.
        return dict(zip(names, binding.get_outputs(), strict=False)), projection

    def _bind(self, beam: int) -> None:
        """Allocate the arrays that change from step to step, and bind them to the sessions."""
        self.end = self.token_ids.index(END)
        self.token_mask = np.zeros(len(self.token_ids), np.float32)
        if PAD in self.token_ids[: PAD + 1]:
            self.token_mask[self.token_ids.index(PAD)] = -np.inf
        # Masks over the cache's rows, and over the rows that a step adds: each hypothesis attends to its own.
        self.attention_mask = np.empty((beam, 0), np.float32)
        self.own_rows = np.where(np.eye(beam, dtype=bool), 0, -np.inf).astype(np.float32)
        self.target = np.empty((1, beam, self.network.target.dim), np.float32)
        self.last, self.total = np.empty(1, np.int32), np.empty((), np.int32)
        self.scores = np.empty((1, beam, 1), np.float32)
        self.count = np.array([2 * beam])
        self.best, self.places = np.empty((1, 2 * beam), np.float32), np.empty((1, 2 * beam), np.int64)
        for name in ("target", "last", "total"):
            bind_input(self.step, name, getattr(self, name))
        for name, array in (("rule", self.token_mask), ("scores", self.scores), ("count", self.count)):
            bind_input(self.search, name, array)
        for name in ("best", "places"):
            bind_output(self.search, name, getattr(self, name))
        self._bind_cache()
        self.windows = Windows(self.network.windows, beam)
        self.windows.bind(self.step)

    def _bind_cache(self) -> None:
        for name, array in zip(self.cache.names, self.cache.arrays, strict=True):
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
            self.token_mask[:] = -np.inf
        self.token_mask[self.end] = 0 if may_end else -np.inf
        self.attention_mask = np.concatenate([self.attention_mask, self.own_rows], axis=1)
        rows = self.attention_mask.shape[1]
        if rows > self.cache.rows:
            self.cache.grow()
            self._bind_cache()
        self.last[0], self.total[()] = rows - 1, rows
        self.step.bind_cpu_input("sees", self.attention_mask[None, None])
        self.network.step.run_with_iobinding(self.step)
        if self.searching is not None:
            self.searching.run_with_iobinding(self.search)
        return self.best.tolist(), self.places.tolist()

    def reorder(self, hypotheses: list[int], sentences: list[int] | None) -> None:
        """See :class:`hat.runtime.beam.Stepper`; only the masks change, not the cache."""
        self.windows.advance(hypotheses)
        self.attention_mask = self.attention_mask[hypotheses]
        if self.position % _DROP_EVERY == 0:
            used = np.flatnonzero(self.attention_mask.max(axis=0) == 0)
            self.cache.keep(used)
            self.attention_mask = self.attention_mask[:, used]
