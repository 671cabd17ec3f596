"""Dictionaries of tokens and their ids, in the order and file format of fairseq."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import atomic
from hat.data.text.special_tokens import BEGIN, END, PAD, SPECIALS, UNKNOWN
from hat.data.text.text import read_lines
from hat.errors import InputError

# Published dictionaries are padded to a multiple of 8, for efficient matrix products.
MULTIPLE = 8


class Dictionary:
    """The tokens in the order of their ids: the four special tokens, then the given ones.

    Args:
        counts: tokens with their counts, in order, without special tokens.

    Raises:
        InputError: a token is a special token or occurs twice.
    """

    def __init__(self, counts: Iterable[tuple[str, int]]) -> None:
        self.tokens: list[str] = list(SPECIALS)
        self.counts: list[int] = [0] * len(SPECIALS)
        for token, count in counts:
            self.tokens.append(token)
            self.counts.append(count)
        self._ids = {token: token_id for token_id, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            twice = next(token for token, times in Counter(self.tokens).items() if times > 1)
            raise InputError(f"the dictionary names {twice!r} twice")

    @classmethod
    def build(cls, counts: Counter[str], size: int | None = None) -> "Dictionary":
        """Return the dictionary of counted tokens, ordered by falling count, then by code points.

        It is padded to a multiple of eight with the tokens ``madeupword0000``, ``madeupword0001``, ...

        Args:
            counts: how often each token occurs.
            size: maximum number of tokens before padding, special tokens included. Default: all tokens.
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
        """Read a dictionary from lines of ``token count``.

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
        """Write all tokens except the special ones, atomically."""
        with atomic(path) as stream:
            first = len(SPECIALS)
            for token, count in zip(self.tokens[first:], self.counts[first:], strict=True):
                stream.write(f"{token} {count}\n")

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dictionary) and self.tokens == other.tokens and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    def token_id(self, token: str) -> int:
        """Return the id of a token, or the id of ``<unk>`` if the token is unknown."""
        return self._ids.get(token, UNKNOWN)

    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the ids of tokens followed by ``</s>``, [len(tokens) + 1]."""
        ids = self._ids
        return np.array([*(ids.get(token, UNKNOWN) for token in tokens), END], dtype=np.int32)

    def encode_all(self, lines: Iterable[Sequence[str]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the concatenated ids of all lines, each as from ``encode`` [tokens], and their lengths [lines]."""
        ids = self._ids
        found: list[int] = []
        sizes: list[int] = []
        for line in lines:
            found += [ids.get(token, UNKNOWN) for token in line]
            found.append(END)
            sizes.append(len(line) + 1)
        return np.array(found, dtype=np.int32), np.array(sizes, dtype=np.int32)

    def decode(self, token_ids: Iterable[int]) -> list[str]:
        """Return the tokens of ids up to the first ``</s>``, without ``<s>`` and ``<pad>``."""
        tokens = []
        for token_id in token_ids:
            if token_id == END:
                break
            if token_id not in (BEGIN, PAD):
                tokens.append(self.tokens[token_id])
        return tokens
