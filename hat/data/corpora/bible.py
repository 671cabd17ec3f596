"""Verses of Bible versions in one SQLite file, aligned by book, chapter and verse."""

import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hat.data.text.text import clean
from hat.errors import InputError

PSALMS = 19
ACROSTIC_PSALM = 119
SONG_OF_SONGS = 22
# Verse numbers of the original, "(3:2)", and marks of omissions and sections, "***" and "(*)".
_MARKUP = re.compile(r"\(\d+:\d+\)|\(\*\)|\*")
_BRACKETS = str.maketrans("`", "'", "[]{}")
# Placeholders of editors for verses that an edition omits.
_PLACEHOLDER = re.compile(r"dummy verses inserted|empty verses content|\(MISSING\)")
# World English puts the heading of a psalm, or of a book of the Psalms, at the end of the preceding verse.
_NEXT_PSALM = re.compile(r"(?:\s*BOOK [IV]+)?\s*\bPsalm \d+\b.*$|\s*\bBOOK [IV]+$")
# It also names the speakers in the Song of Songs.
_SPEAKER = re.compile(r"(?<=[.,!?\"])\s+(?:Beloved|Lover|Friends)(?=$|\s+[A-Z])")
# Most versions name the Hebrew letters that begin the stanzas of psalm 119.
_LETTER = re.compile(r"^(?!LORD)[A-Z]{2,}\b\.?\s+(?=[A-Z])|(?:\s+[A-Z]{2,})+$")
_NUMBERED_HEADING = r"^.*\(\d+:\d+\)"
_FRENCH_HEADING = (
    _NUMBERED_HEADING + r"|^(?:(?:Au (?:chef|maître)|Psaume|[cC]antique|Hymne|Prière|Louange|Maskil|Mitcam|De David|"
    r"De Salomon|Des fils)\b[^.,]*(?:, de (?:David|Salomon))?[.,]\s*)+"
)
# Headings of psalms in their first verses, by version. In Basic English a heading cannot be distinguished from the
# verse, so the whole verse is removed.
_HEADINGS = {
    "3": re.compile(r"^.*$"),
    "e": re.compile(r"^(?:\([^()]*\)|Dem Vorsänger,.*?verborgen\?)"),
    "l": re.compile(_FRENCH_HEADING),
    "o": re.compile(_FRENCH_HEADING),
    "s": re.compile(_NUMBERED_HEADING),
}
# Psalms in which the heading counts as a verse, so that verses are misaligned.
_SHIFTED_PSALMS = {"e": (13,), "l": (13,), "o": (13, 109)}


class Verse(NamedTuple):
    """One aligned pair."""

    book: int
    chapter: int
    verse: int
    source: str
    target: str


class BibleDatabase:
    """Reads the table ``bible(bbName, bNumber, cNumber, vNumber, vText)``.

    Args:
        path: the SQLite file.

    Raises:
        InputError: the file is missing or not such a database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with closing(self._connect()) as connection:
                found = connection.execute("SELECT DISTINCT bbName, bNumber FROM bible").fetchall()
        except sqlite3.Error as error:
            raise InputError(f"{path}: not a Bible database ({error})") from None
        self.versions = sorted({version for version, _ in found})
        self.books = sorted({book for _, book in found})

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)

    def names(self) -> dict[int, str]:
        """Return the English names of the books by number; empty if the database has no names."""
        try:
            with closing(self._connect()) as connection:
                return dict(connection.execute("SELECT bNumber, bName FROM bibleRef WHERE bbName = 'k'"))
        except sqlite3.Error:
            return {}

    def verses(self, source: str, target: str, books: Collection[int]) -> Iterator[Verse]:
        """Yield the cleaned verses that both versions have, in order. An unusable text is empty.

        Args:
            source: version code of the source.
            target: version code of the target.
            books: numbers of the books to read.

        Raises:
            InputError: the database does not have a version or book.
        """
        for version in (source, target):
            if version not in self.versions:
                raise InputError(f"{self.path}: has no version {version!r}, expected one of {', '.join(self.versions)}")
        if unknown := set(books) - set(self.books):
            raise InputError(f"{self.path}: has no book {min(unknown)}, expected {self.books[0]} to {self.books[-1]}")
        query = (
            "SELECT x.bNumber, x.cNumber, x.vNumber, x.vText, y.vText FROM bible x JOIN bible y"
            " ON y.bbName = ? AND y.bNumber = x.bNumber AND y.cNumber = x.cNumber AND y.vNumber = x.vNumber"
            f" WHERE x.bbName = ? AND x.bNumber IN ({','.join('?' * len(books))}) ORDER BY 1, 2, 3"
        )
        with closing(self._connect()) as connection:
            for book, chapter, verse, left, right in connection.execute(query, (target, source, *sorted(books))):
                place = (book, chapter, verse)
                yield Verse(*place, verse_text(source, place, left), verse_text(target, place, right))


def verse_text(version: str, place: tuple[int, int, int], text: str) -> str:
    """Return the words of a verse, without verse numbers, editors' marks, brackets, headings and names of speakers.

    The words inside brackets stay, since translators bracket words that the original only implies. Headings of psalms
    are removed because each version has them in a different place or not at all. A verse that an edition omits becomes
    empty.

    Args:
        version: code of the version.
        place: book, chapter, verse.
        text: the text in the database.
    """
    book, chapter, verse = place
    if _PLACEHOLDER.search(text) or (book == PSALMS and chapter in _SHIFTED_PSALMS.get(version, ())):
        return ""
    if version == "4":
        text = _NEXT_PSALM.sub("", text)
        if book == SONG_OF_SONGS:
            text = _SPEAKER.sub("", text)
    if book == PSALMS:
        if verse == 1 and version in _HEADINGS:
            text = _HEADINGS[version].sub("", text)
        if chapter == ACROSTIC_PSALM:
            text = _LETTER.sub("", text)
    text = clean(_MARKUP.sub(" ", text).translate(_BRACKETS))
    return text if any(character.isalpha() for character in text) else ""
