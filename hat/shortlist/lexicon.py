"""The lexicon: which target tokens translate a source token, and how often, counted from word alignments."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import atomic
from hat.data.text.special_tokens import SPECIALS
from hat.errors import InputError

# Translations kept per source token. The configuration cannot ask for more.
KEPT = 200
_COLUMNS = ("sources", "targets", "counts")


class Lexicon:
    """Links of source tokens to target tokens, as three columns of equal length.

    Rows are ordered by source token, then by falling count, then by target token. Links of special tokens are dropped.

    Args:
        sources: ids of source tokens, [rows].
        targets: ids of the target tokens linked to them, [rows].
        counts: number of times of each link, [rows].
    """

    def __init__(self, sources: npt.ArrayLike, targets: npt.ArrayLike, counts: npt.ArrayLike) -> None:
        columns = [np.asarray(column, np.int64) for column in (sources, targets, counts)]
        columns = [column[np.minimum(*columns[:2]) >= len(SPECIALS)] for column in columns]
        order = np.lexsort((columns[1], -columns[2], columns[0]))
        self.sources, self.targets, self.counts = (column[order] for column in columns)

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """Return the lexicon with the summed counts of several lexicons."""
        rows = [np.stack([part.sources, part.targets, part.counts]) for part in parts]
        sources, targets, counts = np.concatenate(rows, axis=1) if rows else np.empty((3, 0), np.int64)
        size = int(targets.max(initial=0)) + 1
        keys, place = np.unique(sources * size + targets, return_inverse=True)
        total = np.zeros(len(keys), np.int64)
        np.add.at(total, place, counts)
        return cls(keys // size, keys % size, total)

    def best(self, count: int) -> Self:
        """Return the lexicon with the ``count`` most frequent translations of each source token."""
        keep = self._ranks() < count
        return type(self)(self.sources[keep], self.targets[keep], self.counts[keep])

    def translations(self) -> dict[int, npt.NDArray[np.int64]]:
        """Return the ids of the target tokens of each source token, most frequent first."""
        tokens, begins = np.unique(self.sources, return_index=True)
        return dict(zip(tokens.tolist(), np.split(self.targets, begins[1:]), strict=True)) if len(tokens) else {}

    def _ranks(self) -> npt.NDArray[np.int64]:
        """Return the rank of each row among the rows of its source token, from 0."""
        _, begins, sizes = np.unique(self.sources, return_index=True, return_counts=True)
        return np.arange(len(self.sources)) - np.repeat(begins, sizes)

    def save(self, path: Path) -> None:
        """Write the columns atomically."""
        with atomic(path, "wb") as stream:
            np.savez_compressed(stream, sources=self.sources, targets=self.targets, counts=self.counts)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing or malformed.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(*(stored[name] for name in _COLUMNS))
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not a lexicon ({error})") from None
