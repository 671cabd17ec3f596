"""What executes a model on a device: one interface, an implementation for each Runtime."""

from collections.abc import Mapping

from hat.errors import InputError
from hat.runtime.base import Runtime

# Precisions of each Runtime.
PRECISIONS: Mapping[str, tuple[str, ...]] = {"torch": ("fp32",), "ctranslate2": ("fp32", "int8")}


def runtime(name: str, precision: str, threads: int, *, parallel: int = 1) -> Runtime:
    """The Runtime of that name.

    Args:
        name: one of ``PRECISIONS``.
        precision: one of those.
        threads: CPU threads of a sentence.
        parallel: sentences translated side by side, where many are wanted and latency does not count.

    Raises:
        InputError: there is none of that name and precision, or it is not installed.
    """
    if precision not in PRECISIONS.get(name, ()):
        known = "; ".join(f"{one} with {', '.join(precisions)}" for one, precisions in PRECISIONS.items())
        raise InputError(f"runtime {name!r} with precision {precision!r} is unknown, expected {known}")
    try:
        if name == "ctranslate2":
            from hat.runtime.ctranslate2 import CTranslate2Runtime

            return CTranslate2Runtime(precision=precision, threads=threads, parallel=parallel)
        from hat.runtime.torch import TorchRuntime

        return TorchRuntime(threads * parallel)
    except ModuleNotFoundError as error:
        raise InputError(f"runtime {name!r} needs the package {error.name}; pip install 'hat[{name}]'") from None
