"""Converting token files to binarised splits, in chunks that worker processes count and encode."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hat.config.tokenisation import Tokenisation
from hat.data.binary.indexed import IndexedWriter
from hat.data.chunks import LINES_FOR_PROCESSES, LINES_PER_CHUNK, in_chunks, map_chunks
from hat.data.limits import drop_reason
from hat.data.text.dictionary import Dictionary
from hat.data.text.special_tokens import UNKNOWN
from hat.data.text.text import read_pairs
from hat.system.progress import progress

# Longer chunks mean fewer counters to merge.
PAIRS_PER_COUNT = 10_000
TokenPair = tuple[list[str], list[str]]


class UsedTokens(NamedTuple):
    """Counts of the tokens in the pairs that are used, and of the dropped pairs by reason."""

    source: Counter[str]
    target: Counter[str]
    dropped: Counter[str]


class EncodedSide(NamedTuple):
    """One side of some pairs: concatenated token ids, the length of each sentence, the number of unknown tokens."""

    token_ids: npt.NDArray[np.integer]
    sizes: npt.NDArray[np.int32]
    unknown: int


def _tokens_within(limits: Tokenisation | None, lines: list[tuple[str, str]]) -> tuple[list[TokenPair], Counter[str]]:
    """Split pairs of lines into tokens; return the pairs within the limits, and counts of the others by reason."""
    used, dropped = [], Counter[str]()
    for source, target in lines:
        pair = source.split(), target.split()
        reason = None if limits is None else drop_reason(limits, len(pair[0]), len(pair[1]))
        if reason is None:
            used.append(pair)
        else:
            dropped[reason] += 1
    return used, dropped


class PairCounter:
    """Counts the tokens of pairs of lines, in worker processes.

    Args:
        limits: limits that pairs must be within; None uses all pairs.
    """

    def __init__(self, limits: Tokenisation | None) -> None:
        self._limits = limits

    def __call__(self, lines: list[tuple[str, str]]) -> UsedTokens:
        """Return the counts of a chunk of pairs."""
        pairs, dropped = _tokens_within(self._limits, lines)
        found = UsedTokens(Counter(), Counter(), dropped)
        for source, target in pairs:
            found.source.update(source)
            found.target.update(target)
        return found


class PairEncoder:
    """Encodes pairs of lines as token ids, in worker processes.

    Args:
        dictionaries: dictionaries of source and target.
        limits: limits that pairs must be within; None uses all pairs.
    """

    def __init__(self, dictionaries: tuple[Dictionary, Dictionary], limits: Tokenisation | None) -> None:
        self._dictionaries = dictionaries
        self._limits = limits

    def __call__(self, lines: list[tuple[str, str]]) -> list[EncodedSide]:
        """Return the two sides of the pairs that are used."""
        pairs, _ = _tokens_within(self._limits, lines)
        found = []
        for side, dictionary in enumerate(self._dictionaries):
            token_ids, sizes = dictionary.encode_all(pair[side] for pair in pairs)
            found.append(EncodedSide(token_ids, sizes, int((token_ids == UNKNOWN).sum())))
        return found


def count_used(texts: Sequence[Path], limits: Tokenisation | None, *, lines: int, processes: int) -> UsedTokens:
    """Count the tokens of the training pairs that are used. Memory grows with the number of distinct tokens.

    Args:
        texts: token files of source and target.
        limits: limits that pairs must be within; None uses all pairs.
        lines: number of pairs.
        processes: number of worker processes; small files are counted in this process.

    Raises:
        InputError: a file is missing, or the files have different numbers of lines.
    """
    total = UsedTokens(Counter(), Counter(), Counter())
    with progress("Counting tokens", lines) as show:
        chunks = in_chunks(read_pairs(*texts), PAIRS_PER_COUNT)
        work = PairCounter(limits)
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
    """Write both sides of a split. Memory is bounded except for four bytes per sentence and side.

    Args:
        texts: token files of source and target.
        prefixes: paths of the two sides, without ``.bin`` and ``.idx``.
        dictionaries: dictionaries of source and target.
        limits: limits that pairs must be within; None uses all pairs.
        title: title of the progress bar.
        lines: number of pairs.
        processes: number of worker processes; small files are encoded in this process.

    Returns:
        The number of pairs, and for each side ``tokens`` (with ``</s>``), ``unknown``, ``mean_length`` and ``longest``.
    """
    tokens, unknown, longest = [0, 0], [0, 0], [0, 0]
    pairs = done = 0
    with (
        progress(title, lines) as show,
        IndexedWriter(prefixes[0], len(dictionaries[0])) as left,
        IndexedWriter(prefixes[1], len(dictionaries[1])) as right,
    ):
        work = PairEncoder(dictionaries, limits)
        chunks = in_chunks(read_pairs(*texts))
        for sides in map_chunks(work, chunks, processes if lines >= LINES_FOR_PROCESSES else 1):
            for side, (writer, encoded) in enumerate(zip((left, right), sides, strict=True)):
                writer.add_all(encoded.token_ids, encoded.sizes)
                tokens[side] += len(encoded.token_ids)
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
