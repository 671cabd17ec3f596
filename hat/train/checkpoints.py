"""Checkpoints of a run: written atomically, the latest kept, read back from the newest that is whole."""

import shutil
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from hat.artifacts import atomic, disk_error
from hat.errors import InputError

Weights = dict[str, Tensor]


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Raises:
        HatError: the disk is full; what was there stays.
    """
    try:
        with atomic(path, "wb") as stream:
            torch.save(content, stream)
    except RuntimeError as error:
        # torch wraps what the file system said.
        cause = error.__context__
        if isinstance(cause, OSError) and (failure := disk_error(cause, path)) is not None:
            raise failure from None
        raise


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are unpickled.

    Raises:
        InputError: the file is missing, cut short, or holds anything else.
    """
    try:
        return cast(dict[str, Any], torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:
        raise InputError(f"{path}: not a whole checkpoint ({str(error).splitlines()[0]})") from None


class CheckpointFolder:
    """Checkpoints of one run below ``folder/DIGEST``, where the digest is that of its settings and data.

    Checkpoints of other settings are removed: they cannot be continued.

    Args:
        folder: folder of the stage's unfinished work.
        digest: digest of everything that the result depends on.
        keep: how many of the latest to keep.
    """

    def __init__(self, folder: Path, digest: str, keep: int) -> None:
        self.folder = folder / digest
        self.keep = keep
        for other in folder.glob("*"):
            if other.is_dir() and other.name != digest:
                shutil.rmtree(other)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("update-*.pt"))

    def save(self, update: int, content: dict[str, Any]) -> None:
        """Write the checkpoint of an update and remove those that are too old."""
        save(self.folder / f"update-{update:08d}.pt", content)
        for path in self._paths()[: -self.keep]:
            path.unlink()

    def latest(self) -> dict[str, Any] | None:
        """The newest whole checkpoint, None where there is none; broken ones are named, removed and passed over."""
        for path in reversed(self._paths()):
            try:
                return load(path)
            except InputError as error:
                print(f"{error}; going on from the checkpoint before it", flush=True)
                path.unlink()
        return None

    def average(self, count: int) -> Weights:
        """Mean of the weights of the last checkpoints, in fp64, rounded once.

        Where fewer than ``count`` exist, of those.
        """
        total: Weights = {}
        paths = self._paths()[-count:]
        kinds: dict[str, torch.dtype] = {}
        for path in paths:
            for name, tensor in load(path)["model"].items():
                kinds[name] = tensor.dtype
                total[name] = total[name] + tensor.double() if name in total else tensor.double()
        return {name: (tensor / len(paths)).to(kinds[name]) for name, tensor in total.items()}
