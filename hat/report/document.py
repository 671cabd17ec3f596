"""Tables as documents: rows with their columns, written as CSV, Markdown and JSON."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hat.artifacts.files import write_json, write_text
from hat.report.rows import Row
from hat.system.durations import duration

# Column titles, each with the cell that it shows of a row.
Columns = Mapping[str, Callable[[Row], str]]
# Shown if a row has no value.
NONE = "-"
# Keys that rows have only if there are data: few devices have a power meter.
OPTIONAL = ("energy_j",)


@dataclass(frozen=True)
class Number:
    """A cell with a number, by which rows can be sorted.

    Args:
        key: key of the number in a row; None or missing if the row has none.
        write: formats the cell of a row that has the number.
    """

    key: str
    write: Callable[[Row], str]

    def __call__(self, row: Row) -> str:
        """Return the formatted number, or a dash."""
        return NONE if row.get(self.key) is None else self.write(row)


def shown(name: str, digits: int) -> Number:
    """Show a number with this many decimals, or a dash."""
    return Number(name, lambda row: f"{row[name]:.{digits}f}")


def time(name: str, seconds: float = 1) -> Number:
    """Show a duration in units of this many seconds, or a dash."""
    return Number(name, lambda row: duration(seconds * row[name]))


def signed(name: str, digits: int) -> Number:
    """Show a difference with its sign, unless it rounds to zero, or a dash."""

    def write(row: Row) -> str:
        # Adding 0 takes the sign from a negative zero.
        rounded = round(row[name], digits) + 0.0
        return f"{rounded:+.{digits}f}" if rounded else f"{rounded:.{digits}f}"

    return Number(name, write)


def text(name: str) -> Callable[[Row], str]:
    """Show a text, or a dash."""
    return lambda row: NONE if row.get(name) is None else str(row[name])


def interval(name: str, unit: str, digits: int) -> Number:
    """Show a value, with its 95 % interval if that is known, or a dash."""

    def write(row: Row) -> str:
        value, low, high = row[f"{name}{unit}"], row.get(f"{name}_low{unit}"), row.get(f"{name}_high{unit}")
        ends = "" if low is None or high is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
        return f"{value:.{digits}f}{ends}"

    return Number(f"{name}{unit}", write)


def cells(columns: Columns, rows: Sequence[Row]) -> list[list[str]]:
    """Return the formatted cells, row by row."""
    return [[cell(row) for cell in columns.values()] for row in rows]


def with_data(columns: Columns, rows: Sequence[Row]) -> Columns:
    """Return the columns without those that are empty in every row."""
    return {title: cell for title, cell in columns.items() if any(cell(row) != NONE for row in rows)}


def without_empty(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without those keys of ``OPTIONAL`` that have no value in any row."""
    empty = {key for key in OPTIONAL if all(row.get(key) is None for row in rows)}
    return [{key: value for key, value in row.items() if key not in empty} for row in rows]


def markdown(title: str, columns: Columns, rows: Sequence[Row], below: Sequence[str]) -> str:
    """Return a Markdown document: title, table, and lines below it."""
    columns = with_data(columns, rows)
    lines = [f"# {title}", "", "| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    lines += ["| " + " | ".join(shown) + " |" for shown in cells(columns, rows)]
    return "\n".join([*lines, "", *below]) + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV text; the keys of the first row name the columns."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def write_document(path: Path, content: Mapping[str, Any], text: str) -> None:
    """Write the ``rows`` of the content as ``path``.csv, the text as .md, and the whole content as .json."""
    write_text(f"{path}.csv", to_csv(content["rows"]))
    write_text(f"{path}.md", text)
    write_json(f"{path}.json", dict(content))
