"""The onnxruntime Runtime: ONNX graphs that are written here, in fp32, int8 or int4."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from hat.artifacts import digest, disk_error
from hat.decode.beam import beam_search
from hat.errors import InputError
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Shape, Weights, made_decoding, made_sentence
from hat.runtime.onnx_graph import ConstantFile, Graph
from hat.runtime.onnx_network import add_encoder, add_step, padded_head_dim
from hat.runtime.onnx_tables import Table, make_tables, table_names
from hat.runtime.positions import sinusoids
from hat.runtime.shortlist import FILE, Shortlist
from hat.special_tokens import END, PAD

if TYPE_CHECKING:
    from hat.baselines import AnyArchitecture
    from hat.space import Architecture

ENCODER, STEP, CONSTANTS = "encoder.onnx", "step.onnx", "constants.bin"
# Property of the graphs that says what they are graphs of.
_IDENTITY = "hat.network"
# Rows of the pools that are there from the beginning, and steps after which rows that no hypothesis sees are dropped.
_POOL_ROWS, _DROP_EVERY = 256, 8


class OnnxRuntime:
    """Writes and loads networks for ONNX Runtime on a CPU.

    Args:
        precision: ``fp32``; ``int8``: weights and activations; ``int4``: weights, with int8 tables and projection.
        threads: CPU threads of a sentence.
        parallel: sentences that are translated side by side.
    """

    name = package = "onnxruntime"

    def __init__(self, precision: str, threads: int, parallel: int = 1) -> None:
        self.precision, self.threads, self.parallel = precision, threads, parallel

    def refusal(self, architecture: "AnyArchitecture", shape: Shape) -> str | None:
        """Transformers alone are expressed."""
        return (
            None if hasattr(architecture, "encoder_ffn_dim") else "there are no graphs of Evolved Transformers for it"
        )

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """See :class:`hat.runtime.base.Runtime`."""
        architecture, shape = self._accepted(blueprint), blueprint.shape
        tables = make_tables(architecture, shape, weights, self.precision)
        name = table_names(architecture, shape)["projection"]
        projection = tables[name]
        try:
            for table_name, table in tables.items():
                table.save(folder, table_name)
            with open(folder / CONSTANTS, "wb") as stream:
                encoder, step = (
                    Graph(part, ConstantFile(stream, CONSTANTS), self.precision) for part in ("encoder", "step")
                )
                rows = None if shortlist is None else (folder, name, projection)
                add_encoder(encoder, architecture, shape, weights, rows)
                add_step(step, architecture, shape, weights, projection if shortlist is None else None)
            properties = {_IDENTITY: self._identity(blueprint, shortlist is not None)}
            encoder.save(folder / ENCODER, properties)
            step.save(folder / STEP, properties)
        except OSError as error:
            if (failure := disk_error(error, folder)) is not None:
                raise failure from error
            raise
        if shortlist is not None:
            shortlist.save(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)

    def load(self, folder: Path, blueprint: Blueprint) -> "OnnxModel":
        """See :class:`hat.runtime.base.Runtime`."""
        architecture, shape = self._accepted(blueprint), blueprint.shape
        shortlist = Shortlist.load(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)
        identity = self._identity(blueprint, shortlist is not None)
        encoder, step = (self._session(folder / name, identity) for name in (ENCODER, STEP))
        names = table_names(architecture, shape)
        source, target = (
            Table.load(folder, names[side], self.precision, size)
            for side, size in (
                ("source", (shape.source_vocabulary, architecture.encoder_embed_dim)),
                ("target", (shape.target_vocabulary, architecture.decoder_embed_dim)),
            )
        )
        return OnnxModel(
            architecture=architecture,
            shape=shape,
            encoder=encoder,
            step=step,
            source=source,
            target=target,
            shortlist=shortlist,
            parallel=self.parallel,
        )

    def _accepted(self, blueprint: Blueprint) -> "Architecture":
        if (reason := self.refusal(blueprint.architecture, blueprint.shape)) is not None:
            raise InputError(f"runtime {self.name!r}: {reason}")
        return cast("Architecture", blueprint.architecture)

    def _identity(self, blueprint: Blueprint, shortlist: bool) -> str:
        return digest([blueprint.architecture.to_dict(), asdict(blueprint.shape), self.precision, shortlist])

    def _session(self, path: Path, identity: str) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        # Lengths differ from run to run: plans of memory by shape would be made anew each time.
        options.enable_mem_pattern = False
        # What fails is said by the exception; 4 is "fatal".
        options.log_severity_level = 4
        if self.parallel > 1 or self.threads == 1:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not path.exists():
            raise InputError(f"{path}: no such file")
        try:
            session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # ONNX Runtime's exceptions have no base class of their own.
        except Exception as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{path}: ONNX Runtime cannot load it ({problem})") from None
        if session.get_modelmeta().custom_metadata_map.get(_IDENTITY) != identity:
            raise InputError(
                f"{path}: a graph of another network, expected that of the architecture, precision"
                f" {self.precision!r} and shortlist of the folder"
            )
        return session


class OnnxModel:
    """A network that translates on this machine; may be used by several threads at once.

    Args:
        architecture: its dimensions.
        shape: what it shares with others of its task.
        encoder: graph of the encoder.
        step: graph of a decoding step.
        source: vectors of the source tokens.
        target: vectors of the target tokens.
        shortlist: target tokens that are looked at for each sentence; all where absent.
        parallel: sentences that are translated side by side.
    """

    def __init__(
        self,
        *,
        architecture: "Architecture",
        shape: Shape,
        encoder: ort.InferenceSession,
        step: ort.InferenceSession,
        source: Table,
        target: Table,
        shortlist: Shortlist | None,
        parallel: int,
    ) -> None:
        self.shape = shape
        self.encoder, self.step = encoder, step
        self.source = _Embedding(source, architecture.encoder_embed_dim, shape.super_encoder_dim, shape)
        self.target = _Embedding(target, architecture.decoder_embed_dim, shape.super_decoder_dim, shape)
        self.shortlist = shortlist
        self.heads = [(heads, padded_head_dim(shape.qkv_dim, heads)) for heads in architecture.decoder_self_heads]
        self.executor = ThreadPoolExecutor(parallel) if parallel > 1 else None
        self.local = threading.local()

    def search(self, source: list[int], decoding: Decoding) -> list[Hypothesis]:
        """All finished hypotheses of a source (token numbers, end symbol last), best first."""
        if not hasattr(self.local, "pools"):
            self.local.pools = _Pools(self.heads)
        stepper = _OnnxStepper(self, self.local.pools, source, decoding.beam)
        return beam_search(stepper, [len(source)], decoding)[0]

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source, decoded one by one, or side by side."""
        if self.executor is None or len(sources) < 2:
            return [self.search(source, decoding)[0] for source in sources]
        # Longest first, so that none is left alone at the end.
        order = sorted(range(len(sources)), key=lambda number: -len(sources[number]))
        futures = {number: self.executor.submit(self.search, sources[number], decoding) for number in order}
        return [futures[number].result()[0] for number in range(len(sources))]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """See :class:`hat.runtime.base.LoadedModel`."""
        self.search(made_sentence(self.shape.source_vocabulary, source_length), made_decoding(target_length, beam))


