"""Restrict a space to what a Runtime supports, for sampling and searching on a device."""

from hat.config.networks import Space
from hat.config.runtimes import RUNTIMES
from hat.errors import InputError


def confined(space: Space, runtime_name: str, where: str = "the space") -> Space:
    """Remove the choices that a Runtime does not express.

    Args:
        space: the space.
        runtime_name: name of the Runtime.
        where: names the space and the device in the error.

    Raises:
        InputError: no choice of a dimension is left.
    """
    left = {}
    for dimension, expressed in RUNTIMES[runtime_name].expresses.items():
        choices = getattr(space, dimension)
        left[dimension] = tuple(choice for choice in choices if choice in expressed)
        if not left[dimension]:
            raise InputError(
                f"{where}, {dimension}: {list(choices)}, but runtime {runtime_name!r} expresses {list(expressed)} only"
            )
    return space.model_copy(update=left)
