"""Encoding text as tokens and decoding it: Moses words, then byte pairs."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, islice
from pathlib import Path

from hat.artifacts.files import atomic
from hat.config.tokenisation import Tokenisation
from hat.data.chunks import LINES_FOR_PROCESSES, in_chunks, map_chunks
from hat.data.text.bpe import BytePairs, join
from hat.data.text.moses import Moses
from hat.data.text.text import read_lines
from hat.system.progress import progress

# Longer chunks mean fewer counters to merge.
LINES_PER_COUNT = 20_000


class TextCodec:
    """Encodes plain text of one language as tokens, and decodes tokens.

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
        """Return the tokens of a line."""
        return self._pairs.split(self._moses.split(line))

    def decode(self, tokens: list[str]) -> str:
        """Return the detokenised line that tokens make."""
        return self._moses.join(join(tokens))

    def text(self, words: str) -> str:
        """Return the detokenised line that space-separated Moses words make."""
        return self._moses.join(words.split())


class MosesLines:
    """Tokenises raw lines, in worker processes."""

    def __init__(self, language: str, tokenisation: Tokenisation, *, training: bool = False) -> None:
        self._settings = (language, tokenisation)
        self._training = training
        self._moses: Moses | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the words of each line, joined by spaces."""
        moses = self._moses = self._moses or Moses(*self._settings, training=self._training)
        return [" ".join(moses.split(line)) for line in lines]


class PieceLines:
    """Splits tokenised lines into byte-pair pieces, in worker processes."""

    def __init__(self, codes: Path) -> None:
        self._codes = codes
        self._pairs: BytePairs | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the pieces of each line, joined by spaces."""
        pairs = self._pairs = self._pairs or BytePairs(self._codes)
        return [pairs.line(line.split()) for line in lines]


class CountedWords:
    """Counts the words of lines, in worker processes.

    Args:
        joined: whether the lines hold byte-pair pieces, to be joined into words first.
    """

    def __init__(self, *, joined: bool) -> None:
        self._joined = joined

    def __call__(self, lines: list[str]) -> Counter[str]:
        """Return the count of each word in a chunk."""
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(join(line.split()) if self._joined else line.split())
        return counts


LineWork = Callable[[list[str]], list[str]]


def map_file(work: LineWork, source: Path, target: Path, *, title: str, lines: int, processes: int) -> None:
    """Apply ``work`` to the lines of ``source`` and write the result to ``target``, with bounded memory.

    Args:
        work: maps a list of lines to a list of the same length; sent to each process once.
        source: file to read.
        target: file to write, atomically.
        title: title of the progress bar.
        lines: number of lines of ``source``.
        processes: number of worker processes; small files are processed in this process.
    """
    with progress(title, lines) as show, atomic(target) as stream:
        done = 0
        for mapped in map_chunks(work, in_chunks(read_lines(source)), processes if lines >= LINES_FOR_PROCESSES else 1):
            stream.write("".join(line + "\n" for line in mapped))
            done += len(mapped)
            show(done)


def count_words(texts: Iterable[Path], *, joined: bool, processes: int) -> Counter[str]:
    """Return the count of each word in some files. Memory grows with the number of distinct words.

    Args:
        texts: files of words, or of byte-pair pieces.
        joined: whether the files hold byte-pair pieces, to be joined into words first.
        processes: number of worker processes; a single chunk is counted in this process.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        chunks = in_chunks(read_lines(text), LINES_PER_COUNT)
        first = list(islice(chunks, 2))
        work = CountedWords(joined=joined)
        with progress(f"Counting words of {text.name} (chunks)", None) as show:
            for number, found in enumerate(
                map_chunks(work, chain(first, chunks), processes if len(first) > 1 else 1), start=1
            ):
                counts.update(found)
                show(number)
    return counts
