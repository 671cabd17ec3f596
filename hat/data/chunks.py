"""Work on a stream in chunks, by several processes, in order and with bounded memory."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from hat.errors import HatError
from hat.workers import end_with_parent

LINES_PER_CHUNK = 2000
# Below this, starting processes takes longer than the work.
LINES_FOR_PROCESSES = 4 * LINES_PER_CHUNK
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_chunks(items: Iterable[Item], size: int = LINES_PER_CHUNK) -> Iterator[list[Item]]:
    """Lists of so many items, the last one maybe shorter."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def map_chunks(
    work: Callable[[list[Item]], Result], chunks: Iterable[list[Item]], processes: int, *, ahead: int = 2
) -> Iterator[Result]:
    """What ``work`` makes of each chunk, in the order of the chunks.

    Args:
        work: sent to every process once.
        chunks: read as they are needed.
        processes: worker processes; with one the work is done here.
        ahead: chunks for each process that are read and worked on before the first result is taken.

    Raises:
        HatError: a worker was killed.
    """
    if processes == 1:
        yield from map(work, chunks)
        return
    # Spawned, not forked: the caller may have threads of torch.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _adopt, (work,))
    stream = iter(chunks)
    try:
        pending: deque[Future[Result]] = deque(pool.submit(_work, chunk) for chunk in islice(stream, ahead * processes))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(_work, chunk) for chunk in islice(stream, 1))
            yield result
    except BrokenProcessPool:
        raise HatError(
            "a worker process was killed, maybe for want of memory; run the same command again, with fewer cores or"
            " more memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_adopted: Callable[[list[Any]], Any] | None = None


def _adopt(work: Callable[[list[Any]], Any]) -> None:
    global _adopted
    end_with_parent()
    _adopted = work


def _work(chunk: list[Any]) -> Any:
    assert _adopted is not None
    return _adopted(chunk)
