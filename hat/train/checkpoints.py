"""Checkpoints of a run: written atomically, the latest kept, the newest whole one read back."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from hat.artifacts.files import atomic, disk_error
from hat.artifacts.missing import missing_file
from hat.config.training import Training
from hat.errors import InputError
from hat.train.metrics import Meter
from hat.train.processes import ALONE, Processes

Weights = dict[str, Tensor]


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Raises:
        HatError: the disk is full; an older file of that name stays.
    """
    try:
        with atomic(path, "wb") as stream:
            torch.save(content, stream)
    except RuntimeError as error:
        # torch wraps errors of the file system.
        cause = error.__context__
        if isinstance(cause, OSError) and (failure := disk_error(cause, path)) is not None:
            raise failure from None
        raise


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint, unpickling only tensors and plain values.

    Raises:
        InputError: the file is missing, truncated, or holds other objects.
    """
    try:
        return cast(dict[str, Any], torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise missing_file(path) from None
    except Exception as error:
        raise InputError(f"{path}: not a whole checkpoint ({str(error).splitlines()[0]})") from None


class CheckpointFolder:
    """Checkpoints of one run in ``folder/DIGEST``; DIGEST covers its settings and data.

    Checkpoints of other settings are removed, since they cannot be resumed. The first process writes; all read.

    Args:
        folder: folder of the stage's unfinished runs.
        digest: digest of everything that the result depends on.
        training: number of checkpoints to keep, and choice of the final weights.
        processes: this process among those that train together.
    """

    def __init__(self, folder: Path, digest: str, training: Training, processes: Processes = ALONE) -> None:
        self.folder = folder / digest
        self.training = training
        self.processes = processes
        self.best = self.folder / "best.pt"
        if not processes.first:
            return
        for other in folder.glob("*"):
            if other.is_dir() and other.name != digest:
                shutil.rmtree(other)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _path(self, update: int) -> Path:
        return self.folder / f"update-{update:08d}.pt"

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("update-*.pt"))

    def save(self, update: int, content: dict[str, Any]) -> None:
        """Write the checkpoint of an update and remove old ones."""
        if not self.processes.first:
            return
        save(self._path(update), content)
        # The one before the latest stays as a fallback.
        keep = max(2, self.training.keep_checkpoints, self.training.average_checkpoints)
        for path in self._paths()[:-keep]:
            path.unlink()

    def offer(self, nll: float, meter: Meter, model: nn.Module) -> None:
        """Save the weights if their validation nll is the lowest so far."""
        # NaN compares as False.
        if not nll < meter.best:
            return
        meter.best = nll
        if self.processes.first and self.training.final_weights == "best":
            save(self.best, {"model": model.state_dict(), "nll": nll})

    def latest(self) -> dict[str, Any] | None:
        """Return the newest whole checkpoint, or None; report and remove broken ones."""
        found = self._newest_whole() if self.processes.first else None
        update = self.processes.from_first(found["update"] if found is not None else None)
        if update is None or self.processes.first:
            return found
        return load(self._path(update))

    def _newest_whole(self) -> dict[str, Any] | None:
        for path in reversed(self._paths()):
            try:
                return load(path)
            except InputError as error:
                print(f"{error}; resuming from the checkpoint before it", flush=True)
                path.unlink()
        return None

    def final(self) -> Weights:
        """Return the best weights, or the average of the last checkpoints."""
        if self.training.final_weights == "best":
            return cast(Weights, load(self.best)["model"])
        return average(self._paths()[-self.training.average_checkpoints :])


def average(paths: Sequence[Path]) -> Weights:
    """Return the average weights of checkpoints, summed in fp64 and rounded once."""
    total: Weights = {}
    kinds: dict[str, torch.dtype] = {}
    for path in paths:
        for name, tensor in load(path)["model"].items():
            kinds[name] = tensor.dtype
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {name: (tensor / len(paths)).to(kinds[name]) for name, tensor in total.items()}
