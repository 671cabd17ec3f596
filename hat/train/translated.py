"""Sequence-level distillation: the training set with the translations of a teacher for targets."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hat.artifacts.files import (
    JsonLinesLog,
    digest,
    only_one,
    placed_jsonl,
    provenance,
    read_json,
    write_json,
    write_text,
)
from hat.config.scope import TaskScope
from hat.data.binary.batches import PairedSplit, length_batches
from hat.data.binary.indexed import IndexedWriter
from hat.data.chunks import map_chunks, worker_number
from hat.data.text.special_tokens import END
from hat.errors import InputError
from hat.runtime.base import Decoding
from hat.runtime.decoding import BATCH_TOKENS, COMPARISON_BEAM, configured_decoding
from hat.runtime.torch.runtime import TorchModel
from hat.system.progress import progress
from hat.train.processes import TrainingResources, own_resources, require_gpus
from hat.train.teacher import TrainedTeacher, trained_teacher

# With fewer batches for each, starting processes would take longer than it saves.
BATCHES_OF_A_PROCESS = 8
ORDER_SEED = 0

Numbers = npt.NDArray[np.int64]


def translated_prefix(scope: TaskScope, teacher: str) -> Path:
    """The binarised translations of the training sources by a teacher, without the ending."""
    return scope.translated(teacher) / "train"


def translation_digest(scope: TaskScope, teacher: str) -> str:
    """What the translations of a teacher were made from.

    Raises:
        InputError: they are not made yet.
    """
    return str(read_json(scope.translated(teacher) / "translated.json")["identity"])


def translate_training(scope: TaskScope, resources: TrainingResources | None = None) -> Path:
    """Translate the training sources with the task's teacher, with beam 5; write translated/TEACHER/translated.json.

    Each GPU, or else each thread, has a process of its own. Translations are kept as they are made; a stage that was
    interrupted goes on with the missing ones (Kim and Rush, 2016, arXiv 1606.07947).

    Args:
        scope: the task.
        resources: what of this machine is used; what trainings would use where absent.

    Raises:
        InputError: the task has no teacher, or it is not trained, or the data are missing.
        HatError: there are fewer GPUs than wanted, or a process was killed.
    """
    chosen = scope.task_settings
    name = chosen.subtransformer.teacher
    if name is None:
        raise InputError(
            f"task {scope.task!r}, subtransformer.teacher: there is none whose translations could be learnt from"
        )
    resources = resources or own_resources(chosen.subtransformer)
    require_gpus(resources.gpus)
    folder = scope.translated(name)
    with only_one(folder, f"Translating with {name}"):
        decoding = configured_decoding(chosen.scoring)
        work = TeacherTranslator(scope, name, decoding)
        split = PairedSplit(scope.data, chosen, "train")
        sources = [hashlib.sha256(part.data).hexdigest() for part in (split.source.sizes, split.source.tokens)]
        identity = digest([work.teacher.identity, asdict(decoding), sources])
        kept = _Kept(folder / "partial" / "translations.jsonl", identity, len(split))
        batches = [kept.missing(batch) for batch in length_batches(split, BATCH_TOKENS // COMPARISON_BEAM)]
        batches = [batch for batch in batches if len(batch)]
        # Short and long ones in turn: what is left takes as long as what was done.
        random.Random(ORDER_SEED).shuffle(batches)
        wanted = resources.gpus or resources.threads
        count = max(1, min(wanted, len(batches) // BATCHES_OF_A_PROCESS))
        work.threads, work.gpus = max(1, resources.threads // count), resources.gpus
        texts = ([split.source[number].tolist() for number in batch] for batch in batches)
        with progress(f"Translating the training set of {scope.task} with {name}", len(split)) as show:
            show(kept.count)
            for batch, found in zip(batches, map_chunks(work, texts, count), strict=True):
                kept.add(batch, found)
                show(kept.count)
        vocabulary = work.teacher.model.shape.target_vocabulary
        with IndexedWriter(translated_prefix(scope, name), vocabulary) as writer:
            for tokens in kept:
                writer.add([*tokens, END])
        made = provenance(seed=None, settings={"identity": identity})
        content = {"teacher": name, "sentences": len(split), "identity": identity, "provenance": made}
        write_json(folder / "translated.json", content)
    return folder / "translated.json"


class TeacherTranslator:
    """Translates batches in whatever process it is sent to, which loads the teacher for itself.

    Args:
        scope: the task.
        name: of the teacher.
        decoding: how it translates.
    """

    # Of each process; with GPUs, each process takes the one of its number.
    threads = 1
    gpus = 0

    def __init__(self, scope: TaskScope, name: str, decoding: Decoding) -> None:
        self._made_from = (scope, name)
        self._decoding = decoding

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("teacher", "_model")}

    @cached_property
    def teacher(self) -> TrainedTeacher:
        """The network, loaded when it is first needed.

        Raises:
            InputError: it is not trained.
        """
        return trained_teacher(*self._made_from)

    @cached_property
    def _model(self) -> TorchModel:
        torch.set_num_threads(self.threads)
        device = torch.device("cuda", worker_number()) if self.gpus else torch.device("cpu")
        return TorchModel(self.teacher.model.to(device))

    def __call__(self, sources: list[list[int]]) -> list[tuple[int, ...]]:
        """Token numbers of the best translation of each source, without the end symbol."""
        return [best.tokens for best in self._model.translate(sources, self._decoding)]


class _Kept:
    """Translations on disk, of which only the places are in memory: training sets are large.

    Args:
        path: of a JSON-lines file, which is begun anew where it is of another ``identity``.
        identity: what the translations are made from.
        sentences: how many there are to be.
    """

    def __init__(self, path: Path, identity: str, sentences: int) -> None:
        self._path = path
        self._log = JsonLinesLog(path)
        self._places = np.full(sentences, -1, dtype=np.int64)
        self.count = 0
        rows = placed_jsonl(path)
        if next(rows, (0, {}))[1] == {"identity": identity}:
            for place, row in rows:
                self._places[row["number"]] = place
            self.count = int((self._places >= 0).sum())
        else:
            write_text(path, "")
            self._log.append({"identity": identity})

    def missing(self, numbers: Numbers) -> Numbers:
        """Those of the sentences that have no translation yet."""
        return numbers[self._places[numbers] < 0]

    def add(self, numbers: Numbers, translations: list[tuple[int, ...]]) -> None:
        """Keep translations of these sentences."""
        pairs = zip(numbers.tolist(), translations, strict=True)
        places = self._log.extend({"number": number, "tokens": tokens} for number, tokens in pairs)
        self._places[numbers] = places
        self.count += len(numbers)

    def __iter__(self) -> Iterator[list[int]]:
        """Token numbers of all translations, in the order of the sentences."""
        with open(self._path, "rb") as stream:
            for place in self._places.tolist():
                stream.seek(place)
                yield json.loads(stream.readline())["tokens"]
