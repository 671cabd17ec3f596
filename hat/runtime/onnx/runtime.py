"""The onnxruntime Runtime: writes networks as ONNX graphs in fp32, int8 or int4, and executes them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from hat.artifacts.files import digest, disk_error
from hat.config.runtimes import RUNTIMES
from hat.runtime.base import Blueprint, Decoding, Hypothesis, Weights, fixed_length_decoding, synthetic_sentence
from hat.runtime.beam import beam_search
from hat.runtime.onnx.evolved import add_evolved_encoder, add_evolved_step, self_attention_heads, windows
from hat.runtime.onnx.graph import ConstantFile, Graph
from hat.runtime.onnx.layers import padded_head_dim
from hat.runtime.onnx.network import add_encoder, add_search, add_step, projection_of, search_model
from hat.runtime.onnx.sessions import Sessions
from hat.runtime.onnx.stepper import Embedding, KeyValueCache, OnnxNetwork, OnnxStepper
from hat.runtime.onnx.tables import Table, make_tables, table_names
from hat.runtime.shortlist import FILE, Shortlist
from hat.space.evolved import EvolvedArchitecture

ENCODER, STEP, CONSTANTS = "encoder.onnx", "step.onnx", "constants.bin"


class OnnxRuntime:
    """Writes and loads networks for ONNX Runtime on a CPU.

    Args:
        precision: ``fp32``; ``int8``: weights and activations; ``int4``: weights, with int8 tables and projection.
        threads: CPU threads per sentence.
        parallel: sentences translated side by side.
    """

    facts = RUNTIMES["onnxruntime"]

    def __init__(self, precision: str, threads: int, parallel: int = 1) -> None:
        self.precision, self.threads, self.parallel = precision, threads, parallel

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """See :class:`hat.runtime.base.Runtime`."""
        architecture, shape = blueprint.architecture, blueprint.shape
        tables = make_tables(architecture, shape, weights, self.precision)
        name = table_names(architecture, shape)["projection"]
        projection = (folder, name, tables[name])
        rows = None if shortlist is None else projection
        try:
            for table_name, table in tables.items():
                table.save(folder, table_name)
            with open(folder / CONSTANTS, "wb") as stream:
                constants = ConstantFile(stream, CONSTANTS)
                encoder, step = (Graph(part, self.precision, constants) for part in ("encoder", "step"))
                if isinstance(architecture, EvolvedArchitecture):
                    add_evolved_encoder(encoder, architecture, shape, weights, rows)
                    hidden = add_evolved_step(step, architecture, shape, weights)
                else:
                    add_encoder(encoder, architecture, shape, weights, rows)
                    hidden = add_step(step, architecture, shape, weights)
                if shortlist is None:
                    add_search(step, hidden, projection_of(step, *projection))
                else:
                    output = step.output("hidden", "float32", [1, "beam", architecture.decoder_embed_dim])
                    step.node("Identity", hidden, outputs=[output])
            properties = self._properties(blueprint, shortlist is not None)
            for name, graph in ((ENCODER, encoder), (STEP, step)):
                (folder / name).write_bytes(graph.model(properties))
        except OSError as error:
            if (failure := disk_error(error, folder)) is not None:
                raise failure from error
            raise
        if shortlist is not None:
            shortlist.save(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)

    def load(self, folder: Path, blueprint: Blueprint) -> "OnnxModel":
        """See :class:`hat.runtime.base.Runtime`."""
        architecture, shape = blueprint.architecture, blueprint.shape
        shortlist = Shortlist.load(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)
        names = table_names(architecture, shape)
        sides = [
            ("source", shape.source_vocabulary, architecture.encoder_embed_dim),
            ("target", shape.target_vocabulary, architecture.decoder_embed_dim),
        ]
        if shortlist is not None:
            sides.append(("projection", shape.target_vocabulary, architecture.decoder_embed_dim))
        tables = {side: Table.load(folder, names[side], self.precision, (rows, dim)) for side, rows, dim in sides}
        sessions, properties = Sessions(self.threads, self.parallel), self._properties(blueprint, shortlist is not None)
        encoder, step = (sessions.load(folder / name, properties) for name in (ENCODER, STEP))
        if isinstance(architecture, EvolvedArchitecture):
            self_heads, cached = self_attention_heads(architecture), windows(architecture)
        else:
            self_heads, cached = list(architecture.decoder_self_heads), []
        network = OnnxNetwork(
            heads=[(heads, padded_head_dim(shape.qkv_dim, heads)) for heads in self_heads],
            windows=cached,
            sessions=sessions,
            encoder=encoder,
            step=step,
            search=search_model(self.precision, architecture.decoder_embed_dim),
            source=Embedding(tables["source"], shape.super_encoder_dim, shape),
            target=Embedding(tables["target"], shape.super_decoder_dim, shape),
            shortlist=shortlist,
        )
        return OnnxModel(network, self.parallel)

    def _properties(self, blueprint: Blueprint, shortlist: bool) -> dict[str, str]:
        """Return the metadata by which :meth:`load` recognises the graphs of a network."""
        return {
            "network": digest([blueprint.architecture.to_dict(), asdict(blueprint.shape)]),
            "precision": self.precision,
            "shortlist": "yes" if shortlist else "no",
        }


class OnnxModel:
    """A network ready to translate on this machine; several threads may use it at once.

    Args:
        network: the loaded network.
        parallel: sentences translated side by side.
    """

    def __init__(self, network: OnnxNetwork, parallel: int) -> None:
        self.network = network
        self.executor = ThreadPoolExecutor(parallel) if parallel > 1 else None
        self.local = threading.local()

    def search(self, source: list[int], decoding: Decoding) -> list[Hypothesis]:
        """Return all finished hypotheses of a source (token ids, end symbol last), best first."""
        if not hasattr(self.local, "cache"):
            self.local.cache = KeyValueCache(self.network.heads)
        stepper = OnnxStepper(self.network, self.local.cache, source, decoding.beam)
        return beam_search(stepper, [len(source)], decoding)[0]

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Return the best hypothesis of each source, decoded one by one or side by side."""
        if self.executor is None or len(sources) < 2:
            return [self.search(source, decoding)[0] for source in sources]
        # Longest first, so that no thread is still busy with a long one when the others are done.
        order = sorted(range(len(sources)), key=lambda row: -len(sources[row]))
        futures = {row: self.executor.submit(self.search, sources[row], decoding) for row in order}
        return [futures[row].result()[0] for row in range(len(sources))]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """See :class:`hat.runtime.base.LoadedModel`."""
        source = synthetic_sentence(self.network.source.vocabulary, source_length)
        self.search(source, fixed_length_decoding(target_length, beam))
