"""The Evolved Transformer (:mod:`hat.model.evolved`) as ONNX graphs: the encoder, and a step of the decoder.

Conventions follow :mod:`hat.runtime.onnx.network`. A decoder cell has two self-attentions and two
cross-attentions; cell i has numbers 2 i and 2 i + 1. A step computes its convolutions for the new position
only; :mod:`hat.runtime.onnx.windows` supplies the earlier positions.
"""

from functools import partial
from pathlib import Path

import numpy as np

from hat.runtime.base import Weights
from hat.runtime.onnx.graph import CONTRIB, Graph
from hat.runtime.onnx.layers import CacheInputs, Layers
from hat.runtime.onnx.network import add_candidates
from hat.runtime.onnx.tables import Table
from hat.runtime.onnx.windows import Window
from hat.space.evolved import (
    DECODER_FINAL,
    DECODER_LEFT,
    DECODER_RIGHT,
    ENCODER_CONVOLUTION,
    FFN_FACTOR,
    EvolvedArchitecture,
)
from hat.space.shape import Shape

# The end of an open-ended slice.
_END = np.iinfo(np.int64).max


def self_attention_heads(architecture: EvolvedArchitecture) -> list[int]:
    """Return the number of heads of each decoder self-attention."""
    return [architecture.wide_heads, architecture.heads] * architecture.decoder_cells


def windows(architecture: EvolvedArchitecture) -> list[Window]:
    """Return the inputs of the decoder's convolutions whose earlier positions are cached."""
    return [window for cell in range(architecture.decoder_cells) for window in _windows(cell, architecture.width)]


def _windows(cell: int, dim: int) -> tuple[Window, Window]:
    """Return the input of both branches of a cell, and the input of the convolution of their sum."""
    return Window(f"inputs.{cell}", DECODER_LEFT - 1, dim), Window(f"joined.{cell}", DECODER_FINAL - 1, 2 * dim)


