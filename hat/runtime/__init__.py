"""What executes a model on a device: one interface, an implementation for each Runtime."""

from importlib import import_module
from typing import cast

from hat.config.runtimes import _CLASSES, ON_GPU, PRECISIONS
from hat.errors import InputError
from hat.runtime.base import Runtime


def runtime(name: str, precision: str, threads: int, *, parallel: int = 1, accelerator: str | None = None) -> Runtime:
    """The Runtime of that name.

    Args:
        name: one of ``PRECISIONS``.
        precision: one of those.
        threads: CPU threads of a sentence.
        parallel: sentences translated side by side, where many are wanted and latency does not count.
        accelerator: GPU that it executes on, such as ``cuda``; the processor where absent.

    Raises:
        InputError: there is none of that name and precision, it is not installed, or does not execute on GPUs.
        HatError: there is no such GPU.
    """
    if precision not in PRECISIONS.get(name, ()):
        known = "; ".join(f"{one} with {', '.join(precisions)}" for one, precisions in PRECISIONS.items())
        raise InputError(f"runtime {name!r} with precision {precision!r} is unknown, expected {known}")
    module, class_name, extra = _CLASSES[name]
    try:
        found = getattr(import_module(module), class_name)
    except ModuleNotFoundError as error:
        raise InputError(f"runtime {name!r} needs the package {error.name}: pip install 'hat[{extra}]'") from None
    if accelerator is None:
        return cast(Runtime, found(precision=precision, threads=threads, parallel=parallel))
    if name not in ON_GPU:
        raise InputError(f"runtime {name!r} with accelerator {accelerator!r}: expected {' or '.join(sorted(ON_GPU))}")
    return cast(Runtime, found(precision=precision, threads=threads, parallel=parallel, accelerator=accelerator))
