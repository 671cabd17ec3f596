"""A user's own corpus: two files with aligned lines, or one file of tab-separated pairs."""

from collections.abc import Iterator
from pathlib import Path

from hat.config.corpora import ParallelText
from hat.data.corpora.splits import Pair
from hat.data.sources.download import fetch
from hat.data.text.text import clean, read_lines, read_pairs
from hat.errors import InputError


class ParallelReader:
    """Reads the pairs of one text as a stream, any number of times.

    Args:
        text: sources of the text.
        downloads: folder of downloaded files.
    """

    def __init__(self, text: ParallelText, downloads: Path) -> None:
        self._tsv = fetch(text.tsv, downloads) if text.tsv is not None else None
        self._sides = [fetch(side, downloads) for side in (text.source, text.target) if side is not None]

    @property
    def name(self) -> str:
        """Name of the text in messages."""
        return " and ".join(str(path) for path in ([self._tsv] if self._tsv is not None else self._sides))

    def __iter__(self) -> Iterator[Pair]:
        """Yield the cleaned pairs in order.

        Raises:
            InputError: a file is missing, not UTF-8, or not aligned; the message names file and line.
        """
        pairs = _columns(self._tsv) if self._tsv is not None else read_pairs(*self._sides)
        for source, target in pairs:
            yield Pair(clean(source), clean(target))


def _columns(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        source, tab, target = line.partition("\t")
        if not tab:
            raise InputError(f"{path}, line {number}: has no tab, expected source and target with a tab between them")
        if "\t" in target:
            columns = line.count("\t") + 1
            raise InputError(f"{path}, line {number}: has {columns} columns, expected source and target only")
        yield source, target


def held_out_lines(total: int, wanted: int, splits: list[str]) -> dict[int, str]:
    """Choose the lines to hold out, evenly spread over the text; return the split of each, by line number from 0.

    Args:
        total: number of lines of the training text.
        wanted: number of lines per split; at most a tenth of the text is taken for each.
        splits: names of the splits.
    """
    size = min(wanted, total // 10)
    chosen = {}
    for position, split in enumerate(splits):
        for number in range(size):
            # Each of ``size`` equal stretches gives one line per split; all lines of all splits are equally far apart.
            step = (2 * number * len(splits) + 2 * position + 1) * total
            chosen[step // (2 * size * len(splits))] = split
    return chosen
