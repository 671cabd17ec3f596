"""Learning byte-pair codes: those that subword-nmt learns."""

from collections import Counter
from pathlib import Path

from hat.artifacts.files import atomic
from hat.data.text.bpe import HEADER
from hat.data.text.pair_counts import PairCounts
from hat.errors import InputError
from hat.system.progress import progress


def learn(counts: Counter[str], merges: int, path: Path) -> None:
    """Learn codes and write them atomically in the format of subword-nmt, version 0.2.

    Each step merges the most frequent pair of neighbouring symbols, the largest by code points among equals; fewer
    codes come out where no pair is left that occurs twice.

    Args:
        counts: how often each word occurs in the training text of both languages.
        merges: merge operations.
        path: where the codes go.

    Raises:
        InputError: there is nothing to learn from.
    """
    if not counts:
        raise InputError(f"{path}: the training text has no words")
    pairs = PairCounts(counts)
    # The words themselves take more memory than all that follows: they go, unless the caller keeps them.
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
