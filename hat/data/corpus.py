"""Raw aligned text of a task: training, validation and test sentences, and what was counted on the way."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hat.artifacts import only_one, provenance, write_json
from hat.config import Task
from hat.config_text import BibleCorpus, ParallelCorpus
from hat.data.bible import BibleDatabase
from hat.data.download import fetch
from hat.data.parallel import ParallelReader, held_out_lines
from hat.data.splits import FEWEST_PAIRS, HeldOut, Pair, Splits, raw_path
from hat.errors import InputError

SPLITS = ("train", "validation", "test")


def extract_corpus(task: Task, downloads: Path, data: Path) -> dict[str, Any]:
    """Write ``raw/{train,validation,test}.{language}`` and ``counts.json``.

    Args:
        task: the task.
        downloads: folder of downloaded files, shared by all tasks.
        data: the task's data folder.

    Returns:
        The content of counts.json.

    Raises:
        HatError: a download failed or the disk is full.
        InputError: the text is not as the task says.
    """
    languages = (task.source_language, task.target_language)
    if languages[0] == languages[1]:
        raise InputError(f"source_language and target_language are both {languages[0]!r}, expected two languages")
    with only_one(data, "Extracting text"):
        splits = Splits(data, languages)
        if isinstance(task.corpus, BibleCorpus):
            details = _bible(task.corpus, downloads, splits)
        else:
            details = _parallel(task.corpus, downloads, splits)
        counts = splits.counts() | details
        for split in SPLITS:
            if splits.pairs[split] < FEWEST_PAIRS:
                text = raw_path(data, split, languages[0])
                raise InputError(
                    f"{text}: {splits.pairs[split]} usable pairs are left, expected {FEWEST_PAIRS} or more"
                )
        counts["provenance"] = provenance(seed=None, settings=task.corpus.model_dump(mode="json"))
        write_json(data / "counts.json", counts)
        return counts


def _bible(corpus: BibleCorpus, downloads: Path, splits: Splits) -> dict[str, Any]:
    database = BibleDatabase(fetch(corpus.database, downloads))
    names = database.names()
    books = {"validation": corpus.validation_books, "test": corpus.test_books}
    held_out_books = {*corpus.validation_books, *corpus.test_books}
    held_out: dict[str, list[Pair]] = {}
    empty: dict[str, int] = {}
    for split, chosen in books.items():
        verses = list(database.verses(*corpus.held_out, chosen))
        held_out[split] = [
            Pair(verse.source, verse.target, names.get(verse.book, str(verse.book)))
            for verse in verses
            if verse.source and verse.target
        ]
        empty[split] = len(verses) - len(held_out[split])

    def training() -> Iterator[Pair]:
        rest = [book for book in database.books if book not in held_out_books]
        for source, target in corpus.train:
            for verse in database.verses(source, target, rest):
                yield Pair(verse.source, verse.target, f"{source}-{target}")

    overlap = _write(splits, training(), held_out, empty, corpus.max_overlap)
    return {
        "held_out": {
            "versions": list(corpus.held_out),
            **{
                split: [{"book": book, "name": names.get(book, "")} for book in chosen]
                for split, chosen in books.items()
            },
        },
        "overlap": overlap,
    }


def _parallel(corpus: ParallelCorpus, downloads: Path, splits: Splits) -> dict[str, Any]:
    train = ParallelReader(corpus.train, downloads)
    given = {"validation": corpus.validation, "test": corpus.test}
    absent = [split for split, text in given.items() if text is None]
    for split, text in given.items():
        if text is not None:
            splits.write(split, ParallelReader(text, downloads))
    if not absent:
        splits.write("train", train)
        return {}
    chosen = held_out_lines(sum(1 for _ in train), corpus.held_out, absent)
    held_out: dict[str, list[Pair]] = {split: [] for split in absent}
    empty = dict.fromkeys(absent, 0)
    for number, pair in enumerate(train):
        if number not in chosen:
            continue
        if pair.source and pair.target:
            held_out[chosen[number]].append(pair)
        else:
            empty[chosen[number]] += 1
    rest = (pair for number, pair in enumerate(train) if number not in chosen)
    return {"overlap": _write(splits, rest, held_out, empty, corpus.max_overlap)}


def _write(
    splits: Splits, training: Iterable[Pair], held_out: dict[str, list[Pair]], empty: dict[str, int], max_overlap: float
) -> dict[str, Any]:
    """Write the training split and those held out from it; what was measured between them."""
    watched = HeldOut(held_out, max_overlap)
    splits.write("train", watched.watch(training))
    kept, report = watched.results()
    for split, pairs in kept.items():
        lost = {"empty": empty[split], "near_duplicate": len(held_out[split]) - len(pairs)}
        splits.write(split, pairs, lost)
    return report