class _Cells(Layers):
    """Adds the layers of encoder and decoder cells to a graph.

    Args:
        graph: the graph to extend.
        shape: hyperparameters that the task's networks share.
        weights: the network's tensors.
    """

    def __init__(self, graph: Graph, shape: Shape, weights: Weights) -> None:
        super().__init__(graph, shape, weights, epsilon=1e-6, attention_bias=False)

    def gated_unit(self, x: str, name: str) -> str:
        """Add a linear map times the sigmoid of another, [1, S, D] -> [1, S, D]."""
        gates = self.graph.node("Sigmoid", self.linear(x, f"{name}.gates"))
        return self.graph.node("Mul", self.linear(x, f"{name}.values"), gates)

    def cut(self, x: str, first: int, end: int) -> str:
        """Slice dimension 1 from ``first`` up to, but not including, ``end``."""
        bounds = (self.graph.constant(np.array([bound])) for bound in (first, end, 1))
        return self.graph.node("Slice", x, *bounds)

    def widened(self, x: str, more: int) -> str:
        """Append ``more`` zero features, [1, n, D] -> [1, n, D + more]."""
        return self.graph.node("Pad", x, self.graph.constant(np.array([0, 0, 0, 0, 0, more])))

    def convolution(self, x: str, name: str) -> str:
        """Add the encoder's convolution as one product with the features of all positions in its window, [1, S, O]."""
        graph, side = self.graph, ENCODER_CONVOLUTION // 2
        padded = graph.node("Pad", x, graph.constant(np.array([0, side, 0, 0, side, 0])))
        ends = [*range(1 - ENCODER_CONVOLUTION, 0), _END]
        shifted = [self.cut(padded, first, end) for first, end in enumerate(ends)]
        return self.linear(graph.node("Concat", *shifted, axis=2), f"{name}.linear")

    def separable(self, x: str, name: str) -> str:
        """Add the encoder's separable convolution, [1, S, D] -> [1, S, O]."""
        graph, filters = self.graph, self.weights[f"{name}.filters"]
        dim, kernel = filters.shape
        inputs = graph.node("Transpose", x, perm=[0, 2, 1]), graph.constant(filters[:, None])
        mixed = graph.node("Conv", *inputs, group=dim, kernel_shape=[kernel], pads=[kernel // 2, kernel // 2])
        return self.linear(graph.node("Transpose", mixed, perm=[0, 2, 1]), f"{name}.linear")

    def encoder_branches(self, x: str, name: str) -> str:
        """Add :class:`hat.model.evolved_cells.EncoderBranches`, [1, S, D] -> [1, S, D]."""
        graph, dim = self.graph, self.shape.qkv_dim
        right = graph.node("Relu", self.convolution(x, f"{name}.right"))
        left = graph.node("Relu", self.linear(x, f"{name}.left"))
        joined = self.norm(graph.node("Add", left, self.widened(right, FFN_FACTOR * dim - dim // 2)), f"{name}.norm")
        return self.widened(self.separable(joined, f"{name}.out"), dim - dim // 2)

    def before(self, x: str, window: Window) -> str:
        """Return the P earlier positions of a convolution's input, [N, P, D]; output ``x`` as the new position."""
        graph = self.graph
        ring = graph.input(window.name, "float32", [f"rows.{window.positions}", window.dim])
        graph.node("Identity", x, outputs=[graph.output(window.new, "float32", [1, "beam", window.dim])])
        return graph.node("Gather", ring, window.before, axis=0)

    def separable_step(self, x: str, before: str, name: str) -> str:
        """Add one position of the decoder's separable convolution: [1, N, D] and [N, P, D] -> [1, N, O]."""
        graph, filters = self.graph, self.weights[f"{name}.filters"].T
        earlier = graph.node("Mul", before, graph.constant(filters[:-1]))
        mixed = graph.node("ReduceSum", earlier, graph.constant(np.array([1])), keepdims=0)
        new = graph.node("Mul", x, graph.constant(filters[-1]))
        return self.linear(graph.node("Add", new, mixed), f"{name}.linear")

    def decoder_branches(self, x: str, name: str, cell: int) -> str:
        """Add one position of :class:`hat.model.evolved_cells.DecoderBranches`, [1, N, D] -> [1, N, D]."""
        graph, dim = self.graph, self.shape.qkv_dim
        inputs, sums = _windows(cell, dim)
        before = self.before(x, inputs)
        left = graph.node("Relu", self.separable_step(x, before, f"{name}.left"))
        right = self.separable_step(x, self.cut(before, DECODER_LEFT - DECODER_RIGHT, _END), f"{name}.right")
        joined = self.norm(graph.node("Add", left, self.widened(right, 2 * dim - dim // 2)), f"{name}.norm")
        return self.separable_step(joined, self.before(joined, sums), f"{name}.out")

    def swish_feed_forward(self, x: str, name: str) -> str:
        """Add two linear maps with swish and a norm between them, [1, N, D] -> [1, N, D]."""
        hidden = self.graph.node("QuickGelu", self.linear(x, f"{name}.inner"), domain=CONTRIB, alpha=1.0)
        return self.linear(self.norm(hidden, f"{name}.norm"), f"{name}.out")


def add_evolved_encoder(
    graph: Graph,
    architecture: EvolvedArchitecture,
    shape: Shape,
    weights: Weights,
    rows: tuple[Path, str, Table] | None,
) -> None:
    """Fill the encoder's graph, with the inputs and outputs of :func:`hat.runtime.onnx.network.add_encoder`.

    Args:
        graph: an empty graph.
        architecture: the network's dimensions.
        shape: hyperparameters that the task's networks share.
        weights: the network's tensors.
        rows: with a shortlist, folder, name and content of the output projection's table.
    """
    cells, heads = _Cells(graph, shape, weights), architecture.heads
    x = graph.input("source", "float32", [1, "source", architecture.width])
    for number in range(architecture.encoder_cells):
        name = f"encoder.{number}"
        x = cells.residual(x, f"{name}.unit_residual", partial(cells.gated_unit, name=f"{name}.unit"))
        x = cells.residual(x, f"{name}.branches_residual", partial(cells.encoder_branches, name=f"{name}.branches"))
        attention = partial(cells.attention, name=f"{name}.attention", heads=heads)
        x = cells.feed_forward(cells.residual(x, f"{name}.attention_residual", attention), name)
    memory = cells.norm(x, "encoder_norm")
    for number in range(architecture.decoder_cells):
        cells.project_memory(memory, f"decoder.{number}.first_cross_attention", heads, 2 * number)
        cells.project_memory(memory, f"decoder.{number}.second_cross_attention", heads, 2 * number + 1)
    if rows is not None:
        add_candidates(graph, *rows)


def add_evolved_step(graph: Graph, architecture: EvolvedArchitecture, shape: Shape, weights: Weights) -> str:
    """Add a decoding step to a graph; return the name of its final hidden states, [1, N, D].

    Inputs and outputs are as in :func:`hat.runtime.onnx.network.add_step` and, for each Window of
    :func:`windows`, those that :mod:`hat.runtime.onnx.windows` describes.

    Args:
        graph: an empty graph.
        architecture: the network's dimensions.
        shape: hyperparameters that the task's networks share.
        weights: the network's tensors.
    """
    cells, heads = _Cells(graph, shape, weights), architecture.heads
    x = graph.input("target", "float32", [1, "beam", architecture.width])
    cache = CacheInputs.of(graph)
    for name, positions in {window.before: window.positions for window in windows(architecture)}.items():
        graph.input(name, "int64", ["beam", positions])
    for number in range(architecture.decoder_cells):
        name = f"decoder.{number}"

        def attentions(x: str, number: int = number, name: str = name) -> str:
            own = cells.cached_attention(x, f"{name}.wide_attention", architecture.wide_heads, 2 * number, cache)
            cross = cells.cross_attention(x, f"{name}.first_cross_attention", heads, 2 * number)
            return graph.node("Add", own, cross)

        x = cells.residual(x, f"{name}.wide_residual", attentions)
        branches = partial(cells.decoder_branches, name=f"{name}.branches", cell=number)
        x = cells.residual(x, f"{name}.branches_residual", branches)
        attention = partial(
            cells.cached_attention, name=f"{name}.attention", heads=heads, number=2 * number + 1, cache=cache
        )
        x = cells.residual(x, f"{name}.attention_residual", attention)
        cross_attention = partial(
            cells.cross_attention, name=f"{name}.second_cross_attention", heads=heads, number=2 * number + 1
        )
        x = cells.residual(x, f"{name}.cross_residual", cross_attention)
        x = cells.residual(x, f"{name}.ffn_residual", partial(cells.swish_feed_forward, name=f"{name}.ffn"))
    return cells.norm(x, "decoder_norm")
