"""Constructors of the modules that hold weights, so that elastic and plain networks share all other code."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from hat.model.fused import norm


class LayerNorm(nn.LayerNorm):
    """Layer norm over features."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [R, D] -> [R, D]."""
        return norm(x, *self.sliced(), self.eps)

    def sliced(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias in use, each [D]."""
        return self.weight, self.bias


@dataclass(frozen=True)
class ModuleFactory:
    """Constructors of the modules that hold weights.

    Attributes:
        linear: makes a linear map from its input and output features.
        norm: makes a layer norm from its features.
    """

    linear: Callable[[int, int], nn.Linear]
    norm: Callable[[int], LayerNorm]


PLAIN = ModuleFactory(nn.Linear, LayerNorm)
