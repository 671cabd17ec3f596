"""Learning byte-pair codes: the codes that subword-nmt learns, found with a queue instead of repeated searches."""

import heapq
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

from hat.artifacts import atomic
from hat.data.bpe import END_OF_WORD, HEADER, escaped, merged
from hat.errors import InputError
from hat.progress import progress

FEWEST_OCCURRENCES = 2
Pair = tuple[str, str]
# A pair in an order that puts the largest one first among equally frequent ones.
Order = tuple[tuple[int, ...], tuple[int, ...]]


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
    learner = _Learner(counts)
    with atomic(path) as stream, progress("Learning byte pairs", merges) as show:
        stream.write(HEADER + "\n")
        for number in range(1, merges + 1):
            pair = learner.merge()
            if pair is None:
                if number == 1:
                    raise InputError(f"{path}: the training text has no pair of characters that occurs twice")
                break
            stream.write(f"{pair[0]} {pair[1]}\n")
            show(number)
        show(merges)


class _Learner:
    """Words as symbols, and how often each pair of neighbours occurs."""

    def __init__(self, counts: Counter[str]) -> None:
        self._words: list[list[str]] = []
        self._weights: list[int] = []
        self._pairs: Counter[Pair] = Counter()
        self._where: dict[Pair, set[int]] = defaultdict(set)
        for word, weight in counts.items():
            symbols = [*escaped(word)]
            symbols[-1] += END_OF_WORD
            self._words.append(symbols)
            self._weights.append(weight)
        for number, symbols in enumerate(self._words):
            for pair in pairwise(symbols):
                self._pairs[pair] += self._weights[number]
                self._where[pair].add(number)
        self._queue = [(-count, _order(pair), pair) for pair, count in self._pairs.items()]
        heapq.heapify(self._queue)

    def merge(self) -> Pair | None:
        """Merge the best pair everywhere, and name it; None where no pair occurs twice."""
        while self._queue:
            negative, _, pair = heapq.heappop(self._queue)
            # Entries are never changed: an entry whose count is no longer true is skipped.
            if self._pairs.get(pair) == -negative:
                if -negative < FEWEST_OCCURRENCES:
                    return None
                self._replace(pair)
                return pair
        return None

    def _replace(self, pair: Pair) -> None:
        changes: Counter[Pair] = Counter()
        for number in self._where.pop(pair):
            old = self._words[number]
            new = merged(old, pair)
            weight = self._weights[number]
            for before in pairwise(old):
                changes[before] -= weight
            for after in pairwise(new):
                changes[after] += weight
                self._where[after].add(number)
            self._words[number] = new
        for changed, difference in changes.items():
            if difference and changed != pair:
                count = self._pairs[changed] = self._pairs[changed] + difference
                heapq.heappush(self._queue, (-count, _order(changed), changed))
        del self._pairs[pair]


def _order(pair: Pair) -> Order:
    # Negated code points sort the other way round; the 1 puts a longer symbol before its own beginning.
    first, second = ((*(-ord(character) for character in symbol), 1) for symbol in pair)
    return first, second
