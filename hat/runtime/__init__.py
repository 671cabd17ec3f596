"""What executes a model on a device: one interface, an implementation for each Runtime."""

from typing import TYPE_CHECKING

from hat.errors import InputError

if TYPE_CHECKING:
    from hat.runtime.torch import TorchRuntime


def runtime(name: str, precision: str, threads: int) -> "TorchRuntime":
    """The Runtime of that name.

    Raises:
        InputError: there is none of that name and precision.
    """
    if (name, precision) != ("torch", "fp32"):
        raise InputError(f"runtime {name!r} with precision {precision!r} is unknown, expected torch with fp32")
    from hat.runtime.torch import TorchRuntime

    return TorchRuntime(threads)
