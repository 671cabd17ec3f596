"""Batches of sentence pairs of similar length, so that little of a batch is padding."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hat.artifacts.files import file_digest
from hat.config.task import Task
from hat.data.binary.indexed import IndexedDataset
from hat.data.text.special_tokens import END, PAD

# Indices of sentences of a split.
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Token ids of sentence pairs, padded on the right.

    ``source`` is [B, S], ``target`` is [B, T], ``previous`` is the target shifted right, [B, T]. ``tokens`` is the
    number of target tokens without padding, end symbols included.
    """

    source: Tensor
    previous: Tensor
    target: Tensor
    tokens: int

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; the copy is asynchronous if the memory is pinned."""
        source, previous, target = (
            part.to(device, non_blocking=True) for part in (self.source, self.previous, self.target)
        )
        return Batch(source, previous, target, self.tokens)

    def pin_memory(self) -> "Batch":
        """Return the batch in pinned memory, from which a GPU copies directly."""
        source, previous, target = (part.pin_memory() for part in (self.source, self.previous, self.target))
        return Batch(source, previous, target, self.tokens)

    def without_targets(self) -> "Batch":
        """Return the batch with its target all padding: its loss and gradients are zero."""
        return Batch(self.source, self.previous, torch.full_like(self.target, PAD), 0)


@dataclass(frozen=True)
class Share:
    """The part of an update that one process computes.

    ``numbers`` identifies each batch among all processes' batches in the update. ``tokens`` is the number of target
    tokens of the whole update.
    """

    batches: tuple[Batch, ...]
    numbers: tuple[int, ...]
    tokens: int

    def pin_memory(self) -> "Share":
        """Return the share with its batches in pinned memory."""
        return Share(tuple(batch.pin_memory() for batch in self.batches), self.numbers, self.tokens)


class PairedSplit:
    """The sentence pairs of a binarised split.

    Args:
        data: folder of the task's data.
        task: the task, for its languages.
        split: ``train``, ``validation`` or ``test``.
        target: prefix of the files of another target side, such as a teacher's translations. Default: the split's own.
    """

    def __init__(self, data: Path, task: Task, split: str, target: Path | None = None) -> None:
        prefix = data / "binary" / f"{split}.{task.source_language}-{task.target_language}"
        self.source = IndexedDataset(f"{prefix}.{task.source_language}")
        self.target = IndexedDataset(target or f"{prefix}.{task.target_language}")

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Indices) -> Batch:
        """Return the pairs at these indices as one batch, both sides padded on the right."""
        source = _padded([self.source[index] for index in indices])
        target = _padded([self.target[index] for index in indices])
        previous = torch.full_like(target, PAD)
        previous[:, 0] = END
        previous[:, 1:] = target[:, :-1].masked_fill(target[:, :-1] == END, PAD)
        return Batch(source, previous, target, int((target != PAD).sum()))


def _padded(sentences: list[npt.NDArray[np.integer]]) -> Tensor:
    result = np.full((len(sentences), max(map(len, sentences))), PAD, dtype=np.int64)
    for row, sentence in zip(result, sentences, strict=True):
        row[: len(sentence)] = sentence
    return torch.from_numpy(result)


def length_batches(split: PairedSplit, batch_tokens: int, indices: Indices | None = None) -> list[Indices]:
    """Return the sentence indices of batches of at most ``batch_tokens`` per side, padding included.

    Args:
        split: the sentences.
        batch_tokens: tokens; a longer sentence is a batch of its own.
        indices: the sentences to use, in the order that breaks ties. Default: all.
    """
    if indices is None:
        indices = np.arange(len(split))
    source, target = split.source.sizes[indices], split.target.sizes[indices]
    # Source lengths rise for one target length and fall for the next, so that neighbours are similar at borders too.
    order = np.lexsort((np.where(target % 2, -source, source), target))
    batches, begin, longest = [], 0, 0
    for end, row in enumerate(order):
        longest_here = max(longest, int(source[row]), int(target[row]))
        if end > begin and longest_here * (end + 1 - begin) > batch_tokens:
            batches.append(indices[order[begin:end]])
            begin, longest_here = end, max(int(source[row]), int(target[row]))
        longest = longest_here
    batches.append(indices[order[begin:]])
    return batches


def padding_share(split: PairedSplit, batches: list[Indices]) -> float:
    """Return the fraction of all positions, both sides together, that is padding."""
    real = padded = 0
    for indices in batches:
        for sizes in (split.source.sizes[indices], split.target.sizes[indices]):
            real += int(sizes.sum())
            padded += int(sizes.max()) * len(indices)
    return 1 - real / padded


class TrainingBatches:
    """Training batches as a function of the seed and their index alone, so that nothing is saved for resuming.

    Sentences are grouped and ordered differently in each epoch.
    """

    def __init__(self, split: PairedSplit, batch_tokens: int, seed: int) -> None:
        self.split = split
        self.batch_tokens = batch_tokens
        self.seed = seed
        self._epochs: dict[int, list[Indices]] = {}
        self._starts = [0]

    def _epoch(self, number: int) -> list[Indices]:
        if number not in self._epochs:
            rng = np.random.default_rng((self.seed, number))
            batches = length_batches(self.split, self.batch_tokens, rng.permutation(len(self.split)))
            order = rng.permutation(len(batches))
            self._epochs = {number: [batches[i] for i in order]}
        return self._epochs[number]

    def numbers(self, index: int) -> Indices:
        """Return the sentence indices of batch ``index``, counted from 0 over all epochs."""
        epoch = 0
        while True:
            if epoch + 1 == len(self._starts):
                self._starts.append(self._starts[-1] + len(self._epoch(epoch)))
            if index < self._starts[epoch + 1]:
                return self._epoch(epoch)[index - self._starts[epoch]]
            epoch += 1

    def __getitem__(self, index: int) -> Batch:
        """Return batch ``index``, counted from 0 over all epochs."""
        return self.split.batch(self.numbers(index))

    def share(self, update: int, accumulate: int, rank: int = 0, processes: int = 1) -> Share:
        """Return the part of an update that one process computes.

        The sentences of an update do not depend on the number of processes. Each process gets whole batches if
        ``accumulate`` is a multiple of ``processes``, and otherwise a part of the sentences of each batch.

        Args:
            update: number of the update, from 1.
            accumulate: batches per update.
            rank: rank of the process, from 0.
            processes: number of processes that share the update.
        """
        groups = [self.numbers((update - 1) * accumulate + i) for i in range(accumulate)]
        tokens = sum(int(self.split.target.sizes[group].sum()) for group in groups)
        if accumulate % processes == 0:
            own = list(enumerate(groups))[rank::processes]
        else:
            own = [(i * processes + rank, group[rank::processes]) for i, group in enumerate(groups)]
        batches = [
            # Every process takes part in every exchange of gradients, so one without sentences computes zeros.
            self.split.batch(group) if len(group) else self.split.batch(groups[0][:1]).without_targets()
            for _, group in own
        ]
        return Share(tuple(batches), tuple(number for number, _ in own), tokens)


class Shares(Dataset[Share]):
    """The shares of one process, indexed by update, for a DataLoader.

    Args:
        batches: batches of the run.
        accumulate: batches per update.
        rank: rank of the process, from 0.
        processes: number of processes that share each update.
    """

    def __init__(self, batches: TrainingBatches, accumulate: int, rank: int, processes: int) -> None:
        self.batches, self.accumulate, self.rank, self.processes = batches, accumulate, rank, processes

    def __getitem__(self, update: int) -> Share:
        return self.batches.share(update, self.accumulate, self.rank, self.processes)


def validation_batches(split: PairedSplit, batch_tokens: int, sentences: int | None = None) -> Iterator[Batch]:
    """Yield batches of all pairs, or of ``sentences`` pairs spread evenly over the split."""
    for batch in length_batches(split, batch_tokens, spread_numbers(len(split), sentences)):
        yield split.batch(batch)


def spread_numbers(length: int, sentences: int | None = None) -> Indices:
    """Return the indices of all sentences of a split, or of ``sentences`` spread evenly over it."""
    if sentences is None or sentences >= length:
        return np.arange(length)
    return np.linspace(0, length - 1, sentences).astype(np.int64)


def data_digest(data: Path, task: Task) -> str:
    """Return a digest of the dictionaries and binarised splits that training reads."""
    hasher = hashlib.sha256()
    languages = task.languages
    pair = "-".join(languages)
    paths = [data / f"dict.{language}.txt" for language in languages]
    paths += [
        data / "binary" / f"{split}.{pair}.{language}.{ending}"
        for split in ("train", "validation")
        for language in languages
        for ending in ("bin", "idx")
    ]
    for path in paths:
        hasher.update(bytes.fromhex(file_digest(path)))
    return hasher.hexdigest()[:16]
