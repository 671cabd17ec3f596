"""Numbers of tokens, in the order and file format of fairseq."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import atomic
from hat.data.text.special_tokens import BEGIN, END, PAD, SPECIALS, UNKNOWN
from hat.data.text.text import read_lines
from hat.errors import InputError

# Published dictionaries are filled up to a multiple of 8, which suits the hardware.
MULTIPLE = 8


class Dictionary:
    """Tokens and their numbers: the four special ones first, then by falling count and rising code points.

    Args:
        counts: tokens with counts, in order, without the special ones.

    Raises:
        InputError: a token is special or occurs twice.
    """

    def __init__(self, counts: Iterable[tuple[str, int]]) -> None:
        self.tokens: list[str] = list(SPECIALS)
        self.counts: list[int] = [0] * len(SPECIALS)
        for token, count in counts:
            self.tokens.append(token)
            self.counts.append(count)
        self._numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self._numbers) != len(self.tokens):
            twice = next(token for token, times in Counter(self.tokens).items() if times > 1)
            raise InputError(f"the dictionary names {twice!r} twice")

    @classmethod
    def build(cls, counts: Counter[str], size: int | None = None) -> "Dictionary":
        """Dictionary of counted tokens, filled up to a multiple of eight with ``madeupword0000`` and so on.

        Args:
            counts: how often each token occurs.
            size: largest number of tokens before it is filled up, special ones included; all are kept where absent.
        """
        known = [(token, count) for token, count in counts.items() if token not in SPECIALS]
        known.sort(key=lambda item: (-item[1], item[0]))
        if size is not None:
            del known[size - len(SPECIALS) :]
        filler = 0
        while (len(known) + len(SPECIALS)) % MULTIPLE:
            name = f"madeupword{filler:04d}"
            if name not in counts:
                known.append((name, 0))
            filler += 1
        return cls(known)

    @classmethod
    def load(cls, path: Path) -> "Dictionary":
        """Read ``token count`` lines.

        Raises:
            InputError: the file is missing or malformed.
        """
        known = []
        for number, line in enumerate(read_lines(path), start=1):
            token, space, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
            if not space or not token or not count.isascii() or not count.isdigit():
                raise InputError(f"{path}, line {number}: {line[:60]!r} is not a token and its count")
            known.append((token, int(count)))
        try:
            return cls(known)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def save(self, path: Path) -> None:
        """Write all but the special tokens, atomically."""
        with atomic(path) as stream:
            first = len(SPECIALS)
            for token, count in zip(self.tokens[first:], self.counts[first:], strict=True):
                stream.write(f"{token} {count}\n")

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dictionary) and self.tokens == other.tokens and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    def number(self, token: str) -> int:
        """Number of a token; that of ``<unk>`` where it is unknown."""
        return self._numbers.get(token, UNKNOWN)

    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int32]:
        """Numbers of tokens, with ``</s>`` at the end. [len(tokens) + 1]."""
        numbers = self._numbers
        return np.array([*(numbers.get(token, UNKNOWN) for token in tokens), END], dtype=np.int32)

    def encode_all(self, lines: Iterable[Sequence[str]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What ``encode`` makes of each line, one after the other, and how long each is. [tokens], [lines]."""
        numbers = self._numbers
        found: list[int] = []
        sizes: list[int] = []
        for line in lines:
            found += [numbers.get(token, UNKNOWN) for token in line]
            found.append(END)
            sizes.append(len(line) + 1)
        return np.array(found, dtype=np.int32), np.array(sizes, dtype=np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Tokens of numbers up to the first ``</s>``, without ``<s>`` and ``<pad>``."""
        tokens = []
        for number in numbers:
            if number == END:
                break
            if number not in (BEGIN, PAD):
                tokens.append(self.tokens[number])
        return tokens
