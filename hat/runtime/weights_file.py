"""Weights of a network in one NumPy archive; a tensor that several names share is stored once."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hat.artifacts.files import atomic
from hat.artifacts.missing import missing_file
from hat.errors import InputError
from hat.runtime.base import Weights
from hat.runtime.kmeans.stored import read_weights
from hat.space.shape import Shape, shared_names

WEIGHTS = "weights.npz"


def save_weights(path: Path, weights: Weights, shape: Shape) -> None:
    """Write ``weights.npz`` atomically.

    Raises:
        HatError: the disk is full.
    """
    shared = shared_names(shape)
    stored: dict[str, Any] = {name: tensor for name, tensor in weights.items() if name not in shared}
    with atomic(path, "wb") as stream:
        np.savez(stream, **stored)


def load_weights(path: Path, shape: Shape) -> Weights:
    """Read ``weights.npz``, quantised or not; a shared tensor is returned under all its names.

    Raises:
        InputError: the file is missing or cut short, or contains something other than arrays.
    """
    try:
        weights = read_weights(path)
        return weights | {name: weights[origin] for name, origin in shared_names(shape).items()}
    except FileNotFoundError:
        raise missing_file(path) from None
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError) as error:
        raise InputError(f"{path}: not a complete weights file ({error})") from None
