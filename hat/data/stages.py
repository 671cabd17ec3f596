"""The data stages: download, extract, tokenise, binarise. Each can be interrupted and run again."""

import os
from pathlib import Path
from typing import Any

from hat.artifacts.files import only_one, provenance, read_json, write_json, write_text
from hat.config.corpora import ArchiveCorpus
from hat.config.scope import TaskScope
from hat.config.task import Task
from hat.data.binary.binarise import UsedTokens, count_used, write_split
from hat.data.corpora import corpus
from hat.data.corpora.splits import given_path, raw_path, tokens_path, words_path
from hat.data.sources.configured import configured_sources, official_sources
from hat.data.sources.download import fetch
from hat.data.stamps import Stamps
from hat.data.text.bpe import BytePairs
from hat.data.text.dictionary import Dictionary
from hat.data.text.learn_bpe import learn
from hat.data.text.tokenise import LineWork, MosesLines, PieceLines, TextCodec, count_words, map_file
from hat.errors import InputError

# The test split stays raw text: only scoring reads it.
PREPARED_SPLITS = ("train", "validation")
_MOSES_SETTINGS = (
    "normalise_punctuation",
    "invisible",
    "normalise_splits",
    "plain_apostrophes",
    "aggressive_hyphens",
    "lowercase",
)


def codes_path(data: Path) -> Path:
    """Return the path of the byte-pair codes, which exist once tokenising has finished."""
    return data / "codes"


def _working_codes_path(data: Path) -> Path:
    """Return the path of the codes while tokens are made from them, before the stage has finished."""
    return data / "words" / "codes"


def dictionary_path(data: Path, language: str) -> Path:
    """Return the path of the dictionary of a language."""
    return data / f"dict.{language}.txt"


def binary_prefix(data: Path, split: str, task: Task, language: str) -> Path:
    """Return the path of one side of a binarised split, without ``.bin`` and ``.idx``."""
    return data / "binary" / f"{split}.{task.source_language}-{task.target_language}.{language}"


def codec(data: Path, task: Task, language: str) -> TextCodec:
    """Return the codec between text and tokens of one language of the task."""
    return TextCodec(language, codes_path(data), task.tokenisation)


def fetch_sources(scope: TaskScope) -> list[Path]:
    """Download each missing source of the task's text, and return the paths of all of them.

    Raises:
        HatError: a download failed.
        InputError: a source of kind ``file`` is missing.
    """
    chosen = scope.task_settings
    found = configured_sources(chosen)
    if isinstance(chosen.corpus, ArchiveCorpus) and not chosen.data.preprocessed:
        found += official_sources(chosen.corpus, chosen.languages).values()
    return [fetch(source, scope.results.downloads) for source in found]


def extract_corpus(scope: TaskScope) -> dict[str, Any]:
    """Write ``raw/`` and ``counts.json``; return the content of ``counts.json``. See ``hat.data.corpora.corpus``."""
    return corpus.extract_corpus(scope.task_settings, scope.results.downloads, scope.data)


def tokenise_corpus(scope: TaskScope, *, processes: int | None = None) -> None:
    """Write ``words/``, ``tokens/`` and ``codes`` from ``raw/``, keeping finished files that are still up to date.

    Args:
        scope: the task.
        processes: number of worker processes. Default: the CPU cores available to this process.

    Raises:
        HatError: the disk is full.
        InputError: the raw text is missing.
    """
    processes = processes or len(os.sched_getaffinity(0))
    chosen, data = scope.task_settings, scope.data
    with only_one(data, "Tokenising"):
        counts = read_json(data / "counts.json")
        lines: dict[str, int] = counts["pairs"]
        text = counts.get("text", "raw")
        moses = chosen.tokenisation.model_dump(mode="json", include={*_MOSES_SETTINGS})
        for split, language in _sides(chosen) if text == "raw" else ():
            training = _is_training(chosen, split)
            _write_lines(
                MosesLines(language, chosen.tokenisation, training=training),
                raw_path(data, split, language),
                words_path(data, split, language),
                stamp=Stamps.stamp([raw_path(data, split, language)], [language, moses, training]),
                lines=lines[split],
                processes=processes,
            )
        _write_codes(chosen, data, text, processes)
        for split, language in _sides(chosen) if text != "pieces" else ():
            _write_lines(
                PieceLines(_working_codes_path(data)),
                words_path(data, split, language),
                tokens_path(data, split, language),
                stamp=Stamps.stamp([words_path(data, split, language), _working_codes_path(data)], None),
                lines=lines[split],
                processes=processes,
            )
        # Written last: Snakemake deletes the output of an interrupted stage, and learning the codes takes long.
        write_text(codes_path(data), _working_codes_path(data).read_text(encoding="utf-8"))


def _sides(task: Task) -> list[tuple[str, str]]:
    return [(split, language) for split in PREPARED_SPLITS for language in task.languages]


