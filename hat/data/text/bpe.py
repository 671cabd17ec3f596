"""Byte-pair encoding in the format of subword-nmt: splitting words into pieces, and joining the pieces again."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from hat.data.text.text import read_lines
from hat.errors import InputError

HEADER = "#version: 0.2"
_OLD_HEADER = "#version: 0.1"
END_OF_WORD = "</w>"
SEPARATOR = "@@"
# Replaces the separator inside a word, whose pieces could not be joined otherwise.
_ESCAPED_SEPARATOR = "&#64;&#64;"
CACHE_WORDS = 1 << 18
# Maximum characters of a cached word. Longer words hardly recur, and would fill the memory of a server that translates
# arbitrary text.
LONGEST_CACHED = 64


class _Ranks(dict[tuple[str, str], int]):
    """The rank of each merge; a pair that is not a merge comes last."""

    NONE = 1 << 62

    def __missing__(self, pair: tuple[str, str]) -> int:
        return self.NONE


class BytePairs:
    """Splits words into pieces. Each piece of a word except the last ends with ``@@``.

    Args:
        path: codes in the current format of subword-nmt, or in its first format (with or without a header), in which
            the end of a word is a separate symbol.

    Raises:
        InputError: the file is missing or malformed.
    """

    def __init__(self, path: Path) -> None:
        self._ranks = _Ranks()
        # The pieces of each word, joined by spaces.
        self._cache: dict[str, str] = {}
        self._separate_end = False
        for number, line in enumerate(read_lines(path), start=1):
            if number == 1:
                if line.startswith("#version:"):
                    if line.strip() not in (HEADER, _OLD_HEADER):
                        raise InputError(f"{path}: starts with {line[:40]!r}, expected {HEADER!r}")
                    self._separate_end = line.strip() == _OLD_HEADER
                    continue
                self._separate_end = True
            pair = tuple(line.strip("\r\n ").split(" "))
            if len(pair) != 2:
                raise InputError(f"{path}, line {number}: {line!r} is not a merge of two symbols")
            self._ranks.setdefault((pair[0], pair[1]), number)
        if not self._ranks:
            raise InputError(f"{path}: holds no merge operations")
        self._pairs = {rank: pair for pair, rank in self._ranks.items()}

    def split(self, words: Sequence[str]) -> list[str]:
        """Return the pieces of all words. Words must not contain white space."""
        return self.line(words).split()

    def line(self, words: Sequence[str]) -> str:
        """Return the pieces of all words, joined by spaces."""
        found = [*map(self._cache.get, words)]
        return " ".join(
            [self._split_and_cache(word) if known is None else known for word, known in zip(words, found, strict=True)]
        )

    def _split_and_cache(self, word: str) -> str:
        pieces = " ".join(self._split_word(word))
        if len(word) <= LONGEST_CACHED:
            if len(self._cache) >= CACHE_WORDS:
                self._cache.clear()
            self._cache[word] = pieces
        return pieces

    def _split_word(self, word: str) -> list[str]:
        symbols = [*escaped(word)]
        if not symbols:
            return []
        if self._separate_end:
            symbols.append(END_OF_WORD)
        else:
            symbols[-1] += END_OF_WORD
        rank = self._ranks.__getitem__
        while len(symbols) > 1:
            best = min(map(rank, pairwise(symbols)))
            if best == _Ranks.NONE:
                break
            symbols = _merged(symbols, *self._pairs[best])
        symbols[-1] = symbols[-1].removesuffix(END_OF_WORD)
        if not symbols[-1]:
            symbols.pop()
        return [*(symbol + SEPARATOR for symbol in symbols[:-1]), symbols[-1]]


def join(pieces: Iterable[str]) -> list[str]:
    """Return the words that pieces make; the inverse of ``BytePairs.split``."""
    words = []
    word = ""
    for piece in pieces:
        if piece.endswith(SEPARATOR):
            word += piece.removesuffix(SEPARATOR)
        else:
            words.append(word + piece)
            word = ""
    if word:
        words.append(word)
    return [word.replace(_ESCAPED_SEPARATOR, SEPARATOR) for word in words]


def escaped(word: str) -> str:
    """Return the word with the separator escaped, as codes are learnt and applied."""
    return word.replace(SEPARATOR, _ESCAPED_SEPARATOR)


def _merged(symbols: list[str], first: str, second: str) -> list[str]:
    """Merge each occurrence of a pair of symbols, from left to right."""
    position, last = symbols.index(first), len(symbols) - 1
    result = symbols[:position]
    while position < last:
        symbol = symbols[position]
        if symbol == first and symbols[position + 1] == second:
            symbol += second
            position += 1
        result.append(symbol)
        position += 1
    return result + symbols[position:]
