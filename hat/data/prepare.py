"""The stages of data: download, extract, tokenise, binarise; each may be interrupted and repeated."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hat.artifacts import only_one, provenance, read_json, write_json, write_text
from hat.config import Task
from hat.config_text import BibleCorpus, ParallelText, Source, Tokenisation
from hat.data import corpus
from hat.data.dictionary import Dictionary
from hat.data.download import fetch
from hat.data.indexed import IndexedDataset, IndexedWriter
from hat.data.learn_bpe import learn
from hat.data.splits import raw_path
from hat.data.stamps import Stamps
from hat.data.text import read_lines, read_pairs
from hat.data.tokenise import LineWork, MosesLines, PieceLines, TextCodec, map_file
from hat.errors import InputError
from hat.layout import Results
from hat.progress import progress
from hat.settings import Settings
from hat.special_tokens import UNKNOWN

# The test split stays raw text: it is read once, by scoring.
PREPARED_SPLITS = ("train", "validation")
_MOSES_SETTINGS = ("normalise_punctuation", "aggressive_hyphens", "lowercase")


def words_path(data: Path, split: str, language: str) -> Path:
    """Moses-tokenised text of a split."""
    return data / "words" / f"{split}.{language}"


def tokens_path(data: Path, split: str, language: str) -> Path:
    """Byte pairs of a split."""
    return data / "tokens" / f"{split}.{language}"


def codes_path(data: Path) -> Path:
    """Byte-pair codes."""
    return data / "codes"


def _learnt_path(data: Path) -> Path:
    """The codes as they are used while the tokens are made; ``codes`` itself stands for the finished step."""
    return data / "words" / "codes"


def dictionary_path(data: Path, language: str) -> Path:
    """Dictionary of a language."""
    return data / f"dict.{language}.txt"


def binary_prefix(data: Path, split: str, task: Task, language: str) -> Path:
    """Binarised side of a split, without ``.bin`` and ``.idx``."""
    return data / "binary" / f"{split}.{task.source_language}-{task.target_language}.{language}"


def codec(data: Path, task: Task, language: str) -> TextCodec:
    """Text of one language of the task to tokens and back."""
    return TextCodec(language, codes_path(data), task.tokenisation)


def fetch_sources(settings: Settings, results: Results, task: str) -> list[Path]:
    """Download every source of the task's text that is not there yet; where they lie.

    Raises:
        HatError: a download failed.
        InputError: a source of kind ``file`` is missing.
    """
    return [fetch(source, results.downloads) for source in _sources(settings.task(task))]


def extract_corpus(settings: Settings, results: Results, task: str) -> dict[str, Any]:
    """Write ``raw/`` and ``counts.json``, and return the latter; see ``hat.data.corpus``."""
    return corpus.extract_corpus(settings.task(task), results.downloads, results.data(task))


def tokenise_corpus(settings: Settings, results: Results, task: str, *, processes: int | None = None) -> None:
    """Write ``words/``, ``tokens/`` and ``codes`` from ``raw/``; what is finished and still fits is kept.

    Args:
        settings: the configuration.
        results: where artifacts stand.
        task: name of the task.
        processes: worker processes; as many as this process may use cores where absent.

    Raises:
        HatError: the disk is full.
        InputError: the raw text is missing.
    """
    processes = processes or len(os.sched_getaffinity(0))
    chosen, data = settings.task(task), results.data(task)
    with only_one(data, "Tokenising"):
        lines: dict[str, int] = read_json(data / "counts.json")["pairs"]
        kept = chosen.tokenisation.model_dump(mode="json", include={*_MOSES_SETTINGS})
        for split, language in _sides(chosen):
            _make(
                MosesLines(language, chosen.tokenisation),
                raw_path(data, split, language),
                words_path(data, split, language),
                stamp=Stamps.stamp([raw_path(data, split, language)], [language, kept]),
                lines=lines[split],
                processes=processes,
            )
        _learn(chosen, data)
        for split, language in _sides(chosen):
            _make(
                PieceLines(_learnt_path(data)),
                words_path(data, split, language),
                tokens_path(data, split, language),
                stamp=Stamps.stamp([words_path(data, split, language), _learnt_path(data)], None),
                lines=lines[split],
                processes=processes,
            )
        # Last: Snakemake deletes it where the step did not come to its end, and learning takes long.
        write_text(codes_path(data), _learnt_path(data).read_text(encoding="utf-8"))


def _sides(task: Task) -> list[tuple[str, str]]:
    return [(split, language) for split in PREPARED_SPLITS for language in (task.source_language, task.target_language)]


def _make(work: LineWork, source: Path, target: Path, *, stamp: str, lines: int, processes: int) -> None:
    stamps = Stamps(target.parent)
    if stamps.holds(target, stamp):
        return
    title = f"{target.parent.name.capitalize()} of {target.name}"
    map_file(work, source, target, title=title, lines=lines, processes=processes)
    stamps.record(target, stamp)


def _learn(task: Task, data: Path) -> None:
    """Learn the codes on the training text of both languages."""
    texts = [words_path(data, "train", language) for language in (task.source_language, task.target_language)]
    stamps = Stamps(data / "words")
    stamp = Stamps.stamp(texts, task.tokenisation.bpe_merges)
    codes = _learnt_path(data)
    if stamps.holds(codes, stamp):
        return
    counts: Counter[str] = Counter()
    for text in texts:
        for line in read_lines(text):
            counts.update(line.split())
    learn(counts, task.tokenisation.bpe_merges, codes)
    stamps.record(codes, stamp)


def binarise_corpus(settings: Settings, results: Results, task: str) -> dict[str, Any]:
    """Write the dictionaries, ``binary/`` and ``binary/counts.json`` from ``tokens/``, and return the latter.

    Training pairs outside the limits of ``tokenisation`` on length and ratio are left out and counted; validation
    pairs are all kept.

    Raises:
        HatError: the disk is full.
        InputError: the tokens are missing, or the limits leave no training pair.
    """
    chosen, data = settings.task(task), results.data(task)
    languages = (chosen.source_language, chosen.target_language)
    with only_one(data, "Binarising"):
        lines: dict[str, int] = read_json(data / "counts.json")["pairs"]
        dictionaries, dropped = _dictionaries(chosen, data)
        for language, dictionary in zip(languages, dictionaries, strict=True):
            dictionary.save(dictionary_path(data, language))
        counts: dict[str, Any] = {
            "dictionary": {language: len(d) for language, d in zip(languages, dictionaries, strict=True)},
            **{split: _binarise(chosen, data, split, dictionaries, lines[split]) for split in PREPARED_SPLITS},
        }
        counts["train"]["dropped"] = dropped
        counts["provenance"] = provenance(seed=None, settings=chosen.tokenisation.model_dump(mode="json"))
        write_json(data / "binary" / "counts.json", counts)
        return counts


def _binarise(
    task: Task, data: Path, split: str, dictionaries: tuple[Dictionary, Dictionary], lines: int
) -> dict[str, Any]:
    """Write both sides of a split; pairs, and for each language tokens (with ``</s>``), unknown ones and lengths."""
    languages = (task.source_language, task.target_language)
    prefixes = [binary_prefix(data, split, task, language) for language in languages]
    unknown = [0, 0]
    with (
        progress(f"Binarising {split}", lines) as show,
        IndexedWriter(prefixes[0], len(dictionaries[0])) as left,
        IndexedWriter(prefixes[1], len(dictionaries[1])) as right,
    ):
        for number, (pair, reason) in enumerate(_pairs(task, data, split), start=1):
            show(number)
            if reason is not None:
                continue
            for side, writer in enumerate((left, right)):
                numbers = dictionaries[side].encode(pair[side])
                unknown[side] += int((numbers == UNKNOWN).sum())
                writer.add(numbers)
    statistics: dict[str, Any] = {"pairs": len(IndexedDataset(prefixes[0]))}
    for prefix, language, missing in zip(prefixes, languages, unknown, strict=True):
        sizes = IndexedDataset(prefix).sizes
        statistics[language] = {
            "tokens": int(sizes.sum()),
            "unknown": missing,
            "mean_length": round(float(sizes.mean()), 2),
            "longest": int(sizes.max()),
        }
    return statistics


def _pairs(task: Task, data: Path, split: str) -> Iterator[tuple[tuple[list[str], list[str]], str | None]]:
    """Tokens of both sides, and why the pair is not used for training, or None."""
    languages = (task.source_language, task.target_language)
    for source, target in read_pairs(*(tokens_path(data, split, language) for language in languages)):
        pair = source.split(), target.split()
        yield pair, _unfit(task.tokenisation, len(pair[0]), len(pair[1])) if split == "train" else None


def _unfit(limits: Tokenisation, source: int, target: int) -> str | None:
    if min(source, target) < limits.min_length:
        return "shorter_than_min_length"
    if max(source, target) > limits.max_length:
        return "longer_than_max_length"
    if max(source, target) > limits.max_ratio * min(source, target):
        return "above_max_ratio"
    return None


def _dictionaries(task: Task, data: Path) -> tuple[tuple[Dictionary, Dictionary], dict[str, int]]:
    """Dictionary of each language from the training pairs that are used, and how many are not, by reason."""
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    dropped: Counter[str] = Counter()
    for pair, reason in _pairs(task, data, "train"):
        if reason is not None:
            dropped[reason] += 1
            continue
        counts[0].update(pair[0])
        counts[1].update(pair[1])
    if not counts[0]:
        text = tokens_path(data, "train", task.source_language)
        raise InputError(f"{text}: min_length, max_length and max_ratio of the tokenisation leave no training pair")
    if task.tokenisation.joint_dictionary:
        joint = Dictionary.build(counts[0] + counts[1])
        return (joint, joint), dict(dropped)
    return (Dictionary.build(counts[0]), Dictionary.build(counts[1])), dict(dropped)


def _sources(task: Task) -> list[Source]:
    if isinstance(task.corpus, BibleCorpus):
        return [task.corpus.database]
    texts: list[ParallelText | None] = [task.corpus.train, task.corpus.validation, task.corpus.test]
    sides = [side for text in texts if text is not None for side in (text.source, text.target, text.tsv)]
    return [side for side in sides if side is not None]
