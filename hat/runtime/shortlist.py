"""Lexical shortlist: the target tokens that a sentence may use, chosen by its source tokens.

The output projection is computed for these tokens only. The file is CTranslate2's vocabulary map, ``vmap.txt``: each
line holds a source token, a tab, and target tokens separated by spaces. The line with an empty source token holds the
target tokens that every sentence gets.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import OUTPUT, PAD
from hat.errors import InputError

FILE = "vmap.txt"
# Characters that separate tokens and lines there; CTranslate2 also strips a carriage return from the end of a line.
SEPARATORS = " \t\n\r"


class Shortlist:
    """Target token ids that a translation may use, by source token id.

    Padding is left out, since no translation contains it.

    Args:
        always: target tokens that every sentence gets; the special tokens are added.
        by_token: further target tokens by source token.
    """

    def __init__(self, always: Sequence[int], by_token: Mapping[int, Sequence[int]]) -> None:
        self.always = np.unique(_without_padding([*OUTPUT, *always]))
        self.by_token = {token: _without_padding(found) for token, found in by_token.items()}

    def candidates(self, source: Sequence[int]) -> npt.NDArray[np.int32]:
        """Return the target tokens of a sentence, ascending."""
        further = [self.by_token[token] for token in source if token in self.by_token]
        return np.unique(np.concatenate([self.always, *further]))

    def save(self, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> None:
        """Write ``vmap.txt``.

        Args:
            path: the file.
            source_tokens: text of the source tokens by id.
            target_tokens: text of the target tokens by id.

        Raises:
            InputError: a token is empty or contains a character that separates tokens there.
        """
        for token in (*source_tokens, *target_tokens):
            if not token or any(separator in token for separator in SEPARATORS):
                raise InputError(f"{path}: cannot hold the token {token!r}, expected text without {SEPARATORS!r}")
        further = ((source_tokens[token], found) for token, found in sorted(self.by_token.items()) if len(found))
        rows = [("", self.always), *further]
        lines = (f"{source}\t{' '.join(target_tokens[token] for token in found)}\n" for source, found in rows)
        path.write_text("".join(lines), encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, path: Path, source_tokens: Sequence[str], target_tokens: Sequence[str]) -> Self | None:
        """Read ``vmap.txt``; return None if the file does not exist.

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
        """Parse the content of ``vmap.txt``; ``path`` is named in errors.

        Raises:
            InputError: the content is malformed, or names padding or an unknown token.
        """
        sources, targets = (
            {token: token_id for token_id, token in enumerate(tokens)} for tokens in (source_tokens, target_tokens)
        )
        # CTranslate2 relies on the special tokens having the same positions among the candidates of every sentence.
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
