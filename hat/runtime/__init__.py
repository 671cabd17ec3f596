"""What executes a model on a device: one interface, an implementation for each Runtime."""

from importlib import import_module
from typing import cast

from hat.config.runtimes import ON_GPU, RUNTIMES
from hat.errors import InputError
from hat.runtime.base import Runtime
from hat.system.extras import needs_package


def runtime(name: str, precision: str, threads: int, *, parallel: int = 1, accelerator: str | None = None) -> Runtime:
    """The Runtime of that name.

    Args:
        name: one of ``RUNTIMES``.
        precision: one of its precisions.
        threads: CPU threads of a sentence.
        parallel: sentences translated side by side, where many are wanted and latency does not count.
        accelerator: GPU that it executes on, such as ``cuda``; the processor where absent.

    Raises:
        InputError: there is none of that name and precision, it is not installed, or does not execute on GPUs.
        HatError: there is no such GPU.
    """
    facts = RUNTIMES.get(name)
    if facts is None or precision not in facts.precisions:
        known = "; ".join(f"{one.name} with {', '.join(one.precisions)}" for one in RUNTIMES.values())
        raise InputError(f"runtime {name!r} with precision {precision!r} is unknown, expected {known}")
    try:
        found = getattr(import_module(facts.module), facts.class_name)
    except ModuleNotFoundError as error:
        raise InputError(needs_package(f"runtime {name!r}", error, facts.extra)) from None
    if accelerator is None:
        return cast(Runtime, found(precision=precision, threads=threads, parallel=parallel))
    if not facts.gpu:
        raise InputError(f"runtime {name!r} with accelerator {accelerator!r}: expected {' or '.join(ON_GPU)}")
    return cast(Runtime, found(precision=precision, threads=threads, parallel=parallel, accelerator=accelerator))