class _Embedding:
    """Vectors and positions of one side's tokens, as the graphs take them."""

    def __init__(self, table: Table, dim: int, super_dim: int, shape: Shape) -> None:
        self.table, self.dim, self.super_dim = table, dim, super_dim
        self.factor = (super_dim if shape.vocab_original_scaling else dim) ** 0.5
        self.positions = sinusoids(super_dim, 1024)[:, :dim]

    def __call__(self, tokens: npt.NDArray[np.int64], first: int, count: int) -> npt.NDArray[np.float32]:
        """[n, D] of tokens [n] at ``count`` positions from ``first`` (from 1): one each, or one for all."""
        if first + count > len(self.positions):
            self.positions = sinusoids(self.super_dim, 2 * (first + count))[:, : self.dim]
        vectors = self.table.vectors(tokens, self.factor)
        vectors += self.positions[first : first + count]
        return vectors


class _Pools:
    """Keys and values of the target positions before, of each layer [1, H, R, K]; one thread's, for all its sentences.

    Args:
        heads: heads of each layer's self-attention, and features of a head.
    """

    def __init__(self, heads: list[tuple[int, int]]) -> None:
        self.arrays = [np.empty((1, count, _POOL_ROWS, dim), np.float32) for count, dim in heads for _ in range(2)]
        self.names = [f"{kind}.{layer}" for layer in range(len(heads)) for kind in ("keys", "values")]

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


