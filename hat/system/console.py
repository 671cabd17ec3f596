"""Between verbs and people: figures as tables or JSON, sentences read, errors in one sentence."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from hat.artifacts.files import disk_error
from hat.errors import HatError, InputError
from hat.system.machines import reports

# Parts of artifacts that say how they were made, and lists too long for a cell.
UNSHOWN = frozenset({"provenance", "conditions"})
LONGEST_LIST = 12
LONGEST_CELL = 100
DEEPEST = 2


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_figures(title: str, figures: Mapping[str, Any], *, as_json: bool) -> None:
    """Print named figures: all of them as JSON, or as a table of those that fit in a cell."""
    if as_json:
        print_json(dict(figures))
    else:
        print_table(title, ("", ""), list(_rows(figures)))


def _rows(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of a nested mapping, inner ones behind dotted names; what lies deeper is for ``--json``."""
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
    """Print a table of which nothing is cut: on a terminal too narrow for its columns they become rows."""
    from rich.console import Console
    from rich.table import Table

    def made(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        table = Table(title=title, title_justify="left", show_header=any(header))
        for number, name in enumerate(header):
            table.add_column(name, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*row)
        return table

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = made(header, rows)
    if any(header) and console.measure(table, options=console.options.update(max_width=1000)).maximum > console.width:
        names, *columns = zip(header, *rows, strict=True)
        table = made(names, columns)
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class ErrorSentences(TyperGroup):
    """Ends with one sentence and an exit code where a user, a disk or a device is at fault."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except HatError as error:
            # Of several processes that train together the first speaks for all.
            for line in str(error).splitlines() if reports() else ():
                print(f"hat: {line}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read our output has gone; nothing may be written when Python closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        except OSError as error:
            # Of two files the second is the one written.
            failure = disk_error(error, Path(os.fsdecode(error.filename2 or error.filename or "a file")))
            if failure is None:
                raise
            print(f"hat: {failure}", file=sys.stderr)
            raise typer.Exit(failure.exit_code) from None


def read_sentences(file: Path | None) -> list[str]:
    """Lines of a text file, or of standard input, as line feeds part them.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
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
