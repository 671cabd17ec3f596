"""The part of a space that a Runtime expresses: what is sampled, searched and promised on a device."""

from collections.abc import Mapping

from hat.config.networks import Space
from hat.errors import InputError

# What a Runtime expresses of a dimension, where that is not everything.
EXPRESSED: Mapping[str, Mapping[str, tuple[int, ...]]] = {"ctranslate2": {"decoder_cross_span": (1,)}}


def confined(space: Space, runtime_name: str, where: str = "the space") -> Space:
    """``space`` without the choices that a Runtime does not express.

    Args:
        space: the space.
        runtime_name: name of the Runtime.
        where: names the space and the device, for the error.

    Raises:
        InputError: no choice of a dimension is left.
    """
    left = {}
    for dimension, expressed in EXPRESSED.get(runtime_name, {}).items():
        choices = getattr(space, dimension)
        left[dimension] = tuple(choice for choice in choices if choice in expressed)
        if not left[dimension]:
            raise InputError(
                f"{where}, {dimension}: {list(choices)}, but runtime {runtime_name!r} expresses {list(expressed)} only"
            )
    return space.model_copy(update=left)
