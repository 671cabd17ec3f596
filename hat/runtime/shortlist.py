"""Lexical shortlist: the target tokens that the output projection is computed for, chosen by the source tokens.

The file is CTranslate2's vocabulary map, ``vmap.txt``: a line holds a source token, a tab, and target tokens separated
by spaces; the line whose source token is empty holds those that every sentence gets.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import OUTPUT, PAD
from hat.errors import InputError

FILE = "vmap.txt"
# What separates tokens and lines there; CTranslate2 also takes a carriage return from the end of a line.
SEPARATORS = " \t\n\r"


class Shortlist:
    """Candidates of each source token.

    Args:
        always: target tokens that every sentence gets; the special ones are added.
        by_token: further ones, by source token.

    Padding, which no translation holds, is left out of both.
    """

    def __init__(self, always: Sequence[int], by_token: Mapping[int, Sequence[int]]) -> None:
        self.always = np.unique(_without_padding([*OUTPUT, *always]))
        self.by_token = {token: _without_padding(found) for token, found in by_token.items()}

    def candidates(self, source: Sequence[int]) -> npt.NDArray[np.int32]:
        """Target tokens of a sentence, ascending."""
        own = [self.by_token[token] for token in source if token in self.by_token]
        return np.unique(np.concatenate([self.always, *own]))

    def save(self, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> None:
        """Write ``vmap.txt``; tokens are given by their numbers.

        Raises:
            InputError: a token holds a character that separates tokens there, or is empty.
        """
        for token in (*source_tokens, *target_tokens):
            if not token or any(separator in token for separator in SEPARATORS):
                raise InputError(f"{path}: cannot hold the token {token!r}, expected none of {SEPARATORS!r} in it")
        own = ((source_tokens[token], found) for token, found in sorted(self.by_token.items()) if len(found))
        rows = [("", self.always), *own]
        lines = (f"{source}\t{' '.join(target_tokens[number] for number in found)}\n" for source, found in rows)
        path.write_text("".join(lines), encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> Self | None:
        """Read ``vmap.txt``; None where there is no such file.

        Raises:
            InputError: the file is malformed, or names padding or an unknown token.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path}: not a shortlist ({error})") from None
        return cls.parse(content, path, source_tokens, target_tokens)

    @classmethod
    def parse(cls, content: bytes, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> Self:
        """What :meth:`load` does, of a file's content.

        Raises:
            InputError: the content is malformed, or names padding or an unknown token.
        """
        sources, targets = (
            {token: number for number, token in enumerate(tokens)} for tokens in (source_tokens, target_tokens)
        )
        # CTranslate2 relies on the special tokens having the same places among any sentence's candidates.
        del targets[target_tokens[PAD]]
        always: list[int] | None = None
        by_token: dict[int, list[int]] = {}
        try:
            lines = content.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not a shortlist ({error})") from None
        for number, line in enumerate(lines[:-1], start=1):
            source, tab, found = line.partition("\t")
            try:
                tokens = list(map(targets.__getitem__, found.split(" ")))
                if not tab:
                    raise KeyError("no tab")
                if source:
                    by_token[sources[source]] = tokens
                else:
                    always = tokens
            except KeyError as error:
                raise InputError(f"{path}, line {number}: {error.args[0]!r}, expected tokens of the model") from None
        if always is None or lines[-1]:
            raise InputError(f"{path}: cut short, expected whole lines and one that begins with a tab")
        return cls(always, by_token)


def _without_padding(tokens: Sequence[int]) -> npt.NDArray[np.int32]:
    found = np.asarray(tokens, np.int32)
    return cast(npt.NDArray[np.int32], found[found != PAD])
