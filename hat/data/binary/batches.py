"""Token batches: sentences of like length together, so that little of a batch is padding."""

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


@dataclass(frozen=True)
class Batch:
    """Sentence pairs, padded on the right: source [B, S], target shifted right [B, T], target [B, T]."""

    source: Tensor
    previous: Tensor
    target: Tensor
    tokens: int  # of the target, end symbols included

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; copied in the background where its memory is pinned."""
        source, previous, target = (
            part.to(device, non_blocking=True) for part in (self.source, self.previous, self.target)
        )
        return Batch(source, previous, target, self.tokens)

    def pin_memory(self) -> "Batch":
        """The batch in memory that a GPU copies from directly."""
        source, previous, target = (part.pin_memory() for part in (self.source, self.previous, self.target))
        return Batch(source, previous, target, self.tokens)

    def without_targets(self) -> "Batch":
        """The batch with nothing to learn from: its loss and gradients are zero."""
        return Batch(self.source, self.previous, torch.full_like(self.target, PAD), 0)


@dataclass(frozen=True)
class Share:
    """What one process does in an update.

    ``numbers`` tells the batches of an update apart, over all processes; ``tokens`` is the number of target tokens of
    the whole update.
    """

    batches: tuple[Batch, ...]
    numbers: tuple[int, ...]
    tokens: int

    def pin_memory(self) -> "Share":
        """See :meth:`Batch.pin_memory`."""
        return Share(tuple(batch.pin_memory() for batch in self.batches), self.numbers, self.tokens)


class PairedSplit:
    """A binarised split: sentence pairs and their lengths.

    Args:
        data: folder of the task's data.
        task: names the languages.
        split: ``train``, ``validation`` or ``test``.
        target: prefix of other targets of the same sources.
    """

    def __init__(self, data: Path, task: Task, split: str, target: Path | None = None) -> None:
        prefix = data / "binary" / f"{split}.{task.source_language}-{task.target_language}"
        self.source = IndexedDataset(f"{prefix}.{task.source_language}")
        self.target = IndexedDataset(target or f"{prefix}.{task.target_language}")

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """The pairs of these numbers as one batch, both sides padded on the right."""
        source = _padded([self.source[number] for number in numbers])
        target = _padded([self.target[number] for number in numbers])
        previous = torch.full_like(target, PAD)
        previous[:, 0] = END
        previous[:, 1:] = target[:, :-1].masked_fill(target[:, :-1] == END, PAD)
        return Batch(source, previous, target, int((target != PAD).sum()))


def _padded(sentences: list[npt.NDArray[np.integer]]) -> Tensor:
    result = np.full((len(sentences), max(map(len, sentences))), PAD, dtype=np.int64)
    for row, sentence in zip(result, sentences, strict=True):
        row[: len(sentence)] = sentence
    return torch.from_numpy(result)


def length_batches(
    split: PairedSplit, batch_tokens: int, numbers: npt.NDArray[np.int64] | None = None
) -> list[npt.NDArray[np.int64]]:
    """Sentence numbers of batches, each of at most ``batch_tokens`` on either side, padding included.

    Args:
        split: the sentences.
        batch_tokens: a longer single sentence still makes a batch of its own.
        numbers: the sentences to use, in the order that breaks ties; all where absent.
    """
    if numbers is None:
        numbers = np.arange(len(split))
    source, target = split.source.sizes[numbers], split.target.sizes[numbers]
    # Source lengths rise for one target length and fall for the next, so that neighbours at the border are alike too.
    order = np.lexsort((np.where(target % 2, -source, source), target))
    batches, begin, longest = [], 0, 0
    for end, row in enumerate(order):
        longest_here = max(longest, int(source[row]), int(target[row]))
        if end > begin and longest_here * (end + 1 - begin) > batch_tokens:
            batches.append(numbers[order[begin:end]])
            begin, longest_here = end, max(int(source[row]), int(target[row]))
        longest = longest_here
    batches.append(numbers[order[begin:]])
    return batches


def padding_share(split: PairedSplit, batches: list[npt.NDArray[np.int64]]) -> float:
    """Part of all positions, both sides together, that is padding."""
    real = padded = 0
    for numbers in batches:
        for sizes in (split.source.sizes[numbers], split.target.sizes[numbers]):
            real += int(sizes.sum())
            padded += int(sizes.max()) * len(numbers)
    return 1 - real / padded


class TrainingBatches:
    """Batches of any update, a function of the seed and the update alone: nothing needs saving to resume.

    Every epoch groups and orders the sentences anew.
    """

    def __init__(self, split: PairedSplit, batch_tokens: int, seed: int) -> None:
        self.split = split
        self.batch_tokens = batch_tokens
        self.seed = seed
        self._epochs: dict[int, list[npt.NDArray[np.int64]]] = {}
        self._starts = [0]

    def _epoch(self, number: int) -> list[npt.NDArray[np.int64]]:
        if number not in self._epochs:
            rng = np.random.default_rng((self.seed, number))
            batches = length_batches(self.split, self.batch_tokens, rng.permutation(len(self.split)))
            order = rng.permutation(len(batches))
            self._epochs = {number: [batches[i] for i in order]}
        return self._epochs[number]

    def numbers(self, index: int) -> npt.NDArray[np.int64]:
        """Sentence numbers of batch ``index``, counted from 0 over all epochs."""
        epoch = 0
        while True:
            if epoch + 1 == len(self._starts):
                self._starts.append(self._starts[-1] + len(self._epoch(epoch)))
            if index < self._starts[epoch + 1]:
                return self._epoch(epoch)[index - self._starts[epoch]]
            epoch += 1

    def __getitem__(self, index: int) -> Batch:
        """Batch ``index``, counted from 0 over all epochs."""
        return self.split.batch(self.numbers(index))

    def share(self, update: int, accumulate: int, rank: int = 0, processes: int = 1) -> Share:
        """What process ``rank`` of several does in an update: together the same sentences, however many they are.

        Whole batches where they can be dealt out evenly, else a part of the sentences of each.

        Args:
            update: counted from 1.
            accumulate: batches of an update.
            rank: of this process, from 0.
            processes: that share the update.
        """
        all_numbers = [self.numbers((update - 1) * accumulate + i) for i in range(accumulate)]
        tokens = sum(int(self.split.target.sizes[numbers].sum()) for numbers in all_numbers)
        if accumulate % processes == 0:
            dealt = list(enumerate(all_numbers))[rank::processes]
        else:
            dealt = [(i * processes + rank, numbers[rank::processes]) for i, numbers in enumerate(all_numbers)]
        batches = [
            # All processes take part in all exchanges, so one without sentences goes through the motions.
            self.split.batch(numbers) if len(numbers) else self.split.batch(all_numbers[0][:1]).without_targets()
            for _, numbers in dealt
        ]
        return Share(tuple(batches), tuple(number for number, _ in dealt), tokens)


class Shares(Dataset[Share]):
    """The shares of one process by update, for a DataLoader.

    Args:
        batches: of the run.
        accumulate: batches of an update.
        rank: of this process, from 0.
        processes: that share each update.
    """

    def __init__(self, batches: TrainingBatches, accumulate: int, rank: int, processes: int) -> None:
        self.batches, self.accumulate, self.rank, self.processes = batches, accumulate, rank, processes

    def __getitem__(self, update: int) -> Share:
        return self.batches.share(update, self.accumulate, self.rank, self.processes)


def validation_batches(split: PairedSplit, batch_tokens: int, sentences: int | None = None) -> Iterator[Batch]:
    """All pairs, or that many spread evenly over the split, as batches."""
    for batch in length_batches(split, batch_tokens, spread_numbers(len(split), sentences)):
        yield split.batch(batch)


def spread_numbers(length: int, sentences: int | None = None) -> npt.NDArray[np.int64]:
    """Numbers of all sentences of a split, or of that many spread evenly over it."""
    if sentences is None or sentences >= length:
        return np.arange(length)
    return np.linspace(0, length - 1, sentences).astype(np.int64)


def data_digest(data: Path, task: Task) -> str:
    """Digest of the dictionaries and binarised splits that training reads."""
    hasher = hashlib.sha256()
    languages = (task.source_language, task.target_language)
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
