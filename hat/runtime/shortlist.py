"""Lexical shortlist: the target tokens that the output projection is computed for, chosen by the source tokens.

The file is CTranslate2's vocabulary map, ``vmap.txt``: a line holds a source token, a tab, and target tokens separated
by spaces; the line whose source token is empty holds those that every sentence gets.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.special_tokens import OUTPUT

FILE = "vmap.txt"


class Shortlist:
    """Candidates of each source token.

    Args:
        always: target tokens that every sentence gets; the special ones are added.
        by_token: further ones, by source token.
    """

    def __init__(self, always: Sequence[int], by_token: Mapping[int, Sequence[int]]) -> None:
        self.always = np.unique(np.asarray([*OUTPUT, *always], np.int32))
        self.by_token = {token: np.asarray(found, np.int32) for token, found in by_token.items()}

    def candidates(self, source: Sequence[int]) -> npt.NDArray[np.int32]:
        """Target tokens of a sentence, ascending."""
        own = [self.by_token[token] for token in source if token in self.by_token]
        return np.unique(np.concatenate([self.always, *own]))

    def save(self, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> None:
        """Write ``vmap.txt``; tokens are given by their numbers."""
        rows = [("", self.always), *((source_tokens[token], found) for token, found in sorted(self.by_token.items()))]
        lines = (f"{source}\t{' '.join(target_tokens[number] for number in found)}\n" for source, found in rows)
        path.write_text("".join(lines), encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> Self | None:
        """Read ``vmap.txt``; None where there is no such file.

        Raises:
            InputError: the file is malformed or names an unknown token.
        """
        sources, targets = (
            {token: number for number, token in enumerate(tokens)} for tokens in (source_tokens, target_tokens)
        )
        always: list[int] = []
        by_token: dict[int, list[int]] = {}
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a shortlist ({error})") from None
        for number, line in enumerate(lines[:-1], start=1):
            source, tab, found = line.partition("\t")
            try:
                tokens = [targets[token] for token in found.split(" ")]
                if not tab:
                    raise KeyError("no tab")
                if source:
                    by_token[sources[source]] = tokens
                else:
                    always = tokens
            except KeyError as error:
                raise InputError(f"{path}, line {number}: {error.args[0]!r}, expected tokens of the model") from None
        return cls(always, by_token)
