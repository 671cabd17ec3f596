"""Sequence-level distillation: the training set with the translations of a teacher for targets."""

import os
from dataclasses import asdict
from pathlib import Path

import torch

from hat.artifacts import JsonLinesLog, digest, only_one, provenance, read_json, read_jsonl, write_json, write_text
from hat.data.batches import PairedSplit, length_batches
from hat.data.indexed import IndexedWriter
from hat.errors import InputError
from hat.layout import Results
from hat.progress import progress
from hat.runtime.torch import TorchModel
from hat.settings import Settings
from hat.shortlist.trial import BEAM, compared_decoding
from hat.special_tokens import END
from hat.train.teacher import trained_teacher
from hat.translator import BATCH_TOKENS


def translated_prefix(results: Results, task: str, teacher: str) -> Path:
    """The binarised translations of the training sources by a teacher, without the ending."""
    return results.translated(task, teacher) / "train"


def translation_digest(results: Results, task: str, teacher: str) -> str:
    """What the translations of a teacher were made from.

    Raises:
        InputError: they are not made yet.
    """
    return str(read_json(results.translated(task, teacher) / "translated.json")["identity"])


def translate_training(settings: Settings, results: Results, task: str) -> Path:
    """Translate the training sources with the task's teacher, with beam 5; write translated/TEACHER/translated.json.

    Translations are kept as they are made; a stage that was interrupted goes on with the missing ones (Kim and Rush,
    2016, arXiv 1606.07947).

    Raises:
        InputError: the task has no teacher, or it is not trained, or the data are missing.
    """
    chosen = settings.task(task)
    name = chosen.subtransformer.teacher
    if name is None:
        raise InputError(
            f"task {task!r}, subtransformer.teacher: there is none whose translations could be learnt from"
        )
    folder = results.translated(task, name)
    with only_one(folder, f"Translating with {name}"):
        teacher = trained_teacher(settings, results, task, name)
        decoding = compared_decoding(chosen.scoring)
        split = PairedSplit(results.data(task), chosen, "train")
        sizes = [split.source.sizes.tolist(), split.target.sizes.tolist()]
        identity = digest([teacher.identity, asdict(decoding), sizes])
        path = folder / "partial" / "translations.jsonl"
        rows = read_jsonl(path)
        if not rows or rows[0] != {"identity": identity}:
            write_text(path, "")
            JsonLinesLog(path).append({"identity": identity})
            rows = []
        found = {int(row["number"]): row["tokens"] for row in rows[1:]}
        log = JsonLinesLog(path)
        torch.set_num_threads(chosen.subtransformer.threads or len(os.sched_getaffinity(0)))
        model = TorchModel(teacher.model)
        with progress(f"Translating the training set of {task} with {name}", len(split)) as show:
            for batch in length_batches(split, BATCH_TOKENS // BEAM):
                left = [int(number) for number in batch if int(number) not in found]
                if left:
                    best = model.translate([split.source[number].tolist() for number in left], decoding)
                    for number, hypothesis in zip(left, best, strict=True):
                        found[number] = list(hypothesis.tokens)
                        log.append({"number": number, "tokens": found[number]})
                show(len(found))
        vocabulary = teacher.model.shape.target_vocabulary
        with IndexedWriter(translated_prefix(results, task, name), vocabulary) as writer:
            for number in range(len(split)):
                writer.add([*found[number], END])
        made = provenance(seed=None, settings={"identity": identity})
        content = {"teacher": name, "sentences": len(split), "identity": identity, "provenance": made}
        write_json(folder / "translated.json", content)
    return folder / "translated.json"
