"""The Transformer of an Architecture as ONNX graphs: the encoder, a step of the decoder, and of the search.

One sentence of S tokens is translated at a time; the N hypotheses of its beam are one batch entry of N positions, so
that they share the sentence's keys and values without a copy. Those of the target positions before are in a pool
of rows for each layer, which the step's attention appends to in place; ``sees`` says which rows are a hypothesis's
own past, so that nothing is copied where hypotheses are dropped or doubled.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hat.runtime.base import Weights
from hat.runtime.onnx.graph import CONTRIB, Graph
from hat.runtime.onnx.layers import Layers, Past
from hat.runtime.onnx.tables import Table, rows_path, scales_path
from hat.runtime.onnx.wire import external, model_part
from hat.space.shape import Shape

if TYPE_CHECKING:
    from hat.space.architecture import Architecture


def add_encoder(
    graph: Graph, architecture: "Architecture", shape: Shape, weights: Weights, rows: tuple[Path, str, Table] | None
) -> None:
    """Fill the encoder's graph.

    Its input is ``source`` [1, S, D]: vectors and positions of the source tokens. Its outputs are, for each decoder
    layer i, ``key.i`` and ``value.i`` [1, H, n x S, K]: those of its attention to n encoder layers. With a shortlist
    there is an input ``candidates`` [C], and outputs ``projection`` (and ``scales`` [C] where it is quantised): the
    candidates' part of the output projection, as :func:`add_search` takes it.

    Args:
        graph: an empty graph.
        architecture: the network's dimensions.
        shape: what the task's networks share.
        weights: the network's.
        rows: with a shortlist, folder, name and content of the table of the output projection.
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
        # Attention to the same positions several times is attention to them once.
        memory = graph.node("Concat", *memories, axis=1) if len(set(memories)) > 1 else memories[0]
        layers.project_memory(memory, f"decoder.{number}.cross_attention", heads, number)
    if rows is not None:
        add_candidates(graph, *rows)


def _attended(layers: Layers, architecture: "Architecture", encoded: list[str]) -> list[str]:
    """The outputs that decoder layers attend to: what :meth:`hat.model.transformer.Transformer.encode` gives."""
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
    """Give the encoder's graph its part of a shortlist: ``candidates`` and ``projection`` of :func:`add_encoder`."""
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
    """Put a decoding step into a graph, up to the hidden states that are projected, [1, N, D], whose name it returns.

    Inputs: ``target`` [1, N, D]: vectors and positions of the hypotheses' last tokens; ``sees`` [1, 1, N, P + N]: 0
    where a row of the pools is part of a hypothesis's past, itself included, -inf elsewhere; ``total`` [], which is
    P + N, and ``last`` [1], one less; for each layer i ``keys.i`` and ``values.i`` [1, H, R, K]: pools of R >= P + N
    rows, P of them filled; ``key.i`` and ``value.i``: outputs of the encoder. Outputs: ``new_keys.i`` and
    ``new_values.i``: the pools, with N rows more.

    Args:
        graph: an empty graph.
        architecture: the network's dimensions.
        shape: what the task's networks share.
        weights: the network's.
    """
    layers = Layers(graph, shape, weights)
    x = graph.input("target", "float32", [1, "beam", architecture.decoder_embed_dim])
    past = Past.of(graph)
    for number, (self_heads, cross_heads) in enumerate(
        zip(architecture.decoder_self_heads, architecture.decoder_cross_heads, strict=True)
    ):
        name = f"decoder.{number}"
        attention = partial(layers.past_attention, name=f"{name}.attention", heads=self_heads, number=number, past=past)
        cross_attention = partial(
            layers.cross_attention, name=f"{name}.cross_attention", heads=cross_heads, number=number
        )
        x = layers.residual(x, f"{name}.attention_residual", attention)
        x = layers.residual(x, f"{name}.cross_attention_residual", cross_attention)
        x = layers.feed_forward(x, name)
    return x if shape.norm == "post" else layers.norm(x, "decoder_norm")


def add_search(graph: Graph, hidden: str, projection: tuple[str, str]) -> None:
    """Put the search for the best extensions into a graph.

    Inputs: ``scores`` [1, N, 1] of the hypotheses; ``rule`` [C]: 0 where a token is allowed, -inf elsewhere; ``count``
    [1], how many extensions are asked for. Outputs: ``best`` and ``places`` [1, count]: see
    :meth:`hat.runtime.beam.Stepper.extend`.

    Args:
        graph: the graph.
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
    rule = graph.input("rule", "float32", ["candidates"])
    count = graph.input("count", "int64", [1])
    allowed = graph.node("Add", graph.node("LogSoftmax", logits, axis=-1), rule)
    totals = graph.node("Reshape", graph.node("Add", allowed, scores), graph.constant(np.array([1, -1])))
    outputs = [graph.output("best", "float32", [1, "count"]), graph.output("places", "int64", [1, "count"])]
    graph.node("TopK", totals, count, outputs=outputs, axis=-1, largest=1, sorted=1)


def projection_of(graph: Graph, folder: Path, name: str, table: Table) -> tuple[str, str]:
    """The output projection as :func:`add_search` takes it, of a table that has been saved, as constants of a graph."""
    if table.scales is None:
        return graph.constant_in(rows_path(folder, name), table.rows), ""
    return graph.constant(table.rows.T), graph.constant(table.scales)


def projection_arrays(rows: npt.NDArray[Any], candidates: int) -> dict[str, npt.NDArray[Any]]:
    """Room for what :func:`add_encoder` gives of a table's rows for so many candidates, by the names of its outputs."""
    dim = rows.shape[1]
    if rows.dtype == np.float32:
        return {"projection": np.empty((candidates, dim), np.float32)}
    return {"projection": np.empty((dim, candidates), np.int8), "scales": np.empty(candidates, np.float32)}


def search_model(precision: str, dim: int) -> bytes:
    """The model of a shortlist's search, of input ``hidden`` [1, N, dim] and :func:`projection_constants`."""
    graph = Graph("search", precision)
    hidden = graph.input("hidden", "float32", [1, "beam", dim])
    add_search(graph, hidden, ("projection", "" if precision == "fp32" else "scales"))
    return graph.model()


def projection_constants(projection: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """What follows on :func:`search_model` where the session is given these arrays."""
    return model_part(external(name, array, "given", 0) for name, array in projection.items())
