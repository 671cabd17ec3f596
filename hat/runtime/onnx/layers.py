"""Layers that the ONNX graphs of all networks consist of."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from hat.runtime.base import Weights
from hat.runtime.onnx.graph import CONTRIB, Graph
from hat.runtime.onnx.wire import Dimension
from hat.space.shape import Shape

# The attention that appends in place takes heads of a multiple of so many features; they are filled up with zeros.
_HEAD_MULTIPLE = 8


def padded_head_dim(qkv_dim: int, heads: int) -> int:
    """Features of a head in the decoder's self-attention, and so in its pool."""
    return -(-qkv_dim // heads // _HEAD_MULTIPLE) * _HEAD_MULTIPLE


class Past(NamedTuple):
    """Names of the inputs by which a step's attention finds the past of each hypothesis.

    They are those that :func:`hat.runtime.onnx.network.add_step` describes.
    """

    sees: str
    last: str
    total: str

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """Make a graph have these inputs."""
        return cls(
            graph.input("sees", "float32", [1, 1, "beam", "total"]),
            graph.input("last", "int32", [1]),
            graph.input("total", "int32", []),
        )


class Layers:
    """Layers of which networks consist, by the names that their weights have.

    Args:
        graph: the graph that grows.
        shape: what the task's networks share.
        weights: the network's.
        epsilon: of norms.
        attention_bias: whether the projections of attention have biases.
    """

    def __init__(
        self, graph: Graph, shape: Shape, weights: Weights, *, epsilon: float = 1e-5, attention_bias: bool = True
    ) -> None:
        self.graph, self.shape, self.weights = graph, shape, weights
        self.epsilon, self.attention_bias = epsilon, attention_bias

    def linear(self, x: str, name: str, *, bias: bool = True) -> str:
        """[..., I] -> [..., O]."""
        return self.graph.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"] if bias else None)

    def norm(self, x: str, name: str) -> str:
        """[..., D] -> [..., D]."""
        return self.graph.norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.epsilon)

    def residual(self, x: str, name: str, inner: Callable[[str], str]) -> str:
        """Norm(x + f(x)), or x + f(norm(x)) where pre-norm."""
        if self.shape.norm == "post":
            return self.norm(self.graph.node("Add", x, inner(x)), f"{name}.norm")
        return self.graph.node("Add", x, inner(self.norm(x, f"{name}.norm")))

    def feed_forward(self, x: str, name: str) -> str:
        """Two linear maps with a ReLU between, and their residual."""

        def inner(x: str) -> str:
            return self.linear(self.graph.node("Relu", self.linear(x, f"{name}.ffn.inner")), f"{name}.ffn.out")

        return self.residual(x, f"{name}.ffn_residual", inner)

    def attention(self, x: str, name: str, heads: int) -> str:
        """Attention of the encoder to itself, [1, S, D] -> [1, S, D]."""
        parts = self.graph.split(self.linear(x, f"{name}.qkv", bias=self.attention_bias), 3)
        attended = self.graph.node("MultiHeadAttention", *parts, domain=CONTRIB, num_heads=heads)
        return self.linear(attended, f"{name}.out", bias=self.attention_bias)

    def project_memory(self, memory: str, name: str, heads: int, number: int) -> None:
        """Outputs ``key.number`` and ``value.number`` of the graph: what an attention sees of a memory, [1, S, D]."""
        dim = self.shape.qkv_dim // heads
        projected = self.linear(memory, f"{name}.key_value", bias=self.attention_bias)
        head_shape = self.graph.constant(np.array([1, -1, heads, dim]))
        for kind, part in zip(("key", "value"), self.graph.split(projected, 2), strict=True):
            output = self.graph.output(f"{kind}.{number}", "float32", [1, heads, f"memory{number}", dim])
            parted = self.graph.node("Reshape", part, head_shape)
            self.graph.node("Transpose", parted, outputs=[output], perm=[0, 2, 1, 3])

    def cross_attention(self, x: str, name: str, heads: int, number: int) -> str:
        """Attention to what :meth:`remember` gave, which the graph has as inputs, [1, N, D] -> [1, N, D]."""
        memory: list[Dimension] = [1, heads, f"memory{number}", self.shape.qkv_dim // heads]
        parts = [self.graph.input(f"{kind}.{number}", "float32", memory) for kind in ("key", "value")]
        query = self.linear(x, f"{name}.query", bias=self.attention_bias)
        attended = self.graph.node("MultiHeadAttention", query, *parts, domain=CONTRIB, num_heads=heads)
        return self.linear(attended, f"{name}.out", bias=self.attention_bias)

    def past_attention(self, x: str, name: str, heads: int, number: int, past: Past) -> str:
        """Attention of hypotheses to their own past, in the pools of that number, [1, N, D] -> [1, N, D]."""
        graph, dim = self.graph, self.shape.qkv_dim // heads
        padded = padded_head_dim(self.shape.qkv_dim, heads)
        joint = [self.weights[f"{name}.qkv.weight"]]
        if self.attention_bias:
            joint.append(self.weights[f"{name}.qkv.bias"])
        weight, *bias = (_padded_heads(tensor, 3 * heads, padded) for tensor in joint)
        packed = graph.linear(x, weight, bias[0] if bias else None)
        pool: list[Dimension] = [1, heads, "rows", padded]
        pools = [graph.input(f"{kind}.{number}", "float32", pool) for kind in ("keys", "values")]
        grown = [graph.output(f"new_{kind}.{number}", "float32", pool) for kind in ("keys", "values")]
        attended = f"attended.{number}"
        graph.node(
            "GroupQueryAttention",
            *(packed, "", "", *pools, past.last, past.total, "", "", "", past.sees),
            outputs=[attended, *grown],
            domain=CONTRIB,
            num_heads=heads,
            kv_num_heads=heads,
            scale=dim**-0.5,
        )
        out = _padded_heads(self.weights[f"{name}.out.weight"].T, heads, padded).T
        return graph.linear(attended, out, self.weights[f"{name}.out.bias"] if self.attention_bias else None)


def _padded_heads(tensor: npt.NDArray[np.float32], heads: int, dim: int) -> npt.NDArray[np.float32]:
    """Fill the features of each head, along the first dimension, up with zeros."""
    own = tensor.shape[0] // heads
    if own == dim:
        return tensor
    padded = np.zeros((heads, dim, *tensor.shape[1:]), np.float32)
    padded[:, :own] = tensor.reshape(heads, own, *tensor.shape[1:])
    return padded.reshape(heads * dim, *tensor.shape[1:])
