"""Byte-pair encoding in the format of subword-nmt: splitting words with codes, and putting them together again."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from hat.data.text.text import read_lines
from hat.errors import InputError

HEADER = "#version: 0.2"
_OLD_HEADER = "#version: 0.1"
END_OF_WORD = "</w>"
SEPARATOR = "@@"
# A word that itself contains the separator could not be put together again.
_ESCAPED_SEPARATOR = "&#64;&#64;"
CACHE_WORDS = 1 << 18
# Longer ones hardly come again, and would fill the memory of whoever translates anybody's text.
LONGEST_CACHED = 64


class _Ranks(dict[tuple[str, str], int]):
    """The order of merges: what is no merge comes after all."""

    NONE = 1 << 62

    def __missing__(self, pair: tuple[str, str]) -> int:
        return self.NONE


class BytePairs:
    """Splits words into pieces; every piece but the last of a word ends with ``@@``.

    Args:
        path: codes as subword-nmt writes them; also in its first format, in which the end of a word is a symbol of its
            own, with or without a header.

    Raises:
        InputError: the file is missing or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._ranks = _Ranks()
        # Of each word its pieces, joined by spaces, of which they hold none.
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
                raise InputError(f"{path}, line {number}: {line!r} is no merge of two symbols")
            self._ranks.setdefault((pair[0], pair[1]), number)
        if not self._ranks:
            raise InputError(f"{path}: holds no merge operations")
        self._pairs = {rank: pair for pair, rank in self._ranks.items()}

    def split(self, words: Sequence[str]) -> list[str]:
        """Pieces of all words, which must hold no white space."""
        return self.line(words).split()

    def line(self, words: Sequence[str]) -> str:
        """Pieces of all words, joined by spaces."""
        found = [*map(self._cache.get, words)]
        return " ".join(
            [self._remember(word) if known is None else known for word, known in zip(words, found, strict=True)]
        )

    def _remember(self, word: str) -> str:
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
    """Words of pieces; the inverse of ``BytePairs.split``."""
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
    """The word as codes are learnt on and applied to it."""
    return word.replace(SEPARATOR, _ESCAPED_SEPARATOR)


def _merged(symbols: list[str], first: str, second: str) -> list[str]:
    """Symbols with every occurrence of a pair, from the left, as one symbol."""
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
