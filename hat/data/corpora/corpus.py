"""Extracting the aligned text of a task's training, validation and test splits, and counting it."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hat.artifacts.files import only_one, provenance, write_json, write_text
from hat.config.corpora import ArchiveCorpus, BibleCorpus, ParallelCorpus
from hat.config.task import Task
from hat.config.tokenisation import Tokenisation
from hat.data.corpora.archived import ArchiveReader
from hat.data.corpora.bible import BibleDatabase
from hat.data.corpora.parallel import ParallelReader, held_out_lines
from hat.data.corpora.preprocessed import PreprocessedArchive
from hat.data.corpora.splits import FEWEST_PAIRS, PLACES, HeldOut, Pair, Splits, given_path, raw_path, words_path
from hat.data.limits import within_limits
from hat.data.sources.download import fetch
from hat.data.text.bpe import join
from hat.data.text.moses import Moses
from hat.data.text.text import read_lines
from hat.errors import InputError

SPLITS = ("train", "validation", "test")


def extract_corpus(task: Task, downloads: Path, data: Path) -> dict[str, Any]:
    """Write ``raw/{train,validation,test}.{language}`` and ``counts.json``.

    If the corpus provides words or byte-pair pieces, these are written to ``words/`` or ``tokens/``, and ``raw/`` holds
    the detokenised text of the validation and test splits only.

    Args:
        task: the task.
        downloads: folder of downloaded files, shared by all tasks.
        data: the task's data folder.

    Returns:
        The content of counts.json.

    Raises:
        HatError: a download failed or the disk is full.
        InputError: the text does not match the configuration of the task.
    """
    languages = task.languages
    if languages[0] == languages[1]:
        raise InputError(f"source_language and target_language are both {languages[0]!r}, expected two languages")
    with only_one(data, "Extracting text"):
        splits = Splits(data, languages)
        # Files from another corpus must not be taken for files of this one.
        shutil.rmtree(data / "given", ignore_errors=True)
        if task.data.preprocessed:
            details = _preprocessed(task, downloads, splits)
        elif isinstance(task.corpus, ArchiveCorpus):
            details = _archives(task, task.corpus, downloads, splits)
        elif isinstance(task.corpus, BibleCorpus):
            details = _bible(task.corpus, downloads, splits)
        else:
            details = _parallel(task.corpus, downloads, splits)
        counts = splits.counts() | details
        for split in SPLITS:
            if splits.pairs[split] < FEWEST_PAIRS:
                where = PLACES["raw" if split == "test" else details.get("text", "raw")](data, split, languages[0])
                raise InputError(f"{where}: {splits.pairs[split]} usable pairs, expected {FEWEST_PAIRS} or more")
        origin = task.data if task.data.preprocessed else task.corpus
        counts["provenance"] = provenance(seed=None, settings=origin.model_dump(mode="json"))
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
    missing = [split for split, text in given.items() if text is None]
    for split, text in given.items():
        if text is not None:
            splits.write(split, ParallelReader(text, downloads))
    if not missing:
        splits.write("train", train)
        return {}
    chosen = held_out_lines(sum(1 for _ in train), corpus.held_out, missing)
    held_out: dict[str, list[Pair]] = {split: [] for split in missing}
    empty = dict.fromkeys(missing, 0)
    for number, pair in enumerate(train):
        if number not in chosen:
            continue
        if pair.source and pair.target:
            held_out[chosen[number]].append(pair)
        else:
            empty[chosen[number]] += 1
    rest = (pair for number, pair in enumerate(train) if number not in chosen)
    return {"overlap": _write(splits, rest, held_out, empty, corpus.max_overlap)}


def _archives(task: Task, corpus: ArchiveCorpus, downloads: Path, splits: Splits) -> dict[str, Any]:
    data, languages = splits.data, splits.languages
    reader = ArchiveReader(corpus, languages, downloads, data / "unpacked")
    splits.write("test", reader.pairs(corpus.test), verbatim=True)
    if corpus.codes is not None:
        reader.extract(corpus.codes, given_path(data, "codes"))
    training: Iterable[Pair] = reader.pairs(corpus.train)
    dropped: Counter[str] = Counter()
    if task.tokenisation.limits == "words":
        training = within_limits(training, task.tokenisation, languages, dropped)
    if corpus.validation_every is None:
        splits.write("validation", reader.pairs(corpus.validation or ()), text=corpus.text, verbatim=True)
        splits.write("train", training, dropped, text=corpus.text, verbatim=True)
    else:
        held_out: list[Pair] = []
        rest = _without(training, corpus.validation_every, held_out)
        splits.write("train", rest, dropped, text=corpus.text, verbatim=True)
        splits.write("validation", held_out, text=corpus.text, verbatim=True)
    if corpus.text != "raw":
        _detokenise(task, data, "validation", corpus.text)
    return {"text": corpus.text, "damaged_lines": reader.damaged}


def _preprocessed(task: Task, downloads: Path, splits: Splits) -> dict[str, Any]:
    """Write the text of binarised splits. The words of the test split are kept, since published scores use them."""
    assert task.data.archive is not None, "checked by the configuration"
    data, languages = splits.data, splits.languages
    archive = PreprocessedArchive(fetch(task.data.archive, downloads), languages, data / "unpacked")
    for language in languages:
        shutil.copyfile(archive.dictionary(language), given_path(data, f"dict.{language}.txt"))
    codes = fetch(task.data.codes, downloads) if task.data.codes is not None else archive.codes()
    if codes is not None:
        shutil.copyfile(codes, given_path(data, "codes"))
    for split in SPLITS:
        splits.write(split, archive.pairs(split), text="pieces", verbatim=True)
        if split != "train":
            _detokenise(task, data, split, "pieces")
    archive.remove()
    return {"text": "pieces", "codes": "given" if codes is not None else "learnt on the words of the archive"}


def _without(pairs: Iterable[Pair], every: int, held_out: list[Pair]) -> Iterator[Pair]:
    """Yield all pairs except every n-th, which are added to ``held_out``."""
    for number, pair in enumerate(pairs, start=1):
        if number % every:
            yield pair
        else:
            held_out.append(pair)


def _detokenise(task: Task, data: Path, split: str, text: str) -> None:
    """Write the raw text of a split that is given as words or pieces, and its words if it is given as pieces."""
    languages = task.languages
    for language in languages:
        # Joining words does not depend on the settings of the tokenisation.
        moses = Moses(language, Tokenisation())
        given = PLACES[text](data, split, language)
        words = [join(line.split()) if text == "pieces" else line.split() for line in read_lines(given)]
        if text == "pieces":
            write_text(words_path(data, split, language), "".join(" ".join(line) + "\n" for line in words))
        write_text(raw_path(data, split, language), "".join(moses.join(line) + "\n" for line in words))


def _write(
    splits: Splits, training: Iterable[Pair], held_out: dict[str, list[Pair]], empty: dict[str, int], max_overlap: float
) -> dict[str, Any]:
    """Write the training split and the splits held out from it; return the report of their overlap."""
    watched = HeldOut(held_out, max_overlap)
    splits.write("train", watched.watch(training))
    kept, report = watched.results()
    for split, pairs in kept.items():
        lost = {"empty": empty[split], "near_duplicate": len(held_out[split]) - len(pairs)}
        splits.write(split, pairs, lost)
    return report
