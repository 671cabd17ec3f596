"""The feed-forward network of a layer, and the residual connection around each sub-layer."""

from typing import cast

from torch import Tensor, nn

from hat.model.factory import ModuleFactory
from hat.model.fused import dropout_add, dropout_add_norm, relu_dropout


class FeedForward(nn.Module):
    """Two linear maps with a ReLU between them.

    Args:
        dim: D, input and output features.
        ffn_dim: hidden features.
        dropout: rate on the hidden features.
        factory: makes the linear maps.
    """

    def __init__(self, dim: int, ffn_dim: int, dropout: float, factory: ModuleFactory) -> None:
        super().__init__()
        self.dropout = dropout
        self.inner = factory.linear(dim, ffn_dim)
        self.out = factory.linear(ffn_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [R, D] -> [R, D]."""
        return cast(Tensor, self.out(relu_dropout(self.inner(x), self.dropout, self.training)))


class Residual(nn.Module):
    """Residual connection, dropout and layer norm around a sub-layer f.

    Computes norm(x + f(x)) with post-norm, x + f(norm(x)) with pre-norm.

    Args:
        dim: D, features.
        dropout: rate on the output of the sub-layer.
        pre_norm: normalise the input of the sub-layer instead of the sum.
        factory: makes the layer norm.
    """

    def __init__(self, dim: int, dropout: float, pre_norm: bool, factory: ModuleFactory) -> None:
        super().__init__()
        self.dropout = dropout
        self.pre_norm = pre_norm
        self.norm = factory.norm(dim)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input of the sub-layer, [R, D]."""
        return self.norm(x) if self.pre_norm else x

    def join(self, x: Tensor, inner: Tensor) -> Tensor:
        """Add the output of the sub-layer, ``inner`` [R, D], to its input ``x`` [R, D]."""
        if self.pre_norm:
            return dropout_add(inner, x, self.dropout, self.training)
        return dropout_add_norm(inner, x, self.dropout, self.training, self.norm.weight, self.norm.bias, self.norm.eps)
