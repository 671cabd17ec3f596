"""The overlap of held-out sentences with training sentences."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

ORDER = 4
# In scripts without spaces each character counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """Return the lower-case words of a sentence, without punctuation."""
    return _WORD.findall(text.casefold())


class Overlap:
    """Measures the overlap of held-out sentences with a stream of training sentences.

    The overlap of a held-out sentence h with a training sentence t is the fraction of the distinct word 4-grams of h
    that also occur in t; a sentence of fewer than four words is a single n-gram. The overlap of h is the
    largest over all training sentences: 1 means that one training sentence contains all of h. A sentence without
    words has overlap 0.

    Memory grows with the held-out sentences only.

    Args:
        held_out: the held-out sentences.
    """

    def __init__(self, held_out: Sequence[str]) -> None:
        self._index: dict[int, dict[tuple[str, ...], list[int]]] = {}
        self._sizes: list[int] = []
        self._most = [0] * len(held_out)
        postings: dict[int, dict[tuple[str, ...], list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, text in enumerate(held_out):
            sequence = words(text)
            order = min(ORDER, len(sequence))
            grams = set(_grams(sequence, order))
            self._sizes.append(len(grams))
            for gram in grams:
                postings[order][gram].append(number)
        self._index = {order: dict(found) for order, found in postings.items()}

    def add(self, text: str) -> None:
        """Take one training sentence into account."""
        sequence = words(text)
        shared: Counter[int] = Counter()
        for order, index in self._index.items():
            for gram in index.keys() & set(_grams(sequence, order)):
                shared.update(index[gram])
        for number, count in shared.items():
            if count > self._most[number]:
                self._most[number] = count

    def values(self) -> list[float]:
        """Return the overlap of each held-out sentence with the training sentences so far, 0 to 1."""
        return [most / size if size else 0.0 for most, size in zip(self._most, self._sizes, strict=True)]


def _grams(sequence: list[str], order: int) -> Iterator[tuple[str, ...]]:
    if order:
        yield from zip(*(sequence[start:] for start in range(order)), strict=False)