class _OnnxStepper:
    """One sentence in the middle of decoding."""

    def __init__(self, model: OnnxModel, pools: _Pools, source: list[int], beam: int) -> None:
        self.model, self.pools, self.beam = model, pools, beam
        self.position = 0
        candidates = None if model.shortlist is None else model.shortlist.candidates(source).astype(np.int64)
        self.numbers = np.arange(model.shape.target_vocabulary) if candidates is None else candidates
        self.binding = model.step.io_binding()
        self._encode(source, candidates)
        self.end = int(np.searchsorted(self.numbers, END))
        self.rule = np.where(self.numbers == PAD, -np.inf, 0).astype(np.float32)
        # What each hypothesis sees of the pools' rows, and of those that a step adds: its own.
        self.sees = np.empty((beam, 0), np.float32)
        self.own = np.where(np.eye(beam, dtype=bool), 0, -np.inf).astype(np.float32)
        self.target = np.empty((1, beam, model.target.dim), np.float32)
        self.scores = np.empty((1, beam, 1), np.float32)
        self.last, self.total = np.empty(1, np.int32), np.empty((), np.int32)
        self.count = np.array([2 * beam])
        self.best, self.places = np.empty((1, 2 * beam), np.float32), np.empty((1, 2 * beam), np.int64)
        # These arrays are filled in place from step to step.
        for name in ("rule", "target", "scores", "last", "total", "count"):
            _bind_input(self.binding, name, getattr(self, name))
        for name in ("best", "places"):
            _bind_output(self.binding, name, getattr(self, name))
        self._bind_pools()

    def _encode(self, source: list[int], candidates: npt.NDArray[np.int64] | None) -> None:
        """Run the encoder, and hand what it gives to the step, where it is kept alive by the binding."""
        encoder = self.model.encoder
        binding = encoder.io_binding()
        # Padding is attended to by nothing and has no position: the sentence is the same without.
        tokens = np.array([token for token in source if token != PAD])
        vectors = self.model.source(tokens, 1, len(tokens))[None]
        _bind_input(binding, "source", vectors)
        if candidates is not None:
            _bind_input(binding, "candidates", candidates)
        names = [output.name for output in encoder.get_outputs()]
        for name in names:
            binding.bind_output(name)
        encoder.run_with_iobinding(binding)
        for name, value in zip(names, binding.get_outputs(), strict=True):
            self.binding.bind_ortvalue_input(name, value)

    def _bind_pools(self) -> None:
        for name, array in zip(self.pools.names, self.pools.arrays, strict=True):
            _bind_input(self.binding, name, array)
            _bind_output(self.binding, f"new_{name}", array)

    def extend(
        self,
        tokens: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
        *,
        may_end: bool,
        must_end: Sequence[bool],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """See :class:`hat.decode.beam.Stepper`; the results are overwritten by the next step."""
        self.position += 1
        self.target[0] = self.model.target(tokens, self.position, 1)
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
        _bind_input(self.binding, "sees", self.sees[None, None])
        self.model.step.run_with_iobinding(self.binding)
        return self.best, self.places

    def reorder(self, hypotheses: npt.NDArray[np.int64], sentences: npt.NDArray[np.int64] | None) -> None:
        """See :class:`hat.decode.beam.Stepper`: only what the hypotheses see changes."""
        self.sees = self.sees[hypotheses]
        if self.position % _DROP_EVERY == 0:
            kept = np.flatnonzero(self.sees.max(axis=0) == 0)
            self.pools.keep(kept)
            self.sees = self.sees[:, kept]


def _bind_input(binding: ort.IOBinding, name: str, array: npt.NDArray[Any]) -> None:
    binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _bind_output(binding: ort.IOBinding, name: str, array: npt.NDArray[Any]) -> None:
    binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
