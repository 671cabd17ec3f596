"""The Transformer of an Architecture as ONNX graphs: the encoder, a step of the decoder, and of the search.

One sentence of S tokens is translated at a time; the N hypotheses of its beam are one batch entry of N positions, so
that they share the sentence's keys and values without a copy. Those of the target positions before are in a pool
of rows for each layer, which the step's attention appends to in place; ``sees`` says which rows are a hypothesis's
own past, so that nothing is copied where hypotheses are dropped or doubled.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hat.runtime.base import Shape, Weights
from hat.runtime.onnx_graph import CONTRIB, Graph
from hat.runtime.onnx_tables import Table, rows_path, scales_path
from hat.runtime.onnx_wire import Dimension, external, model_part

if TYPE_CHECKING:
    from hat.space import Architecture

# The attention that appends in place takes heads of a multiple of so many features; they are filled up with zeros.
_HEAD_MULTIPLE = 8


def padded_head_dim(qkv_dim: int, heads: int) -> int:
    """Features of a head in the decoder's self-attention, and so in its pool."""
    return -(-qkv_dim // heads // _HEAD_MULTIPLE) * _HEAD_MULTIPLE


class _Network:
    """What the two graphs have in common.

    Args:
        graph: the graph that grows.
        shape: what the task's networks share.
        weights: the network's.
    """

    def __init__(self, graph: Graph, shape: Shape, weights: Weights) -> None:
        self.graph, self.shape, self.weights = graph, shape, weights

    def linear(self, x: str, name: str) -> str:
        return self.graph.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def norm(self, x: str, name: str) -> str:
        return self.graph.norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def residual(self, x: str, name: str, inner: Callable[[str], str]) -> str:
        """Norm(x + f(x)), or x + f(norm(x)) where pre-norm."""
        if self.shape.norm == "post":
            return self.norm(self.graph.node("Add", x, inner(x)), f"{name}.norm")
        return self.graph.node("Add", x, inner(self.norm(x, f"{name}.norm")))

    def feed_forward(self, x: str, name: str) -> str:
        def inner(x: str) -> str:
            return self.linear(self.graph.node("Relu", self.linear(x, f"{name}.ffn.inner")), f"{name}.ffn.out")

        return self.residual(x, f"{name}.ffn_residual", inner)


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
    network = _Network(graph, shape, weights)
    x = graph.input("source", "float32", [1, "source", architecture.encoder_embed_dim])
    encoded = []
    for number, heads in enumerate(architecture.encoder_heads):
        name = f"encoder.{number}"

        def attention(x: str, name: str = name, heads: int = heads) -> str:
            parts = graph.split(network.linear(x, f"{name}.attention.qkv"), 3)
            attended = graph.node("MultiHeadAttention", *parts, domain=CONTRIB, num_heads=heads)
            return network.linear(attended, f"{name}.attention.out")

        x = network.feed_forward(network.residual(x, f"{name}.attention_residual", attention), name)
        encoded.append(x)
    encoded = _attended(network, architecture, encoded)
    for number, (heads, span) in enumerate(
        zip(architecture.decoder_cross_heads, architecture.decoder_cross_span, strict=True)
    ):
        memories = encoded[: -span - 1 : -1]
        # Attention to the same positions several times is attention to them once.
        memory = graph.node("Concat", *memories, axis=1) if len(set(memories)) > 1 else memories[0]
        projected = network.linear(memory, f"decoder.{number}.cross_attention.key_value")
        head_shape = graph.constant(np.array([1, -1, heads, shape.qkv_dim // heads]))
        for kind, part in zip(("key", "value"), graph.split(projected, 2), strict=True):
            output = graph.output(f"{kind}.{number}", "float32", [1, heads, f"memory{number}", shape.qkv_dim // heads])
            graph.node("Transpose", graph.node("Reshape", part, head_shape), outputs=[output], perm=[0, 2, 1, 3])
    if rows is not None:
        _add_candidates(graph, *rows)


def _attended(network: _Network, architecture: "Architecture", encoded: list[str]) -> list[str]:
    """The outputs that decoder layers attend to: what :meth:`hat.model.transformer.Transformer.encode` gives."""
    beyond = network.shape.super_encoder_layers - architecture.encoder_layers
    needed = max(architecture.decoder_cross_span)
    encoded = encoded[-max(needed - beyond, 1) :]
    encoded += [encoded[-1]] * min(beyond, needed - 1)
    if network.shape.norm == "post":
        return encoded
    first = len(encoded) - 1 if network.shape.norm == "pre-published" else 0
    normalised = {output: network.norm(output, "encoder_norm") for output in dict.fromkeys(encoded[first:])}
    return encoded[:first] + [normalised[output] for output in encoded[first:]]


def _add_candidates(graph: Graph, folder: Path, name: str, table: Table) -> None:
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
    network = _Network(graph, shape, weights)
    x = graph.input("target", "float32", [1, "beam", architecture.decoder_embed_dim])
    sees = graph.input("sees", "float32", [1, 1, "beam", "total"])
    last, total = graph.input("last", "int32", [1]), graph.input("total", "int32", [])
    for number, (self_heads, cross_heads) in enumerate(
        zip(architecture.decoder_self_heads, architecture.decoder_cross_heads, strict=True)
    ):
        name = f"decoder.{number}"

        def attention(x: str, number: int = number, name: str = name, heads: int = self_heads) -> str:
            dim, padded = shape.qkv_dim // heads, padded_head_dim(shape.qkv_dim, heads)
            weight, bias = (weights[f"{name}.attention.qkv.{part}"] for part in ("weight", "bias"))
            packed = graph.linear(x, _padded_heads(weight, 3 * heads, padded), _padded_heads(bias, 3 * heads, padded))
            pool: list[Dimension] = [1, heads, "rows", padded]
            pools = [graph.input(f"{kind}.{number}", "float32", pool) for kind in ("keys", "values")]
            grown = [graph.output(f"new_{kind}.{number}", "float32", pool) for kind in ("keys", "values")]
            attended = f"attended.{number}"
            graph.node(
                "GroupQueryAttention",
                *(packed, "", "", *pools, last, total, "", "", "", sees),
                outputs=[attended, *grown],
                domain=CONTRIB,
                num_heads=heads,
                kv_num_heads=heads,
                scale=dim**-0.5,
            )
            out = weights[f"{name}.attention.out.weight"]
            return graph.linear(attended, _padded_heads(out.T, heads, padded).T, weights[f"{name}.attention.out.bias"])

        def cross_attention(x: str, number: int = number, name: str = name, heads: int = cross_heads) -> str:
            memory: list[Dimension] = [1, heads, f"memory{number}", shape.qkv_dim // heads]
            parts = [graph.input(f"{kind}.{number}", "float32", memory) for kind in ("key", "value")]
            query = network.linear(x, f"{name}.cross_attention.query")
            attended = graph.node("MultiHeadAttention", query, *parts, domain=CONTRIB, num_heads=heads)
            return network.linear(attended, f"{name}.cross_attention.out")

        x = network.residual(x, f"{name}.attention_residual", attention)
        x = network.residual(x, f"{name}.cross_attention_residual", cross_attention)
        x = network.feed_forward(x, name)
    if shape.norm != "post":
        x = network.norm(x, "decoder_norm")
    return x


def _padded_heads(tensor: npt.NDArray[np.float32], heads: int, dim: int) -> npt.NDArray[np.float32]:
    """Fill the features of each head, along the first dimension, up with zeros."""
    own = tensor.shape[0] // heads
    if own == dim:
        return tensor
    padded = np.zeros((heads, dim, *tensor.shape[1:]), np.float32)
    padded[:, :own] = tensor.reshape(heads, own, *tensor.shape[1:])
    return padded.reshape(heads * dim, *tensor.shape[1:])


def add_search(graph: Graph, hidden: str, projection: tuple[str, str]) -> None:
    """Put the search for the best extensions into a graph.

    Inputs: ``scores`` [1, N, 1] of the hypotheses; ``rule`` [C]: 0 where a token is allowed, -inf elsewhere; ``count``
    [1], how many extensions are asked for. Outputs: ``best`` and ``places`` [1, count]: see
    :meth:`hat.decode.beam.Stepper.extend`.

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
