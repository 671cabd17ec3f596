"""Counted words as symbols in flat arrays, of which the most frequent pair of neighbours is merged again and again.

A Python object for every word and every pair of it would take a kilobyte a word. Here a character of all different
words takes four bytes, and where it stands four more: the pairs that are rarer than a threshold are neither counted
nor looked up until the threshold falls. That changes nothing of the result, since a pair is merged only when no other
is more frequent.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hat.data.text.bpe import END_OF_WORD, escaped

FEWEST_OCCURRENCES = 2
CHARACTERS_PER_SCAN = 1 << 20
WORDS_PER_STEP = 1 << 16
# Between a symbol's first character, which holds its number, and its last, which holds the number's complement.
INSIDE = np.int32(-(1 << 31))
# A pair is the number of its first symbol above these bits, and that of its second below.
BITS = 32
Numbers = npt.NDArray[Any]
# A pair in an order that puts the largest one first among equally frequent ones.
Order = tuple[tuple[int, ...], tuple[int, ...]]


class _Scanned(NamedTuple):
    """Pairs of neighbours in a stretch of the text: keys, how often the word occurs, first character of the pair."""

    keys: Numbers
    weights: Numbers
    places: Numbers


class PairCounts:
    """The words of a text as symbols, and how often each frequent pair of neighbours occurs.

    Words must not contain ``</w>`` themselves; Moses words cannot.

    Args:
        counts: how often each word occurs.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._weights = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
        lengths, code_points = _characters(counts)
        kind = np.int32 if len(code_points) < 1 << 31 else np.int64
        # Where each word begins.
        self._starts = np.zeros(len(counts), dtype=kind)
        np.cumsum(lengths[:-1], out=self._starts[1:])
        last = self._starts + lengths - 1
        # The last character of a word is another symbol than the same one inside.
        code_points <<= 1
        code_points[last] |= 1
        kinds = _number_in_place(code_points)
        self._symbols = code_points
        self._names = [chr(kind >> 1) + END_OF_WORD * (kind & 1) for kind in kinds.tolist()]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        # Of each symbol: its characters, and whether it ends its word.
        self._lengths = np.ones(len(kinds), dtype=kind)
        self._ends = (kinds & 1).astype(bool)
        self._threshold = 0
        # Of the pairs that occur as often as the threshold: how often, and where (also where they no longer are).
        self._counts: dict[int, int] = {}
        self._places: dict[int, Numbers] = {}
        self._queue: list[tuple[int, Order, int]] = []

    def merge(self) -> tuple[str, str] | None:
        """Merge the most frequent pair everywhere, and name it; None where no pair occurs twice.

        Among equally frequent ones it is the largest by code points.
        """
        while True:
            while self._queue:
                negative, _, key = heapq.heappop(self._queue)
                # Entries are never changed: an entry whose count is no longer true is skipped.
                if self._counts.get(key) == -negative:
                    left, right = _parted(key)
                    self._replace(left, right)
                    return self._names[left], self._names[right]
            if self._threshold == FEWEST_OCCURRENCES or not self._lower_threshold():
                return None

    def _lower_threshold(self) -> bool:
        """Count all pairs anew and note the places of the frequent ones; whether any pair occurs twice."""
        keys, counts, times = self._count_all()
        if not len(keys) or (most := int(counts.max())) < FEWEST_OCCURRENCES:
            return False
        self._threshold = max(FEWEST_OCCURRENCES, most // 10)
        frequent = counts >= self._threshold
        keys, counts, times = keys[frequent], counts[frequent], times[frequent]
        ends = np.cumsum(times)
        free = ends - times
        places = np.empty(int(ends[-1]), dtype=self._starts.dtype)
        for found in self._scan():
            slots = np.searchsorted(keys, found.keys)
            slots[slots == len(keys)] = 0
            known = keys[slots] == found.keys
            slots, chosen = slots[known], found.places[known]
            order = np.argsort(slots, kind="stable")
            slots, chosen = slots[order], chosen[order]
            used, first, often = np.unique(slots, return_index=True, return_counts=True)
            places[free[slots] + np.arange(len(slots)) - np.repeat(first, often)] = chosen
            free[used] += often
        self._counts = dict(zip(keys.tolist(), counts.tolist(), strict=True))
        stretches = zip((ends - times).tolist(), ends.tolist(), strict=True)
        self._places = {key: places[begin:end] for key, (begin, end) in zip(keys.tolist(), stretches, strict=True)}
        self._queue = [(-count, self._order(key), key) for key, count in self._counts.items()]
        heapq.heapify(self._queue)
        return True

    def _count_all(self) -> tuple[Numbers, Numbers, Numbers]:
        """All pairs, how often each occurs in the text, and at how many places of the different words."""
        keys = counts = times = np.zeros(0, dtype=np.int64)
        for found in self._scan():
            more, inverse, often = np.unique(found.keys, return_inverse=True, return_counts=True)
            weights = _sums(inverse, found.weights, len(more))
            keys, inverse = np.unique(np.concatenate([keys, more]), return_inverse=True)
            counts = _sums(inverse, np.concatenate([counts, weights]), len(keys))
            times = _sums(inverse, np.concatenate([times, often]), len(keys))
        return keys, counts, times

    def _scan(self, symbol: int | None = None) -> Iterator[_Scanned]:
        """All pairs of the text, or those with one symbol, in stretches."""
        symbols = self._symbols
        for begin in range(0, len(symbols), CHARACTERS_PER_SCAN):
            stretch = symbols[begin : begin + CHARACTERS_PER_SCAN]
            places: Numbers
            if symbol is None:
                places = begin + np.flatnonzero(stretch >= 0)
            else:
                # As the first symbol of a pair, and as the second.
                found: Numbers = begin + np.flatnonzero(stretch == symbol)
                before = _number(symbols[found - 1])
                first = found - self._lengths[before]
                places = np.unique(np.concatenate([found, first[~self._ends[before]]]))
            left = symbols[places]
            inside = ~self._ends[left]
            left, places = left[inside], places[inside]
            right = symbols[places + self._lengths[left]]
            yield _Scanned(_joined(left, right), self._weights_at(places), places.astype(self._starts.dtype))

    def _weights_at(self, places: Numbers) -> Numbers:
        words: Numbers = np.searchsorted(self._starts, places, side="right") - 1
        return self._weights[words]

    def _order(self, key: int) -> Order:
        # Negated code points sort the other way round; the 1 puts a longer symbol before its own beginning.
        left, right = _parted(key)
        first, second = ((*(-ord(character) for character in self._names[number]), 1) for number in (left, right))
        return first, second

    def _symbol(self, left: int, right: int) -> tuple[int, bool]:
        """Number of the symbol that two make, and whether it was there before, as another two's."""
        name = self._names[left] + self._names[right]
        number = self._numbers.get(name)
        if number is not None:
            return number, True
        number = self._numbers[name] = len(self._names)
        self._names.append(name)
        if number == len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
            self._ends = np.concatenate([self._ends, np.zeros_like(self._ends)])
        self._lengths[number] = self._lengths[left] + self._lengths[right]
        self._ends[number] = self._ends[right]
        return number, False

    def _occurrences(self, left: int, right: int) -> Numbers:
        """Where a pair is merged: from the left where it overlaps with itself."""
        symbols = self._symbols
        places: Numbers = np.sort(self._places.pop(_joined_one(left, right)))
        # What was the beginning of a symbol is in a longer one since then, or the beginning of the same.
        places = places[symbols[places] == left]
        places = places[symbols[places + self._lengths[left]] == right]
        if left == right and len(places):
            breaks = np.flatnonzero(np.diff(places) != self._lengths[left]) + 1
            firsts = np.concatenate([[0], breaks])
            number_in_run = np.arange(len(places)) - np.repeat(firsts, np.diff(np.append(firsts, len(places))))
            places = places[number_in_run % 2 == 0]
        return places

    def _replace(self, left: int, right: int) -> None:
        symbols = self._symbols
        places = self._occurrences(left, right)
        merged, was_there = self._symbol(left, right)
        weights = self._weights_at(places)
        seconds = places + self._lengths[left]
        afters = seconds + self._lengths[right]
        # At the text's very beginning this is its last symbol, which ends its word like every one before a word.
        old_before = _number(symbols[places - 1])
        ended = bool(self._ends[right])
        old_after = symbols[afters] if not ended else old_before[:0]
        symbols[seconds] = INSIDE
        symbols[seconds - 1] = INSIDE
        symbols[afters - 1] = ~merged
        symbols[places] = merged
        before = _number(symbols[places - 1])
        has_before = ~self._ends[old_before]
        same = has_before & (before == old_before)
        removed = [_joined(old_before[same], np.int64(left))]
        removed_weights = [weights[same]]
        # With the pair before where that was merged too.
        added = [_joined(before[has_before], np.int64(merged))]
        added_weights, added_places = [weights[has_before]], [(places - self._lengths[before])[has_before]]
        if not ended:
            after = symbols[afters]
            removed.append(_joined(np.full_like(old_after, right), old_after))
            removed_weights.append(weights)
            same = after == old_after
            added.append(_joined(np.full_like(after[same], merged), after[same]))
            added_weights.append(weights[same])
            added_places.append(places[same])
        self._counts.pop(_joined_one(left, right))
        self._remove(np.concatenate(removed), np.concatenate(removed_weights))
        if not was_there:
            self._add(np.concatenate(added), np.concatenate(added_weights), np.concatenate(added_places))
            return
        # Pairs with this symbol may have been below the threshold, and are not known then.
        found = [*self._scan(merged)]
        self._add(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _remove(self, keys: Numbers, weights: Numbers) -> None:
        keys, inverse = np.unique(keys, return_inverse=True)
        for key, lost in zip(keys.tolist(), _sums(inverse, weights, len(keys)).tolist(), strict=True):
            count = self._counts.get(key)
            if count is None:
                continue
            if count - lost < self._threshold:
                del self._counts[key], self._places[key]
            else:
                self._counts[key] = count - lost
                heapq.heappush(self._queue, (lost - count, self._order(key), key))

    def _add(self, keys: Numbers, weights: Numbers, places: Numbers) -> None:
        """Note pairs with a symbol, of which all occurrences are given."""
        keys, inverse = np.unique(keys, return_inverse=True)
        counts = _sums(inverse, weights, len(keys))
        order = np.argsort(inverse, kind="stable")
        ends = np.cumsum(np.bincount(inverse, minlength=len(keys)))
        for number in np.flatnonzero(counts >= self._threshold).tolist():
            key, count = int(keys[number]), int(counts[number])
            begin = int(ends[number - 1]) if number else 0
            self._places[key] = places[order[begin : ends[number]]]
            if self._counts.get(key) != count:
                self._counts[key] = count
                heapq.heappush(self._queue, (-count, self._order(key), key))


def _characters(counts: Counter[str]) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """How long each word is, and the code points of all words one after the other."""
    lengths, found = [], []
    words = map(escaped, counts)
    while step := list(islice(words, WORDS_PER_STEP)):
        lengths.append(np.fromiter(map(len, step), dtype=np.int64, count=len(step)))
        found.append(np.frombuffer("".join(step).encode("utf-32-le", "surrogatepass"), dtype="<i4"))
    return np.concatenate(lengths), np.concatenate(found)


def _number_in_place(values: npt.NDArray[np.int32]) -> Numbers:
    """The different values, in order; every value becomes its number among them."""
    stretches = [values[begin : begin + CHARACTERS_PER_SCAN] for begin in range(0, len(values), CHARACTERS_PER_SCAN)]
    seen = np.zeros(int(values.max()) + 1, dtype=bool)
    for stretch in stretches:
        seen[stretch] = True
    numbers = np.cumsum(seen, dtype=np.int32) - 1
    for stretch in stretches:
        stretch[:] = numbers[stretch]
    return np.flatnonzero(seen)


def _number(symbols: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Numbers of the symbols that have these last characters."""
    return np.where(symbols < 0, ~symbols, symbols)


def _joined(left: Numbers, right: Numbers | np.int64) -> Numbers:
    return left.astype(np.int64) << BITS | right


def _joined_one(left: int, right: int) -> int:
    return left << BITS | right


def _parted(key: int) -> tuple[int, int]:
    return key >> BITS, key & ((1 << BITS) - 1)


def _sums(groups: Numbers, values: Numbers, count: int) -> Numbers:
    """Sum of each group; exact, as long as it is below 2 ** 53."""
    return np.bincount(groups, weights=values, minlength=count).astype(np.int64)
