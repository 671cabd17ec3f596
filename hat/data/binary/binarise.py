"""Token files to binarised splits, in chunks that worker processes count and encode."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hat.config.tokenisation import Tokenisation
from hat.data.binary.indexed import IndexedWriter
from hat.data.chunks import LINES_FOR_PROCESSES, LINES_PER_CHUNK, in_chunks, map_chunks
from hat.data.limits import unfit
from hat.data.text.dictionary import Dictionary
from hat.data.text.special_tokens import UNKNOWN
from hat.data.text.text import read_pairs
from hat.system.progress import progress

# Merging counts takes time, which longer chunks save.
PAIRS_PER_COUNT = 10_000
TokenPair = tuple[list[str], list[str]]


class UsedTokens(NamedTuple):
    """How often each token occurs in the pairs that are used, and how many pairs are not, by reason."""

    source: Counter[str]
    target: Counter[str]
    dropped: Counter[str]


class EncodedSide(NamedTuple):
    """One side of some pairs: all numbers, one sentence after the other, the length of each, and unknown tokens."""

    numbers: npt.NDArray[np.integer]
    sizes: npt.NDArray[np.int32]
    unknown: int


class _Fitting:
    """Pairs of lines to pairs of tokens, those alone that are within the limits."""

    def __init__(self, limits: Tokenisation | None) -> None:
        self._limits = limits

    def __call__(self, lines: list[tuple[str, str]]) -> tuple[list[TokenPair], Counter[str]]:
        pairs = [(source.split(), target.split()) for source, target in lines]
        dropped: Counter[str] = Counter()
        if self._limits is None:
            return pairs, dropped
        used = []
        for pair in pairs:
            reason = unfit(self._limits, len(pair[0]), len(pair[1]))
            if reason is None:
                used.append(pair)
            else:
                dropped[reason] += 1
        return used, dropped


class CountedPairs:
    """Counts the tokens of pairs of lines; what is sent to worker processes.

    Args:
        limits: which pairs are used; all where absent.
    """

    def __init__(self, limits: Tokenisation | None) -> None:
        self._fitting = _Fitting(limits)

    def __call__(self, lines: list[tuple[str, str]]) -> UsedTokens:
        """Counts of the pairs that are used."""
        pairs, dropped = self._fitting(lines)
        found = UsedTokens(Counter(), Counter(), dropped)
        for source, target in pairs:
            found.source.update(source)
            found.target.update(target)
        return found


class EncodedPairs:
    """Makes numbers of pairs of lines; what is sent to worker processes.

    Args:
        dictionaries: of source and target.
        limits: which pairs are used; all where absent.
    """

    def __init__(self, dictionaries: tuple[Dictionary, Dictionary], limits: Tokenisation | None) -> None:
        self._dictionaries = dictionaries
        self._fitting = _Fitting(limits)

    def __call__(self, lines: list[tuple[str, str]]) -> list[EncodedSide]:
        """Both sides of the pairs that are used."""
        pairs, _ = self._fitting(lines)
        found = []
        for side, dictionary in enumerate(self._dictionaries):
            numbers, sizes = dictionary.encode_all(pair[side] for pair in pairs)
            found.append(EncodedSide(numbers, sizes, int((numbers == UNKNOWN).sum())))
        return found


def count_used(texts: Sequence[Path], limits: Tokenisation | None, *, lines: int, processes: int) -> UsedTokens:
    """Count the tokens of the training pairs that are used; memory grows with the number of different tokens.

    Args:
        texts: tokens of source and target.
        limits: which pairs are used; all where absent.
        lines: number of pairs.
        processes: worker processes; few pairs are counted without.

    Raises:
        InputError: the files are missing or of different length.
    """
    total = UsedTokens(Counter(), Counter(), Counter())
    with progress("Counting tokens", lines) as show:
        chunks = in_chunks(read_pairs(*texts), PAIRS_PER_COUNT)
        work = CountedPairs(limits)
        done = 0
        for found in map_chunks(work, chunks, processes if lines >= LINES_FOR_PROCESSES else 1):
            for counts, more in zip(total, found, strict=True):
                counts.update(more)
            done += PAIRS_PER_COUNT
            show(min(done, lines))
    return total


def write_split(
    texts: Sequence[Path],
    prefixes: Sequence[Path],
    dictionaries: tuple[Dictionary, Dictionary],
    limits: Tokenisation | None,
    *,
    title: str,
    lines: int,
    processes: int,
) -> tuple[int, list[dict[str, Any]]]:
    """Write both sides of a split, with bounded memory but for four bytes a sentence.

    Args:
        texts: tokens of source and target.
        prefixes: where both sides go, without ``.bin`` and ``.idx``.
        dictionaries: of source and target.
        limits: which pairs are used; all where absent.
        title: what is being done, for the progress bar.
        lines: number of pairs.
        processes: worker processes; few pairs are done without.

    Returns:
        Pairs, and for each side its tokens (with ``</s>``), unknown ones among them, and lengths of sentences.
    """
    tokens, unknown, longest = [0, 0], [0, 0], [0, 0]
    pairs = done = 0
    with (
        progress(title, lines) as show,
        IndexedWriter(prefixes[0], len(dictionaries[0])) as left,
        IndexedWriter(prefixes[1], len(dictionaries[1])) as right,
    ):
        work = EncodedPairs(dictionaries, limits)
        chunks = in_chunks(read_pairs(*texts))
        for sides in map_chunks(work, chunks, processes if lines >= LINES_FOR_PROCESSES else 1):
            for side, (writer, encoded) in enumerate(zip((left, right), sides, strict=True)):
                writer.add_all(encoded.numbers, encoded.sizes)
                tokens[side] += len(encoded.numbers)
                unknown[side] += encoded.unknown
                longest[side] = max(longest[side], int(encoded.sizes.max(initial=0)))
            pairs += len(sides[0].sizes)
            done += LINES_PER_CHUNK
            show(min(done, lines))
    return pairs, [
        {
            "tokens": tokens[side],
            "unknown": unknown[side],
            "mean_length": round(tokens[side] / pairs, 2) if pairs else 0.0,
            "longest": longest[side],
        }
        for side in (0, 1)
    ]
