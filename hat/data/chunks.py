"""Process a stream in chunks, in several processes, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, TypeVar

from hat.system.worker_pool import explained_worker_deaths, worker_pool

LINES_PER_CHUNK = 2000
# Below this, starting processes takes longer than the work.
LINES_FOR_PROCESSES = 4 * LINES_PER_CHUNK
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_chunks(items: Iterable[Item], size: int = LINES_PER_CHUNK) -> Iterator[list[Item]]:
    """Yield lists of ``size`` items; the last one may be shorter."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def map_chunks(
    work: Callable[[list[Item]], Result], chunks: Iterable[list[Item]], processes: int, *, ahead: int = 2
) -> Iterator[Result]:
    """Yield the result of ``work`` for each chunk, in the order of the chunks.

    Args:
        work: sent to each process once.
        chunks: read lazily.
        processes: number of worker processes; 1 does the work in this process.
        ahead: chunks per process that are submitted before the first result is taken.

    Raises:
        HatError: a worker process was killed.
    """
    if processes == 1:
        yield from map(work, chunks)
        return
    pool = worker_pool(processes, _initialise, work)
    stream = iter(chunks)
    try:
        with explained_worker_deaths():
            first = islice(stream, ahead * processes)
            pending: deque[Future[Result]] = deque(pool.submit(_work, chunk) for chunk in first)
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(_work, chunk) for chunk in islice(stream, 1))
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


# Set in each worker process when it starts.
_worker_task: Callable[[list[Any]], Any] | None = None
_worker_number = 0


def worker_number() -> int:
    """Return the number of this worker process of :func:`map_chunks`, from 0; 0 in the calling process too."""
    return _worker_number


def _initialise(number: int, work: Callable[[list[Any]], Any]) -> None:
    global _worker_task, _worker_number
    _worker_task, _worker_number = work, number


def _work(chunk: list[Any]) -> Any:
    assert _worker_task is not None
    return _worker_task(chunk)
