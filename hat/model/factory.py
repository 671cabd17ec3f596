"""Constructors of the modules that hold weights, so that elastic and plain networks share all other code."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from hat.model.fused import norm
from hat.model.linear import linear


class Linear(nn.Linear):
    """A linear map."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [R, in] -> [R, out]."""
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    """Layer norm over the leading features that its input has."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [R, D] -> [R, D]."""
        return norm(x, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class ModuleFactory:
    """Constructors of the modules that hold weights.

    Attributes:
        linear: makes a linear map from its input and output features.
        norm: makes a layer norm from its features.
    """

    linear: Callable[[int, int], nn.Linear]
    norm: Callable[[int], LayerNorm]


PLAIN = ModuleFactory(Linear, LayerNorm)
