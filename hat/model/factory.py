"""Constructors of the modules that hold weights, so that elastic and plain networks share all other code."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ModuleFactory:
    """Constructors of the modules that hold weights.

    Attributes:
        linear: makes a linear map from its input and output features.
        norm: makes a layer norm from its features.
    """

    linear: Callable[[int, int], nn.Linear]
    norm: Callable[[int], nn.LayerNorm]


PLAIN = ModuleFactory(nn.Linear, nn.LayerNorm)
