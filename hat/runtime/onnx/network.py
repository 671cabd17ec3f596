"""The Transformer of an Architecture as ONNX graphs: the encoder, a decoding step, and a step of the beam search.

One sentence of S tokens is translated at a time. The N hypotheses of its beam are one batch entry of N positions, so
that they share the cross-attention's keys and values without a copy. Each decoder layer has one KV cache for all
hypotheses, which a step extends in place. An attention mask, ``sees``, says which rows of the cache belong to a
hypothesis, so that nothing is copied when hypotheses are dropped or duplicated.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hat.runtime.base import Weights
from hat.runtime.onnx.graph import CONTRIB, Graph
from hat.runtime.onnx.layers import CacheInputs, Layers
from hat.runtime.onnx.tables import Table, rows_path, scales_path
from hat.runtime.onnx.wire import external, model_part
from hat.space.shape import Shape

if TYPE_CHECKING:
    from hat.space.architecture import Architecture


def add_encoder(
    graph: Graph, architecture: "Architecture", shape: Shape, weights: Weights, rows: tuple[Path, str, Table] | None
) -> None:
    """Fill the encoder's graph.

    Its input is ``source`` [1, S, D]: embeddings of the source tokens, positions added. Its outputs are, for each
    decoder layer i, ``key.i`` and ``value.i`` [1, H, n x S, K]: keys and values of the cross-attention to n encoder
    layers. With a shortlist it also has an input ``candidates`` [C] and the outputs ``projection`` and, if quantised,
    ``scales`` [C]: the candidates' rows of the output projection, as :func:`add_search` takes them.

    Args:
        graph: an empty graph.
        architecture: the network's dimensions.
        shape: hyperparameters that the task's networks share.
        weights: the network's tensors.
        rows: with a shortlist, folder, name and content of the output projection's table.
    """
    layers = Layers(graph, shape, weights)
    x = graph.input("source", "float32", [1, "source", architecture.encoder_embed_dim])
    encoded = []
    for number, heads in enumerate(architecture.encoder_heads):
        name = f"encoder.{number}"
        attention = partial(layers.attention, name=f"{name}.attention", heads=heads)
        x = layers.feed_forward(layers.residual(x, f"{name}.attention_residual", attention), name)
        encoded.append(x)
    encoded = _attended(layers, architecture, encoded)
    for number, (heads, span) in enumerate(
        zip(architecture.decoder_cross_heads, architecture.decoder_cross_span, strict=True)
    ):
        memories = encoded[: -span - 1 : -1]
        # Attending to the same positions several times gives the same result as attending to them once.
        memory = graph.node("Concat", *memories, axis=1) if len(set(memories)) > 1 else memories[0]
        layers.project_memory(memory, f"decoder.{number}.cross_attention", heads, number)
    if rows is not None:
        add_candidates(graph, *rows)


def _attended(layers: Layers, architecture: "Architecture", encoded: list[str]) -> list[str]:
    """Return the outputs that decoder layers attend to, as :meth:`hat.model.transformer.Transformer.encode` does."""
    beyond = layers.shape.super_encoder_layers - architecture.encoder_layers
    needed = max(architecture.decoder_cross_span)
    encoded = encoded[-max(needed - beyond, 1) :]
    encoded += [encoded[-1]] * min(beyond, needed - 1)
    if layers.shape.norm == "post":
        return encoded
    first = len(encoded) - 1 if layers.shape.norm == "pre-published" else 0
    normalised = {output: layers.norm(output, "encoder_norm") for output in dict.fromkeys(encoded[first:])}
    return encoded[:first] + [normalised[output] for output in encoded[first:]]


def add_candidates(graph: Graph, folder: Path, name: str, table: Table) -> None:
    """Add ``candidates`` and ``projection`` to the encoder's graph (see :func:`add_encoder`)."""
    dim = table.rows.shape[1]
    candidates = graph.input("candidates", "int64", ["candidates"])
    rows = graph.constant_in(rows_path(folder, name), table.rows)
    if table.scales is None:
        output = graph.output("projection", "float32", ["candidates", dim])
        graph.node("Gather", rows, candidates, outputs=[output], axis=0)
        return
    output = graph.output("projection", "int8", [dim, "candidates"])
    graph.node("Transpose", graph.node("Gather", rows, candidates, axis=0), outputs=[output], perm=[1, 0])
    scales = graph.constant_in(scales_path(folder, name), table.scales)
    graph.node("Gather", scales, candidates, outputs=[graph.output("scales", "float32", ["candidates"])], axis=0)


