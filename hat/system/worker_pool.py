"""Worker processes."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from hat.errors import HatError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized


def worker_pool(processes: int, start: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """Start a pool of processes that end when this process ends.

    Args:
        processes: number of processes.
        start: called once in each process, with the process's number, from 0, and ``arguments``.
        arguments: further arguments, which must be picklable.
    """
    # Spawned, not forked, since torch may have started threads in this process.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, _begin, (context.Value("i"), start, arguments))


@contextlib.contextmanager
def explained_worker_deaths() -> Iterator[None]:
    """Explain a worker's death in the block in one sentence.

    Raises:
        HatError: a worker was killed.
    """
    try:
        yield
    except BrokenProcessPool:
        raise HatError(
            "a worker process was killed, probably out of memory; run the same command again, with fewer cores or"
            " more memory"
        ) from None


def end_with_parent() -> None:
    """Make this worker end with its parent; otherwise it would wait for work forever after the parent is killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _begin(started: "Synchronized[int]", start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    with started.get_lock():
        number = started.value
        started.value += 1
    start(number, *arguments)


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
