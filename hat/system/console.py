"""Input and output of verbs: figures as tables or JSON, and sentences to translate."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hat.errors import InputError

# Keys of artifacts that record how they were made; tables leave them out.
UNSHOWN = frozenset({"provenance", "conditions"})
# Longest list and longest text that fit in a cell, and the deepest nesting that a table shows.
LONGEST_LIST = 12
LONGEST_CELL = 100
DEEPEST = 2


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_figures(title: str, figures: Mapping[str, Any], *, as_json: bool) -> None:
    """Print named figures: all of them as JSON, or those that fit in a cell as a table."""
    if as_json:
        print_json(dict(figures))
    else:
        print_table(title, ("", ""), list(_rows(figures)))


def _rows(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted names and values of a nested mapping down to ``DEEPEST``; ``--json`` has the rest."""
    for name, value in figures.items():
        if name in UNSHOWN:
            continue
        if isinstance(value, Mapping):
            if prefix.count(".") < DEEPEST:
                yield from _rows(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            if len(str(value)) <= LONGEST_CELL:
                yield prefix + name, _cell(value)
        elif len(value) <= LONGEST_LIST and not any(isinstance(entry, (dict, list)) for entry in value):
            yield prefix + name, ", ".join(map(_cell, value))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table without cutting cells: if the terminal is too narrow, columns become rows."""
    from rich.console import Console
    from rich.table import Table

    def build(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        table = Table(title=title, title_justify="left", show_header=any(header))
        for number, name in enumerate(header):
            table.add_column(name, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        return table

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = build(header, rows)
    if any(header) and console.measure(table, options=console.options.update(max_width=1000)).maximum > console.width:
        names, *columns = zip(header, *rows, strict=True)
        table = build(names, columns)
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_sentences(file: Path | None) -> list[str]:
    """Read the lines of a text file, or of standard input; only line feeds separate them.

    Raises:
        InputError: the text cannot be read or is not UTF-8.
    """
    name = str(file) if file else "standard input"
    try:
        content = file.read_bytes() if file else sys.stdin.buffer.read()
        lines = content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{name}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: not UTF-8 text") from None
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
