"""Text to tokens and back: Moses words, then byte pairs."""

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

# Merging counts takes time, which longer chunks save.
LINES_PER_COUNT = 20_000


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

    def text(self, words: str) -> str:
        """The detokenised line that Moses words, parted by spaces, make."""
        return self._moses.join(words.split())


class MosesLines:
    """Makes tokenised lines of raw lines; what is sent to worker processes."""

    def __init__(self, language: str, tokenisation: Tokenisation, *, training: bool = False) -> None:
        self._settings = (language, tokenisation)
        self._training = training
        self._moses: Moses | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """The words of each line, joined by spaces."""
        moses = self._moses = self._moses or Moses(*self._settings, training=self._training)
        return [" ".join(moses.split(line)) for line in lines]


class PieceLines:
    """Makes lines of byte pairs of tokenised lines; what is sent to worker processes."""

    def __init__(self, codes: Path) -> None:
        self._codes = codes
        self._pairs: BytePairs | None = None

    def __call__(self, lines: list[str]) -> list[str]:
        """The pieces of each line, joined by spaces."""
        pairs = self._pairs = self._pairs or BytePairs(self._codes)
        return [pairs.line(line.split()) for line in lines]


class CountedWords:
    """Counts the words of lines, whole or as pieces; what is sent to worker processes.

    Args:
        joined: the lines hold byte pairs, which are put together first.
    """

    def __init__(self, *, joined: bool) -> None:
        self._joined = joined

    def __call__(self, lines: list[str]) -> Counter[str]:
        """How often each word occurs."""
        counts: Counter[str] = Counter()
        for line in lines:
            counts.update(join(line.split()) if self._joined else line.split())
        return counts


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
        for made in map_chunks(work, in_chunks(read_lines(source)), processes if lines >= LINES_FOR_PROCESSES else 1):
            stream.write("".join(line + "\n" for line in made))
            done += len(made)
            show(done)


def count_words(texts: Iterable[Path], *, joined: bool, processes: int) -> Counter[str]:
    """How often each word of some files occurs; memory grows with the number of different words.

    Args:
        texts: files of words, or of byte pairs.
        joined: they hold byte pairs, which are put together first.
        processes: worker processes; a single chunk is counted without.
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
