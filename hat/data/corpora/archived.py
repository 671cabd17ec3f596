"""Corpora published as archives: lines, tab-separated columns, SGML, TED talks."""

import gzip
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from hat.artifacts.files import atomic
from hat.config.corpora import ArchiveCorpus, ArchiveMember, ArchiveText
from hat.config.sources import Source
from hat.data.corpora.splits import Pair
from hat.data.sources.archives import unpack
from hat.data.sources.configured import official_set, official_sources
from hat.data.sources.download import fetch
from hat.errors import HatError, InputError

# Text that the published preparation removes with grep and sed; like it, we keep other text in angle brackets.
_TED_METADATA = ("<url>", "<talkid>", "<keywords>")
_TED_TAGS = re.compile("</?(?:title|description)>")
_SEGMENT = re.compile(r'<seg id="[0-9]*">\s*')
_SEGMENT_END = re.compile(r"\s*</seg>\s*")


class ArchiveReader:
    """Reads the text of a corpus as a stream. Each archive is unpacked while it is read.

    ``damaged`` is the number of lines in which invalid UTF-8 was replaced.

    Args:
        corpus: archives and members of the text.
        languages: source and target language.
        downloads: folder of downloaded files.
        folder: temporary folder to unpack archives into; its previous content is removed.
    """

    def __init__(self, corpus: ArchiveCorpus, languages: tuple[str, str], downloads: Path, folder: Path) -> None:
        self._languages = languages
        self._sources: dict[str, Source] = {**corpus.archives, **official_sources(corpus, languages)}
        self._downloads, self._folder = downloads, folder
        self.damaged = 0

    def pairs(self, texts: Iterable[ArchiveText]) -> Iterator[Pair]:
        """Yield the pairs of all texts in order, each with the name of its archive or test set.

        Raises:
            HatError: an archive is damaged, or the disk is full.
            InputError: a member is missing, or the two sides of a text are not aligned.
        """
        for text in texts:
            name = text.archive or str(text.test_set)
            file = fetch(self._sources[name], self._downloads)
            shutil.rmtree(self._folder, ignore_errors=True)
            try:
                for source, target in self._aligned(text, file):
                    yield Pair(source, target, name)
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)

    def extract(self, member: ArchiveMember, path: Path) -> None:
        """Write one member of an archive to ``path``, atomically."""
        unpacked = unpack(fetch(self._sources[member.archive], self._downloads), [member.member], self._folder)
        with open(unpacked[0], "rb") as stream, atomic(path, "wb") as out:
            shutil.copyfileobj(stream, out)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _aligned(self, text: ArchiveText, file: Path) -> Iterator[tuple[str, str]]:
        if text.form == "columns":
            path = unpack(file, [text.source], self._folder)[0] if text.source else file
            return _columns(self._lines(path), text.columns)
        form, members = text.form, [text.source or "", text.target or ""]
        if text.test_set is not None:
            form, members = "sgml", list(official_set(text.test_set, self._languages)[1:])
        left, right = (self._sentences(path, form) for path in unpack(file, members, self._folder))
        return _zipped(left, right, f"{file}, {members[0]} and {members[1]}")

    def _sentences(self, path: Path, form: str) -> Iterator[str]:
        lines = self._lines(path)
        if form == "sgml":
            return (_SEGMENT_END.sub("", _SEGMENT.sub("", line)) for line in lines if "<seg id" in line)
        if form == "ted":
            return (_TED_TAGS.sub("", line) for line in lines if not any(tag in line for tag in _TED_METADATA))
        return lines

    def _lines(self, path: Path) -> Iterator[str]:
        """Yield the lines of a text file, gzipped or not, split at line feeds only; invalid UTF-8 is replaced."""
        try:
            with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as stream:
                for number, line in enumerate(stream):
                    line = line.rstrip(b"\r\n")
                    try:
                        yield line.decode("utf-8" if number else "utf-8-sig")
                    except UnicodeDecodeError:
                        self.damaged += 1
                        yield line.decode("utf-8", errors="replace")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise HatError(f"{path}: damaged gzip file ({error}); delete it to download it again") from None


def _columns(lines: Iterator[str], columns: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Yield two columns of each line as cut(1) does: a missing column is empty, a line without tabs is both columns."""
    for line in lines:
        cells = line.split("\t")
        if len(cells) == 1:
            yield line, line
        else:
            source, target = (cells[column - 1] if column <= len(cells) else "" for column in columns)
            yield source, target


def _zipped(left: Iterator[str], right: Iterator[str], what: str) -> Iterator[tuple[str, str]]:
    number = 0
    for number, source in enumerate(left, start=1):
        target = next(right, None)
        if target is None:
            raise InputError(f"{what}: the second ends after {number - 1} sentences, but the first continues")
        yield source, target
    if next(right, None) is not None:
        raise InputError(f"{what}: the first ends after {number} sentences, but the second continues")
