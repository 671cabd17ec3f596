"""Learning byte-pair codes, the same as subword-nmt learns."""

from collections import Counter
from pathlib import Path

from hat.artifacts.files import atomic
from hat.data.text.bpe import HEADER
from hat.data.text.pair_counts import PairCounts
from hat.errors import InputError
from hat.system.progress import progress


def learn(counts: Counter[str], merges: int, path: Path) -> None:
    """Learn codes and write them atomically in the format of subword-nmt, version 0.2.

    Each step merges the most frequent pair of neighbouring symbols; ties go to the largest pair by code points.
    Learning stops early when no pair occurs twice.

    Args:
        counts: how often each word occurs in the training text of both languages.
        merges: number of merge operations.
        path: file to write.

    Raises:
        InputError: the text has no words, or no pair of characters occurs twice.
    """
    if not counts:
        raise InputError(f"{path}: the training text has no words")
    pairs = PairCounts(counts)
    # Free the words, unless the caller keeps them: they take more memory than everything that follows.
    del counts
    with atomic(path) as stream, progress("Learning byte pairs", merges) as show:
        stream.write(HEADER + "\n")
        for number in range(1, merges + 1):
            pair = pairs.merge()
            if pair is None:
                if number == 1:
                    raise InputError(f"{path}: the training text has no pair of characters that occurs twice")
                break
            stream.write(f"{pair[0]} {pair[1]}\n")
            show(number)
        show(merges)