def _is_training(task: Task, split: str) -> bool:
    """Whether a split is training text, or was taken from training text."""
    held_out = isinstance(task.corpus, ArchiveCorpus) and task.corpus.validation_every is not None
    return split == "train" or (split == "validation" and held_out)


def _write_lines(work: LineWork, source: Path, target: Path, *, stamp: str, lines: int, processes: int) -> None:
    stamps = Stamps(target.parent)
    if stamps.holds(target, stamp):
        return
    title = f"{target.parent.name.capitalize()} of {target.name}"
    map_file(work, source, target, title=title, lines=lines, processes=processes)
    stamps.record(target, stamp)


def _write_codes(task: Task, data: Path, text: str, processes: int) -> None:
    """Copy the given codes, or learn codes on the training text of both languages."""
    codes, given = _working_codes_path(data), given_path(data, "codes")
    if given.is_file():
        BytePairs(given)
        write_text(codes, given.read_text(encoding="utf-8"))
        return
    place = tokens_path if text == "pieces" else words_path
    texts = [place(data, "train", language) for language in task.languages]
    stamps = Stamps(codes.parent)
    stamp = Stamps.stamp(texts, [task.tokenisation.bpe_merges, text == "pieces"])
    if stamps.holds(codes, stamp):
        return
    # No variable holds the counts, so that they can be freed while the codes are learnt.
    learn(count_words(texts, joined=text == "pieces", processes=processes), task.tokenisation.bpe_merges, codes)
    stamps.record(codes, stamp)


def binarise_corpus(scope: TaskScope, *, processes: int | None = None) -> dict[str, Any]:
    """Write the dictionaries, ``binary/`` and ``binary/counts.json`` from ``tokens/``; return the counts.

    Training pairs outside the limits of ``tokenisation`` on length and ratio are dropped and counted. All validation
    pairs are kept.

    Args:
        scope: the task.
        processes: number of worker processes. Default: the CPU cores available to this process.

    Raises:
        HatError: the disk is full.
        InputError: the tokens are missing, or no training pair is within the limits.
    """
    processes = processes or len(os.sched_getaffinity(0))
    chosen, data = scope.task_settings, scope.data
    languages = chosen.languages
    # Splits published in binarised form are clean already, and limits on words were applied during extraction.
    limited = chosen.tokenisation.limits == "tokens" and not chosen.data.preprocessed
    limits = chosen.tokenisation if limited else None
    with only_one(data, "Binarising"):
        lines: dict[str, int] = read_json(data / "counts.json")["pairs"]
        texts = {split: [tokens_path(data, split, language) for language in languages] for split in PREPARED_SPLITS}
        used = count_used(texts["train"], limits, lines=lines["train"], processes=processes)
        if not used.source:
            raise InputError(
                f"{texts['train'][0]}: no training pair is within tokenisation.min_length, max_length and max_ratio"
            )
        dictionaries = _given_dictionaries(chosen, scope.results.downloads, data) or _build_dictionaries(chosen, used)
        for language, dictionary in zip(languages, dictionaries, strict=True):
            dictionary.save(dictionary_path(data, language))
        counts: dict[str, Any] = {
            "dictionary": {language: len(d) for language, d in zip(languages, dictionaries, strict=True)}
        }
        for split in PREPARED_SPLITS:
            pairs, sides = write_split(
                texts[split],
                [binary_prefix(data, split, chosen, language) for language in languages],
                dictionaries,
                limits if split == "train" else None,
                title=f"Binarising {split}",
                lines=lines[split],
                processes=processes,
            )
            counts[split] = {"pairs": pairs, **dict(zip(languages, sides, strict=True))}
        counts["train"]["dropped"] = dict(used.dropped)
        counts["provenance"] = provenance(seed=None, settings=chosen.tokenisation.model_dump(mode="json"))
        write_json(data / "binary" / "counts.json", counts)
        return counts


def _build_dictionaries(task: Task, used: UsedTokens) -> tuple[Dictionary, Dictionary]:
    size = task.tokenisation.dictionary_size
    if task.tokenisation.joint_dictionary:
        joint = Dictionary.build(used.source + used.target, size)
        return joint, joint
    return Dictionary.build(used.source, size), Dictionary.build(used.target, size)


def _given_dictionaries(task: Task, downloads: Path, data: Path) -> tuple[Dictionary, Dictionary] | None:
    """Return the dictionaries that come with the corpus; None if they are built from counted tokens."""
    if task.data.preprocessed:
        source, target = (Dictionary.load(given_path(data, f"dict.{language}.txt")) for language in task.languages)
        return source, target
    if isinstance(task.corpus, ArchiveCorpus) and task.corpus.dictionary is not None:
        joint = Dictionary.load(fetch(task.corpus.dictionary, downloads))
        return joint, joint
    return None
