"""Tables as documents: rows and the columns they are shown in, written as CSV, Markdown and JSON."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hat.artifacts import write_json, write_text
from hat.report.summary import Row, to_csv

# Titles of columns, and what a row shows there.
Columns = Mapping[str, Callable[[Row], str]]
# What a row has nothing to show for.
NONE = "-"


def cells(columns: Columns, rows: Sequence[Row]) -> list[list[str]]:
    """What is shown, row by row."""
    return [[cell(row) for cell in columns.values()] for row in rows]


def markdown(title: str, columns: Columns, rows: Sequence[Row], below: Sequence[str]) -> str:
    """A Markdown document: title, table, and lines below it."""
    lines = [f"# {title}", "", "| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    lines += ["| " + " | ".join(shown) + " |" for shown in cells(columns, rows)]
    return "\n".join([*lines, "", *below]) + "\n"


def write_document(path: Path, content: Mapping[str, Any], text: str) -> None:
    """Write ``path``.csv, of the ``rows`` of the content, .md, the text, and .json, all of the content."""
    write_text(f"{path}.csv", to_csv(content["rows"]))
    write_text(f"{path}.md", text)
    write_json(f"{path}.json", dict(content))
