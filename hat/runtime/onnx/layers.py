"""Layers that the ONNX graphs of all networks share."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from hat.runtime.base import Weights
from hat.runtime.onnx.graph import CONTRIB, Graph
from hat.runtime.onnx.wire import Dimension
from hat.space.shape import Shape

# GroupQueryAttention, which extends the KV cache in place, needs head dimensions that are multiples of this.
_HEAD_MULTIPLE = 8


def padded_head_dim(qkv_dim: int, heads: int) -> int:
    """Return the features per head, zero-padded, in the decoder's self-attention and in its KV cache."""
    return -(-qkv_dim // heads // _HEAD_MULTIPLE) * _HEAD_MULTIPLE


class CacheInputs(NamedTuple):
    """Names of a step's inputs that say which rows of the KV cache each hypothesis attends to.

    :func:`hat.runtime.onnx.network.add_step` describes them; ``mask`` is its input ``sees``.
    """

    mask: str
    last: str
    total: str

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """Add these inputs to a graph."""
        return cls(
            graph.input("sees", "float32", [1, 1, "beam", "total"]),
            graph.input("last", "int32", [1]),
            graph.input("total", "int32", []),
        )


class Layers:
    """Adds layers to a graph; ``name`` is the prefix of a layer's weights.

    Args:
        graph: the graph to extend.
        shape: hyperparameters that the task's networks share.
        weights: the network's tensors.
        epsilon: added to the variance in norms.
        attention_bias: whether the projections of attention have biases.
    """

    def __init__(
        self, graph: Graph, shape: Shape, weights: Weights, *, epsilon: float = 1e-5, attention_bias: bool = True
    ) -> None:
        self.graph, self.shape, self.weights = graph, shape, weights
        self.epsilon, self.attention_bias = epsilon, attention_bias

    def linear(self, x: str, name: str, *, bias: bool = True) -> str:
        """Add a linear map, [..., I] -> [..., O]."""
        return self.graph.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"] if bias else None)

    def norm(self, x: str, name: str) -> str:
        """Add layer normalisation, [..., D] -> [..., D]."""
        return self.graph.norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.epsilon)

    def residual(self, x: str, name: str, inner: Callable[[str], str]) -> str:
        """Add norm(x + f(x)), or x + f(norm(x)) with pre-norm."""
        if self.shape.norm == "post":
            return self.norm(self.graph.node("Add", x, inner(x)), f"{name}.norm")
        return self.graph.node("Add", x, inner(self.norm(x, f"{name}.norm")))

    def feed_forward(self, x: str, name: str) -> str:
        """Add two linear maps with a ReLU between them, and their residual connection."""

        def inner(x: str) -> str:
            return self.linear(self.graph.node("Relu", self.linear(x, f"{name}.ffn.inner")), f"{name}.ffn.out")

        return self.residual(x, f"{name}.ffn_residual", inner)

    def attention(self, x: str, name: str, heads: int) -> str:
        """Add self-attention of the encoder, [1, S, D] -> [1, S, D]."""
        parts = self.graph.split(self.linear(x, f"{name}.qkv", bias=self.attention_bias), 3)
        attended = self.graph.node("MultiHeadAttention", *parts, domain=CONTRIB, num_heads=heads)
        return self.linear(attended, f"{name}.out", bias=self.attention_bias)

    def project_memory(self, memory: str, name: str, heads: int, number: int) -> None:
        """Add outputs ``key.number`` and ``value.number``: keys and values of cross-attention to a memory [1, S, D]."""
        dim = self.shape.qkv_dim // heads
        projected = self.linear(memory, f"{name}.key_value", bias=self.attention_bias)
        head_shape = self.graph.constant(np.array([1, -1, heads, dim]))
        for kind, part in zip(("key", "value"), self.graph.split(projected, 2), strict=True):
            output = self.graph.output(f"{kind}.{number}", "float32", [1, heads, f"memory{number}", dim])
            by_head = self.graph.node("Reshape", part, head_shape)
            self.graph.node("Transpose", by_head, outputs=[output], perm=[0, 2, 1, 3])

    def cross_attention(self, x: str, name: str, heads: int, number: int) -> str:
        """Add cross-attention to the outputs of :meth:`project_memory`, which become inputs, [1, N, D] -> [1, N, D]."""
        memory: list[Dimension] = [1, heads, f"memory{number}", self.shape.qkv_dim // heads]
        parts = [self.graph.input(f"{kind}.{number}", "float32", memory) for kind in ("key", "value")]
        query = self.linear(x, f"{name}.query", bias=self.attention_bias)
        attended = self.graph.node("MultiHeadAttention", query, *parts, domain=CONTRIB, num_heads=heads)
        return self.linear(attended, f"{name}.out", bias=self.attention_bias)

    def cached_attention(self, x: str, name: str, heads: int, number: int, cache: CacheInputs) -> str:
        """Add decoder self-attention over the KV cache of that number, [1, N, D] -> [1, N, D]."""
        graph, dim = self.graph, self.shape.qkv_dim // heads
        padded = padded_head_dim(self.shape.qkv_dim, heads)
        joint = [self.weights[f"{name}.qkv.weight"]]
        if self.attention_bias:
            joint.append(self.weights[f"{name}.qkv.bias"])
        weight, *bias = (_padded_heads(tensor, 3 * heads, padded) for tensor in joint)
        packed = graph.linear(x, weight, bias[0] if bias else None)
        size: list[Dimension] = [1, heads, "rows", padded]
        cached = [graph.input(f"{kind}.{number}", "float32", size) for kind in ("keys", "values")]
        extended = [graph.output(f"new_{kind}.{number}", "float32", size) for kind in ("keys", "values")]
        attended = f"attended.{number}"
        graph.node(
            "GroupQueryAttention",
            *(packed, "", "", *cached, cache.last, cache.total, "", "", "", cache.mask),
            outputs=[attended, *extended],
            domain=CONTRIB,
            num_heads=heads,
            kv_num_heads=heads,
            scale=dim**-0.5,
        )
        out = _padded_heads(self.weights[f"{name}.out.weight"].T, heads, padded).T
        return graph.linear(attended, out, self.weights[f"{name}.out.bias"] if self.attention_bias else None)


def _padded_heads(tensor: npt.NDArray[np.float32], heads: int, dim: int) -> npt.NDArray[np.float32]:
    """Pad the features of each head, along the first dimension, with zeros to ``dim``."""
    head_dim = tensor.shape[0] // heads
    if head_dim == dim:
        return tensor
    padded = np.zeros((heads, dim, *tensor.shape[1:]), np.float32)
    padded[:, :head_dim] = tensor.reshape(heads, head_dim, *tensor.shape[1:])
    return padded.reshape(heads * dim, *tensor.shape[1:])
