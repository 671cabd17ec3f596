"""Worker processes of all kinds."""

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
    """Processes that end when this one does.

    Args:
        processes: how many there are.
        start: called once in each, with its number among them, from 0, and the arguments.
        arguments: are pickled.
    """
    # Spawned, not forked: the caller may have threads of torch.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, _begin, (context.Value("i"), start, arguments))


@contextlib.contextmanager
def killed_workers_said() -> Iterator[None]:
    """Have a sentence where a worker was killed in the block.

    Raises:
        HatError: one was.
    """
    try:
        yield
    except BrokenProcessPool:
        raise HatError(
            "a worker process was killed, probably out of memory; run the same command again, with fewer cores or"
            " more memory"
        ) from None


def end_with_parent() -> None:
    """Make this worker end when its parent does: it would wait for work for ever where the parent was killed."""
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
