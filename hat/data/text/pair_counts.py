"""Counts of neighbouring symbols in flat arrays, for merging the most frequent pair repeatedly.

A Python object for each word and each of its pairs would take a kilobyte per word. Here each character of the distinct
words takes four bytes, and each place of a counted pair four more. Pairs rarer than a threshold are neither counted nor
located until the threshold falls. This does not change the result, since only the most frequent pair is merged.
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
# Marks the characters inside a symbol. The first character holds the symbol's id, the last the complement of the id.
INSIDE = np.int32(-(1 << 31))
# The key of a pair has the id of its first symbol above these bits, and the id of its second below.
BITS = 32
Integers = npt.NDArray[Any]
# Sort key of a pair that puts the largest pair first among equally frequent ones.
Order = tuple[tuple[int, ...], tuple[int, ...]]


class _Scanned(NamedTuple):
    """The pairs in a stretch of the text: their keys, counts of their words, places of their first characters."""

    keys: Integers
    weights: Integers
    places: Integers


class PairCounts:
    """The distinct words of a text as sequences of symbols, and the counts of frequent pairs of neighbours.

    Words must not contain ``</w>``; Moses words cannot.

    Args:
        counts: count of each word.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._weights = np.fromiter(counts.values(), dtype=np.int64, count=len(counts))
        lengths, code_points = _characters(counts)
        kind = np.int32 if len(code_points) < 1 << 31 else np.int64
        # Index of the first character of each word.
        self._starts = np.zeros(len(counts), dtype=kind)
        np.cumsum(lengths[:-1], out=self._starts[1:])
        last = self._starts + lengths - 1
        # A character at the end of a word is a different symbol from the same character elsewhere.
        code_points <<= 1
        code_points[last] |= 1
        kinds = _assign_ids(code_points)
        self._symbols = code_points
        self._names = [chr(kind >> 1) + END_OF_WORD * (kind & 1) for kind in kinds.tolist()]
        self._ids = {name: symbol for symbol, name in enumerate(self._names)}
        # Number of characters of each symbol, and whether it ends a word.
        self._lengths = np.ones(len(kinds), dtype=kind)
        self._ends = (kinds & 1).astype(bool)
        self._threshold = 0
        # Counts and places of the pairs that reach the threshold. Places may be outdated.
        self._counts: dict[int, int] = {}
        self._places: dict[int, Integers] = {}
        self._queue: list[tuple[int, Order, int]] = []

    def merge(self) -> tuple[str, str] | None:
        """Merge the most frequent pair everywhere, and return it; return None if no pair occurs twice.

        Ties go to the largest pair by code points.
        """
        while True:
            while self._queue:
                negative, _, key = heapq.heappop(self._queue)
                # Entries are never updated; skip those with an outdated count.
                if self._counts.get(key) == -negative:
                    left, right = _split_key(key)
                    self._replace(left, right)
                    return self._names[left], self._names[right]
            if self._threshold == FEWEST_OCCURRENCES or not self._lower_threshold():
                return None

    def _lower_threshold(self) -> bool:
        """Count all pairs again and locate the frequent ones; return whether any pair occurs twice."""
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

    def _count_all(self) -> tuple[Integers, Integers, Integers]:
        """Return the keys of all pairs, their counts in the text, and how often each occurs in the distinct words."""
        keys = counts = times = np.zeros(0, dtype=np.int64)
        for found in self._scan():
            more, inverse, often = np.unique(found.keys, return_inverse=True, return_counts=True)
            weights = _sums(inverse, found.weights, len(more))
            keys, inverse = np.unique(np.concatenate([keys, more]), return_inverse=True)
            counts = _sums(inverse, np.concatenate([counts, weights]), len(keys))
            times = _sums(inverse, np.concatenate([times, often]), len(keys))
        return keys, counts, times

    def _scan(self, symbol: int | None = None) -> Iterator[_Scanned]:
        """Yield all pairs of the text, or all pairs with one symbol, in stretches."""
        symbols = self._symbols
        for begin in range(0, len(symbols), CHARACTERS_PER_SCAN):
            stretch = symbols[begin : begin + CHARACTERS_PER_SCAN]
            places: Integers
            if symbol is None:
                places = begin + np.flatnonzero(stretch >= 0)
            else:
                # As the first symbol of a pair, and as the second.
                found: Integers = begin + np.flatnonzero(stretch == symbol)
                before = _symbols_ending(symbols[found - 1])
                first = found - self._lengths[before]
                places = np.unique(np.concatenate([found, first[~self._ends[before]]]))
            left = symbols[places]
            inside = ~self._ends[left]
            left, places = left[inside], places[inside]
            right = symbols[places + self._lengths[left]]
            yield _Scanned(_pair_keys(left, right), self._weights_at(places), places.astype(self._starts.dtype))

    def _weights_at(self, places: Integers) -> Integers:
        words: Integers = np.searchsorted(self._starts, places, side="right") - 1
        return self._weights[words]

    def _order(self, key: int) -> Order:
        # Negated code points reverse the order; the final 1 puts a symbol before its own prefixes.
        left, right = _split_key(key)
        first, second = ((*(-ord(character) for character in self._names[symbol]), 1) for symbol in (left, right))
        return first, second

    def _merged_symbol(self, left: int, right: int) -> tuple[int, bool]:
        """Return the id of the symbol that two symbols make, and whether another pair has made it before."""
        name = self._names[left] + self._names[right]
        known = self._ids.get(name)
        if known is not None:
            return known, True
        merged = self._ids[name] = len(self._names)
        self._names.append(name)
        if merged == len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
            self._ends = np.concatenate([self._ends, np.zeros_like(self._ends)])
        self._lengths[merged] = self._lengths[left] + self._lengths[right]
        self._ends[merged] = self._ends[right]
        return merged, False

    def _occurrences(self, left: int, right: int) -> Integers:
        """Return the places to merge a pair at; overlapping occurrences are merged from the left."""
        symbols = self._symbols
        places: Integers = np.sort(self._places.pop(_pair_key(left, right)))
        # Drop outdated places, where one of the symbols has become part of a longer one.
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
        merged, known = self._merged_symbol(left, right)
        weights = self._weights_at(places)
        seconds = places + self._lengths[left]
        afters = seconds + self._lengths[right]
        # At the beginning of the text this wraps to the last symbol, which ends a word as if it stood before this one.
        old_before = _symbols_ending(symbols[places - 1])
        ended = bool(self._ends[right])
        old_after = symbols[afters] if not ended else old_before[:0]
        symbols[seconds] = INSIDE
        symbols[seconds - 1] = INSIDE
        symbols[afters - 1] = ~merged
        symbols[places] = merged
        before = _symbols_ending(symbols[places - 1])
        has_before = ~self._ends[old_before]
        same = has_before & (before == old_before)
        removed = [_pair_keys(old_before[same], np.int64(left))]
        removed_weights = [weights[same]]
        # `before` is the merged symbol where the preceding pair was merged too.
        added = [_pair_keys(before[has_before], np.int64(merged))]
        added_weights, added_places = [weights[has_before]], [(places - self._lengths[before])[has_before]]
        if not ended:
            after = symbols[afters]
            removed.append(_pair_keys(np.full_like(old_after, right), old_after))
            removed_weights.append(weights)
            same = after == old_after
            added.append(_pair_keys(np.full_like(after[same], merged), after[same]))
            added_weights.append(weights[same])
            added_places.append(places[same])
        self._counts.pop(_pair_key(left, right))
        self._remove(np.concatenate(removed), np.concatenate(removed_weights))
        if not known:
            self._add(np.concatenate(added), np.concatenate(added_weights), np.concatenate(added_places))
            return
        # Pairs with this symbol may have been below the threshold, so they must be searched for.
        found = [*self._scan(merged)]
        self._add(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _remove(self, keys: Integers, weights: Integers) -> None:
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

    def _add(self, keys: Integers, weights: Integers, places: Integers) -> None:
        """Add pairs, given all of their occurrences."""
        keys, inverse = np.unique(keys, return_inverse=True)
        counts = _sums(inverse, weights, len(keys))
        order = np.argsort(inverse, kind="stable")
        ends = np.cumsum(np.bincount(inverse, minlength=len(keys)))
        for index in np.flatnonzero(counts >= self._threshold).tolist():
            key, count = int(keys[index]), int(counts[index])
            begin = int(ends[index - 1]) if index else 0
            self._places[key] = places[order[begin : ends[index]]]
            if self._counts.get(key) != count:
                self._counts[key] = count
                heapq.heappush(self._queue, (-count, self._order(key), key))


def _characters(counts: Counter[str]) -> tuple[Integers, npt.NDArray[np.int32]]:
    """Return the length of each word, and the concatenated code points of all words."""
    lengths, found = [], []
    words = map(escaped, counts)
    while step := list(islice(words, WORDS_PER_STEP)):
        lengths.append(np.fromiter(map(len, step), dtype=np.int64, count=len(step)))
        found.append(np.frombuffer("".join(step).encode("utf-32-le", "surrogatepass"), dtype="<i4"))
    return np.concatenate(lengths), np.concatenate(found)


def _assign_ids(values: npt.NDArray[np.int32]) -> Integers:
    """Return the distinct values in order, and replace each value by its index among them, in place."""
    stretches = [values[begin : begin + CHARACTERS_PER_SCAN] for begin in range(0, len(values), CHARACTERS_PER_SCAN)]
    seen = np.zeros(int(values.max()) + 1, dtype=bool)
    for stretch in stretches:
        seen[stretch] = True
    ids = np.cumsum(seen, dtype=np.int32) - 1
    for stretch in stretches:
        stretch[:] = ids[stretch]
    return np.flatnonzero(seen)


def _symbols_ending(characters: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the ids of the symbols that end with these characters."""
    return np.where(characters < 0, ~characters, characters)


def _pair_keys(left: Integers, right: Integers | np.int64) -> Integers:
    return left.astype(np.int64) << BITS | right


def _pair_key(left: int, right: int) -> int:
    return left << BITS | right


def _split_key(key: int) -> tuple[int, int]:
    return key >> BITS, key & ((1 << BITS) - 1)


def _sums(groups: Integers, values: Integers, count: int) -> Integers:
    """Return the sum of the values of each group; exact below 2 ** 53."""
    return np.bincount(groups, weights=values, minlength=count).astype(np.int64)
