"""Text to tokens and back: Moses words, then byte pairs."""

import multiprocessing
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from hat.artifacts import atomic
from hat.config_text import Tokenisation
from hat.data.bpe import BytePairs, join
from hat.data.moses import Moses
from hat.data.text import read_lines
from hat.progress import progress

LINES_PER_CHUNK = 2000
# Below this, starting processes takes longer than the work.
LINES_FOR_PROCESSES = 4 * LINES_PER_CHUNK


class TextCodec:
    """Plain text of one language to tokens of the network and back.

    Args:
        language: ISO 639 code.
        codes: file of byte-pair codes.
        tokenisation: settings of the task.

    Raises:
        InputError: the codes are missing or malformed.
    """

    def __init__(self, language: str, codes: Path, tokenisation: Tokenisation) -> None:
        self._moses = Moses(language, tokenisation)
        self._pairs = BytePairs(codes)

    def encode(self, line: str) -> list[str]:
        """Tokens of a line; none for an empty one."""
        return self._pairs.split(self._moses.split(line))

    def decode(self, tokens: list[str]) -> str:
        """The detokenised line that tokens make."""
        return self._moses.join(join(tokens))


class MosesLines:
    """Makes tokenised lines of raw lines; what is sent to worker processes."""

    def __init__(self, language: str, tokenisation: Tokenisation) -> None:
        self._settings = (language, tokenisation)
        self._moses: Moses | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """The words of each line, joined by spaces."""
        moses = self._moses = self._moses or Moses(*self._settings)
        return [" ".join(moses.split(line)) for line in lines]


class PieceLines:
    """Makes lines of byte pairs of tokenised lines; what is sent to worker processes."""

    def __init__(self, codes: Path) -> None:
        self._codes = codes
        self._pairs: BytePairs | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """The pieces of each line, joined by spaces."""
        pairs = self._pairs = self._pairs or BytePairs(self._codes)
        return [" ".join(pairs.split(line.split())) for line in lines]


LineWork = Callable[[list[str]], list[str]]


def map_file(work: LineWork, source: Path, target: Path, *, title: str, lines: int, processes: int) -> None:
    """Write the lines that ``work`` makes of the lines of ``source``, in order, with bounded memory.

    Args:
        work: makes as many lines as it gets; sent to every process once.
        source: file read.
        target: file written, atomically.
        title: what is being done, for the progress bar.
        lines: number of lines of ``source``.
        processes: worker processes; small files are done without.
    """
    with progress(title, lines) as show, atomic(target) as stream:
        done = 0
        for made in _mapped(work, _chunks(read_lines(source)), processes if lines >= LINES_FOR_PROCESSES else 1):
            stream.write("".join(line + "\n" for line in made))
            done += len(made)
            show(done)


def _chunks(lines: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(lines, LINES_PER_CHUNK)):
        yield chunk


def _mapped(work: LineWork, chunks: Iterator[list[str]], processes: int) -> Iterator[list[str]]:
    if processes == 1:
        yield from map(work, chunks)
        return
    # Spawned, not forked: the caller may have threads of torch.
    with multiprocessing.get_context("spawn").Pool(processes, _adopt, (work,)) as pool:
        pending = [pool.apply_async(_work, (chunk,)) for chunk in islice(chunks, 2 * processes)]
        while pending:
            yield pending.pop(0).get()
            pending.extend(pool.apply_async(_work, (chunk,)) for chunk in islice(chunks, 1))


_adopted: LineWork | None = None


def _adopt(work: LineWork) -> None:
    global _adopted
    _adopted = work


def _work(lines: list[str]) -> list[str]:
    assert _adopted is not None
    return _adopted(lines)
