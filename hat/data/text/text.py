"""Cleaning lines of text, and reading and writing them as streams."""

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from hat.artifacts.files import atomic
from hat.artifacts.missing import missing_file
from hat.errors import InputError

# Controls, surrogates, and invisible characters that split words: soft hyphen, zero-width space, word joiner, BOM.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff\ud800-\udfff\ufffe\uffff]")
# The no-break space stays: French punctuation and digit groups are written with it.
_SPACES = re.compile("[^\\S\xa0]+")


def clean(text: str) -> str:
    """Return ``text`` on one line, without invisible characters, with single spaces between words."""
    # Most lines are clean already, and this check is ten times as fast.
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _SPACES.sub(" ", _INVISIBLE.sub("", text)).strip()


def count_words(text: str) -> int:
    """Return the number of words, as separated by spaces."""
    return len(text.split())


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, gzipped if its name ends in ``.gz``; lines end at line feeds only.

    Raises:
        InputError: the file is missing, not UTF-8, or damaged gzip; the message names the line.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
    except FileNotFoundError:
        raise missing_file(path) from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a text file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start + 1})") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file after line {number} ({error})") from None


def read_pairs(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yield the pairs of lines of two aligned files.

    Raises:
        InputError: as in ``read_lines``, or one file has more lines.
    """
    number = 0
    left, right = read_lines(source), read_lines(target)
    for number, line in enumerate(left, start=1):
        other = next(right, None)
        if other is None:
            raise InputError(f"{target}: ends after line {number - 1}, but {source} continues; they must be aligned")
        yield line, other
    if next(right, None) is not None:
        raise InputError(f"{source}: ends after line {number}, but {target} continues; they must be aligned")


@contextlib.contextmanager
def two_writers(source: Path, target: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    """Open two text files that appear when the block ends without an error."""
    with atomic(source) as left, atomic(target) as right:
        yield left, right
