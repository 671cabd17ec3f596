"""Token embeddings in memory-mapped files, since a sentence reads only a few rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from hat.artifacts.missing import missing_file
from hat.errors import InputError
from hat.runtime.base import Weights
from hat.runtime.onnx.graph import quantised_rows
from hat.space.shape import Shape

if TYPE_CHECKING:
    from hat.space.kinds import AnyArchitecture


@dataclass(frozen=True)
class Table:
    """Embeddings of V tokens: float32 [V, D], or int8 [V, D] with a scale for each row, [V]."""

    rows: npt.NDArray[Any]
    scales: npt.NDArray[np.float32] | None

    @classmethod
    def of(cls, matrix: npt.NDArray[np.float32], precision: str) -> Self:
        """Make a table from a matrix: float32 for ``fp32``, int8 for any other precision."""
        return cls(np.ascontiguousarray(matrix), None) if precision == "fp32" else cls(*quantised_rows(matrix))

    def save(self, folder: Path, name: str) -> None:
        """Write the table's files."""
        np.save(rows_path(folder, name), self.rows)
        if self.scales is not None:
            np.save(scales_path(folder, name), self.scales)

    @classmethod
    def load(cls, folder: Path, name: str, precision: str, size: tuple[int, int]) -> Self:
        """Map the table's files into memory.

        Raises:
            InputError: a file is missing, malformed, or has another data type or size.
        """
        if precision == "fp32":
            return cls(_mapped(rows_path(folder, name), np.float32, size), None)
        return cls(
            _mapped(rows_path(folder, name), np.int8, size), _mapped(scales_path(folder, name), np.float32, size[:1])
        )


def rows_path(folder: Path, name: str) -> Path:
    """Return the path of a table's rows."""
    return folder / f"{name}.npy"


def scales_path(folder: Path, name: str) -> Path:
    """Return the path of a table's scales."""
    return folder / f"{name}_scales.npy"


def table_names(architecture: "AnyArchitecture", shape: Shape) -> Mapping[str, str]:
    """Return the names of the tables of ``source``, ``target`` and ``projection``; shared ones have one name."""
    same = shape.share_embeddings == "all" and architecture.encoder_embed_dim == architecture.decoder_embed_dim
    target = "source" if same else "target"
    return {
        "source": "source",
        "target": target,
        "projection": "projection" if shape.share_embeddings == "none" else target,
    }


def make_tables(architecture: "AnyArchitecture", shape: Shape, weights: Weights, precision: str) -> dict[str, Table]:
    """Make a network's tables by name; embeddings that both sides share are cut to the width of each side."""
    encoder, decoder = architecture.encoder_embed_dim, architecture.decoder_embed_dim
    tensors = {
        "source": weights["source_embedding.weight"][:, :encoder],
        "target": weights["target_embedding.weight"][:, :decoder],
        "projection": weights["projection.weight"][:, :decoder],
    }
    return {name: Table.of(tensors[name], precision) for name in sorted(set(table_names(architecture, shape).values()))}


def _mapped(path: Path, data_type: type[np.generic], size: tuple[int, ...]) -> npt.NDArray[Any]:
    try:
        # Viewed as a plain array, since indexing a numpy.memmap is slow.
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise missing_file(path) from None
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a complete weights file ({error})") from None
    if array.dtype != data_type or array.shape != size:
        expected = f"{np.dtype(data_type)} {list(size)}"
        raise InputError(f"{path}: holds {array.dtype} {list(array.shape)}, expected {expected} for this model")
    return array
