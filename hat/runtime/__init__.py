"""Runtimes, which execute models on devices: one interface and an implementation for each Runtime."""

from importlib import import_module
from typing import cast

from hat.config.runtimes import ON_GPU, RUNTIMES
from hat.errors import InputError
from hat.runtime.base import Runtime
from hat.system.extras import needs_package


def runtime(name: str, precision: str, threads: int, *, parallel: int = 1, accelerator: str | None = None) -> Runtime:
    """Make a Runtime by its name.

    Args:
        name: one of ``RUNTIMES``.
        precision: one of its precisions.
        threads: CPU threads per sentence.
        parallel: sentences translated side by side, for throughput when latency does not matter.
        accelerator: GPU to execute on, such as ``cuda``; default: the CPU.

    Raises:
        InputError: the name or the precision is unknown, the Runtime is not installed, or it does not execute on GPUs.
        HatError: this machine does not have the GPU.
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
