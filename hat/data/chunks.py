"""Work on a stream in chunks, by several processes, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, TypeVar

from hat.system.worker_pool import killed_workers_said, worker_pool

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
    pool = worker_pool(processes, _adopt, work)
    stream = iter(chunks)
    try:
        with killed_workers_said():
            first = islice(stream, ahead * processes)
            pending: deque[Future[Result]] = deque(pool.submit(_work, chunk) for chunk in first)
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(_work, chunk) for chunk in islice(stream, 1))
                yield result
    finally:
        pool.shutdown(cancel_futures=True)


_adopted: Callable[[list[Any]], Any] | None = None
_number = 0


def worker_number() -> int:
    """Number of this process among those that :func:`map_chunks` has started; 0 in the one that called it."""
    return _number


def _adopt(number: int, work: Callable[[list[Any]], Any]) -> None:
    global _adopted, _number
    _adopted, _number = work, number


def _work(chunk: list[Any]) -> Any:
    assert _adopted is not None
    return _adopted(chunk)
