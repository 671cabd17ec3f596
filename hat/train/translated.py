"""Sequence-level distillation: translations of a teacher as targets of the training set."""

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

# With fewer batches per process, starting processes takes longer than it saves.
BATCHES_OF_A_PROCESS = 8
ORDER_SEED = 0

Numbers = npt.NDArray[np.int64]


def translated_prefix(scope: TaskScope, teacher: str) -> Path:
    """Return the prefix of the binarised translations by a teacher."""
    return scope.translated(teacher) / "train"


def translation_digest(scope: TaskScope, teacher: str) -> str:
    """Return the digest of everything that the translations of a teacher depend on.

    Raises:
        InputError: the translations are missing.
    """
    return str(read_json(scope.translated(teacher) / "translated.json")["identity"])


def translate_training(scope: TaskScope, resources: TrainingResources | None = None) -> Path:
    """Translate the training sources with the task's teacher (Kim and Rush, 2016, arXiv 1606.07947).

    Uses beam 5 and one process per GPU or thread. Saves translations as they come; an interrupted stage resumes with
    the missing ones. Writes ``translated/TEACHER/translated.json``.

    Args:
        scope: the task.
        resources: resources to use; default: the same as for training the SubTransformer.

    Raises:
        InputError: the task has no teacher, the teacher is not trained, or the data are missing.
        HatError: the machine has too few GPUs, or a process was killed.
    """
    chosen = scope.task_settings
    name = chosen.subtransformer.teacher
    if name is None:
        raise InputError(
            f"task {scope.task!r}, subtransformer.teacher: not set, so there are no translations to learn from"
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
        saved = _SavedTranslations(folder / "partial" / "translations.jsonl", identity, len(split))
        batches = [saved.missing(batch) for batch in length_batches(split, BATCH_TOKENS // COMPARISON_BEAM)]
        batches = [batch for batch in batches if len(batch)]
        # Shuffled, so that the progress bar predicts the remaining time well.
        random.Random(ORDER_SEED).shuffle(batches)
        wanted = resources.gpus or resources.threads
        count = max(1, min(wanted, len(batches) // BATCHES_OF_A_PROCESS))
        work.threads, work.gpus = max(1, resources.threads // count), resources.gpus
        texts = ([split.source[number].tolist() for number in batch] for batch in batches)
        with progress(f"Translating the training set of {scope.task} with {name}", len(split)) as show:
            show(saved.count)
            for batch, found in zip(batches, map_chunks(work, texts, count), strict=True):
                saved.add(batch, found)
                show(saved.count)
        vocabulary = work.teacher.model.shape.target_vocabulary
        with IndexedWriter(translated_prefix(scope, name), vocabulary) as writer:
            for tokens in saved:
                writer.add([*tokens, END])
        made = provenance(seed=None, settings={"identity": identity})
        content = {"teacher": name, "sentences": len(split), "identity": identity, "provenance": made}
        write_json(folder / "translated.json", content)
    return folder / "translated.json"


class TeacherTranslator:
    """Translates batches; each process that it is sent to loads its own teacher.

    Args:
        scope: the task.
        name: name of the teacher.
        decoding: settings of beam search.
    """

    # Per process; with GPUs, each process uses the one of its number.
    threads = 1
    gpus = 0

    def __init__(self, scope: TaskScope, name: str, decoding: Decoding) -> None:
        self._made_from = (scope, name)
        self._decoding = decoding

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("teacher", "_model")}

    @cached_property
    def teacher(self) -> TrainedTeacher:
        """The network, loaded at first use.

        Raises:
            InputError: the teacher is not trained.
        """
        return trained_teacher(*self._made_from)

    @cached_property
    def _model(self) -> TorchModel:
        torch.set_num_threads(self.threads)
        device = torch.device("cuda", worker_number()) if self.gpus else torch.device("cpu")
        return TorchModel(self.teacher.model.to(device))

    def __call__(self, sources: list[list[int]]) -> list[tuple[int, ...]]:
        """Return the token ids of the best translation of each source, without the end symbol."""
        return [best.tokens for best in self._model.translate(sources, self._decoding)]


class _SavedTranslations:
    """Translations on disk; only their offsets are in memory, since training sets are large.

    Args:
        path: JSON-lines file; it is emptied if its identity differs.
        identity: digest of everything that the translations depend on.
        sentences: number of sentences to translate.
    """

    def __init__(self, path: Path, identity: str, sentences: int) -> None:
        self._path = path
        self._log = JsonLinesLog(path)
        self._offsets = np.full(sentences, -1, dtype=np.int64)
        self.count = 0
        rows = placed_jsonl(path)
        if next(rows, (0, {}))[1] == {"identity": identity}:
            for offset, row in rows:
                self._offsets[row["number"]] = offset
            self.count = int((self._offsets >= 0).sum())
        else:
            write_text(path, "")
            self._log.append({"identity": identity})

    def missing(self, numbers: Numbers) -> Numbers:
        """Return the sentences that have no translation yet."""
        return numbers[self._offsets[numbers] < 0]

    def add(self, numbers: Numbers, translations: list[tuple[int, ...]]) -> None:
        """Save the translations of some sentences."""
        pairs = zip(numbers.tolist(), translations, strict=True)
        offsets = self._log.extend({"number": number, "tokens": tokens} for number, tokens in pairs)
        self._offsets[numbers] = offsets
        self.count += len(numbers)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the token ids of all translations, in the order of the sentences."""
        with open(self._path, "rb") as stream:
            for offset in self._offsets.tolist():
                stream.seek(offset)
                yield json.loads(stream.readline())["tokens"]
