import sqlite3

import pytest

from hat.config.corpora import BibleCorpus
from hat.config.sources import FileSource
from hat.config.task import Task
from hat.data.corpora.bible import BibleDatabase, verse_text
from hat.data.corpora.corpus import extract_corpus
from hat.errors import InputError


@pytest.mark.parametrize(
    ("version", "place", "text", "expected"),
    [
        ("4", (1, 1, 2), "God`s Spirit was  [hovering] over", "God's Spirit was hovering over"),
        ("4", (19, 2, 12), "Blessed are all. Psalm 3 A Psalm by David, when he fled.", "Blessed are all."),
        ("4", (18, 42, 17), "So Job died, being old. BOOK I Psalm 1", "So Job died, being old."),
        ("4", (19, 119, 8), "Don`t forsake me. BEIT", "Don't forsake me."),
        ("4", (19, 119, 160), "endures forever. SIN AND SHIN", "endures forever."),
        ("4", (22, 1, 1), "which is Solomon`s. Beloved", "which is Solomon's."),
        (
            "4",
            (22, 5, 1),
            "my milk. Friends Eat, friends! Drink, beloved. Beloved",
            "my milk. Eat, friends! Drink, beloved.",
        ),
        ("4", (22, 1, 5), "my Beloved is mine", "my Beloved is mine"),
        ("4", (44, 8, 37), "dummy verses inserted by amos", ""),
        ("4", (44, 24, 7), "empty verses content detected by amos", ""),
        ("k", (19, 119, 9), "BETH. Wherewithal shall", "Wherewithal shall"),
        ("k", (19, 119, 12), "LORD Blessed art thou", "LORD Blessed art thou"),
        ("3", (40, 17, 21), "[]", ""),
        ("3", (9, 13, 1), "***", ""),
        ("3", (7, 5, 7), "no more in Israel, *** were no more", "no more in Israel, were no more"),
        ("3", (19, 3, 1), "A Psalm. Of David. Lord, how greatly", ""),
        ("3", (19, 3, 2), "Unnumbered are those. (Selah.)", "Unnumbered are those. (Selah.)"),
        ("e", (19, 3, 1), "(Ein Psalm von David.) Jehova! wie viele", "Jehova! wie viele"),
        ("e", (19, 13, 2), "Bis wann, Jehova?", ""),
        ("e", (19, 119, 8), "verlaß mich nicht ganz und gar! *", "verlaß mich nicht ganz und gar!"),
        ("e", (44, 15, 34), "(MISSING) [KJV: Notwithstanding]", ""),
        ("e", (40, 23, 14), "(*)", ""),
        ("l", (19, 3, 1), "(3:1) Psaume de David. (3:2) O Éternel", "O Éternel"),
        ("l", (19, 23, 1), "Cantique de David. L'Éternel est mon berger", "L'Éternel est mon berger"),
        ("l", (19, 124, 1), "Cantique des degrés. De David. Sans l'Éternel", "Sans l'Éternel"),
        ("l", (19, 87, 1), "Des fils de Koré. Psaume. Cantique. Elle est", "Elle est"),
        ("l", (19, 149, 1), "Louez l'Éternel! Chantez", "Louez l'Éternel! Chantez"),
        ("l", (1, 32, 1), "(32:2) Jacob poursuivit son chemin", "Jacob poursuivit son chemin"),
    ],
)
def test_verse_text(version, place, text, expected):
    assert verse_text(version, place, text) == expected


def sentence(version, book, verse):
    # Every verse is its own; verse 3 of book 2 repeats verse 1 of book 1 in both languages.
    if (book, verse) == (2, 3):
        book, verse = 1, 1
    return " ".join(f"{version}word{book}x{verse}n{number}" for number in range(8))


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "bible.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bible (bbName TEXT, bNumber INT, cNumber INT, vNumber INT, vText TEXT)")
        rows = [
            (version, book, 1, verse, sentence(version, book, verse))
            for version in ("k", "4", "e")
            for book in (1, 2, 3)
            for verse in range(1, 16)
        ]
        connection.executemany("INSERT INTO bible VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("UPDATE bible SET vText = '[]' WHERE bbName = 'k' AND bNumber = 1 AND vNumber = 5")
    corpus = BibleCorpus(
        database=FileSource(path=str(path)),
        train=(("k", "e"), ("4", "e")),
        held_out=("4", "e"),
        validation_books=(2,),
        test_books=(3,),
    )
    return Task(source_language="en", target_language="de", corpus=corpus)


def test_held_out_books_are_in_no_training_version(task, tmp_path):
    counts = extract_corpus(task, tmp_path, tmp_path / "data")
    training = (tmp_path / "data/raw/train.en").read_text().splitlines()
    assert len(training) == counts["pairs"]["train"] == 29
    assert all("x" in line and "word1x" in line for line in training)
    assert counts["dropped"] == {
        "train": {"empty": 1},
        "validation": {"empty": 0, "near_duplicate": 1},
        "test": {"empty": 0, "near_duplicate": 0},
    }
    assert counts["parts"]["train"]["k-e"] == {"pairs": 14, "empty": 1}
    assert counts["held_out"]["validation"] == [{"book": 2, "name": ""}]
    assert counts["overlap"]["validation"]["source"]["before"]["max"] == 1.0
    assert counts["overlap"]["validation"]["source"]["after"]["max"] == 0.0
    assert sentence("4", 1, 1) not in (tmp_path / "data/raw/validation.en").read_text()
    assert counts["words"]["test"] == {"en": 15 * 8, "de": 15 * 8}
    assert counts["provenance"]["configuration"]


def test_extraction_is_deterministic(task, tmp_path):
    for name in ("one", "two"):
        extract_corpus(task, tmp_path, tmp_path / name)
    for path in (tmp_path / "one/raw").iterdir():
        assert path.read_bytes() == (tmp_path / "two/raw" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": (("x", "e"),)}, "bible.db: has no version 'x', expected one of 4, e, k"),
        ({"test_books": (67,)}, "bible.db: has no book 67, expected 1 to 3"),
    ],
)
def test_what_the_database_has_not(task, tmp_path, changes, message):
    wrong = task.model_copy(update={"corpus": task.corpus.model_copy(update=changes)})
    with pytest.raises(InputError, match=message):
        extract_corpus(wrong, tmp_path, tmp_path / "data")


def test_file_that_is_no_database(tmp_path):
    path = tmp_path / "text"
    path.write_text("no database, but long enough to be looked at by the library that reads databases" * 10)
    with pytest.raises(InputError, match="text: not a Bible database"):
        BibleDatabase(path)


@pytest.mark.parametrize("pair", ["ke", "3e", "4e", "4l"])
def test_real_verses_have_no_markup(bible, pair):
    for verse in bible.verses(pair[0], pair[1], range(1, 67)):
        for text in (verse.source, verse.target):
            assert not set(text) & set("[]{}*`<>_|"), verse
            assert "dummy" not in text, verse
            assert "Psalm 1" not in text, verse