def add_step(graph: Graph, architecture: "Architecture", shape: Shape, weights: Weights) -> str:
    """Add a decoding step to a graph; return the name of its final hidden states, [1, N, D].

    Inputs:
        - ``target`` [1, N, D]: embeddings of the hypotheses' last tokens, positions added.
        - ``sees`` [1, 1, N, P + N]: attention mask, 0 where a row of the cache belongs to a hypothesis, -inf elsewhere.
        - ``total`` []: P + N; ``last`` [1]: P + N - 1.
        - ``keys.i`` and ``values.i`` [1, H, R, K] for each layer i: its KV cache of R >= P + N rows, P of them filled.
        - ``key.i`` and ``value.i``: outputs of the encoder.

    Outputs:
        - ``new_keys.i`` and ``new_values.i``: the caches with N more rows filled.

    Args:
        graph: an empty graph.
        architecture: the network's dimensions.
        shape: hyperparameters that the task's networks share.
        weights: the network's tensors.
    """
    layers = Layers(graph, shape, weights)
    x = graph.input("target", "float32", [1, "beam", architecture.decoder_embed_dim])
    cache = CacheInputs.of(graph)
    for number, (self_heads, cross_heads) in enumerate(
        zip(architecture.decoder_self_heads, architecture.decoder_cross_heads, strict=True)
    ):
        name = f"decoder.{number}"
        attention = partial(
            layers.cached_attention, name=f"{name}.attention", heads=self_heads, number=number, cache=cache
        )
        cross_attention = partial(
            layers.cross_attention, name=f"{name}.cross_attention", heads=cross_heads, number=number
        )
        x = layers.residual(x, f"{name}.attention_residual", attention)
        x = layers.residual(x, f"{name}.cross_attention_residual", cross_attention)
        x = layers.feed_forward(x, name)
    return x if shape.norm == "post" else layers.norm(x, "decoder_norm")


def add_search(graph: Graph, hidden: str, projection: tuple[str, str]) -> None:
    """Add the search for the best extensions to a graph.

    Inputs: ``scores`` [1, N, 1] of the hypotheses; ``rule`` [C]: mask, 0 for allowed tokens, -inf for others; ``count``
    [1]: the number of extensions to return. Outputs: ``best`` and ``places`` [1, count]: see
    :meth:`hat.runtime.beam.Stepper.extend`.

    Args:
        graph: the graph to extend.
        hidden: name of the hidden states, [1, N, D].
        projection: names of weights and scales of the output projection: int8 [D, C] and [C], or float32 [C, D] and
            no scales.
    """
    weight, scales = projection
    if scales:
        logits = graph.quantised_product(hidden, weight, scales)
    else:
        logits = graph.node("FusedMatMul", hidden, weight, domain=CONTRIB, transB=1)
    scores = graph.input("scores", "float32", [1, "beam", 1])
    mask = graph.input("rule", "float32", ["candidates"])
    count = graph.input("count", "int64", [1])
    allowed = graph.node("Add", graph.node("LogSoftmax", logits, axis=-1), mask)
    totals = graph.node("Reshape", graph.node("Add", allowed, scores), graph.constant(np.array([1, -1])))
    outputs = [graph.output("best", "float32", [1, "count"]), graph.output("places", "int64", [1, "count"])]
    graph.node("TopK", totals, count, outputs=outputs, axis=-1, largest=1, sorted=1)


def projection_of(graph: Graph, folder: Path, name: str, table: Table) -> tuple[str, str]:
    """Add a saved table to a graph as constants; return the output projection as :func:`add_search` takes it."""
    if table.scales is None:
        return graph.constant_in(rows_path(folder, name), table.rows), ""
    return graph.constant(table.rows.T), graph.constant(table.scales)


def projection_arrays(rows: npt.NDArray[Any], candidates: int) -> dict[str, npt.NDArray[Any]]:
    """Allocate arrays for the candidates' rows of a table, by the names of the outputs of :func:`add_encoder`."""
    dim = rows.shape[1]
    if rows.dtype == np.float32:
        return {"projection": np.empty((candidates, dim), np.float32)}
    return {"projection": np.empty((dim, candidates), np.int8), "scales": np.empty(candidates, np.float32)}


def search_model(precision: str, dim: int) -> bytes:
    """Return the search over a shortlist as a model with the input ``hidden`` [1, N, dim].

    :func:`projection_constants` must be appended to it.
    """
    graph = Graph("search", precision)
    hidden = graph.input("hidden", "float32", [1, "beam", dim])
    add_search(graph, hidden, ("projection", "" if precision == "fp32" else "scales"))
    return graph.model()


def projection_constants(projection: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return what to append to :func:`search_model` so that a session reads these arrays."""
    return model_part(external(name, array, "given", 0) for name, array in projection.items())
