"""Files of quantised networks: indices, code books and the tensors that stay in fp32, in one ``.npz`` file.

As in the published experiment (section "Quantization Friendly" of the paper; the code in issue 3 of its repository),
every weight matrix has its own code book of 2^bits fp32 entries. Biases and norms stay in fp32, and nothing is trained
afterwards. The published experiment also keeps the embeddings and the output projection in fp32 and leaves them out of
its sizes. A small deployed folder cannot do that, so here they are quantised too, unless ``Quantisation.embeddings`` is
false.

Convolutions of the Evolved Transformer count as weight matrices. A tensor that several names share is stored once.
"""

import math
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import atomic
from hat.config.kmeans import BITS, Quantisation
from hat.errors import InputError
from hat.runtime.base import Weights
from hat.runtime.kmeans.cluster import Clusters, cluster
from hat.space.shape import Shape, shared_names
from hat.space.tensors import EMBEDDING_TENSORS

CODEBOOK, INDICES, SHAPE = ":codebook", ":indices", ":shape"


@dataclass(frozen=True, kw_only=True)
class CountedSize:
    """Bytes of a network's weights without names and headers: indices, code books, and tensors in fp32."""

    index_bytes: int
    codebook_bytes: int
    fp32_bytes: int

    @property
    def total_bytes(self) -> int:
        """Sum of the three sizes."""
        return self.index_bytes + self.codebook_bytes + self.fp32_bytes

    def to_dict(self) -> dict[str, int]:
        """Return the three sizes and their sum."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def write_quantised(path: Path, weights: Weights, shape: Shape, quantisation: Quantisation) -> None:
    """Quantise the matrices of a network and write all tensors atomically, shared ones once.

    Args:
        path: the ``.npz`` file.
        weights: tensors by name.
        shape: says which names share a tensor.
        quantisation: number of bits, and whether embeddings are quantised.

    Raises:
        InputError: a weight is not finite.
    """
    shared, arrays = shared_names(shape), dict[str, Any]()
    for name, tensor in weights.items():
        if name in shared:
            continue
        if tensor.ndim < 2 or (name in EMBEDDING_TENSORS and not quantisation.embeddings):
            arrays[name] = tensor
            continue
        try:
            clusters = cluster(tensor, 2**quantisation.bits)
        except ValueError as error:
            raise InputError(f"{name}: cannot be quantised ({error})") from None
        arrays[name + CODEBOOK] = clusters.codebook
        arrays[name + INDICES] = pack(clusters.indices, quantisation.bits)
        arrays[name + SHAPE] = np.array(tensor.shape, np.int32)
    with atomic(path, "wb") as stream:
        np.savez(stream, **arrays)


def read_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read the tensors of an ``.npz`` file; quantised ones become fp32 with the values of their code books.

    Raises:
        FileNotFoundError, OSError, EOFError, zipfile.BadZipFile: the file is missing or incomplete.
        ValueError: its parts do not fit together.
    """
    arrays, tensors = _arrays(path), {}
    for name, array in arrays.items():
        if name.endswith(CODEBOOK):
            tensor = name.removesuffix(CODEBOOK)
            if tensor + INDICES not in arrays or tensor + SHAPE not in arrays:
                raise ValueError(f"{tensor} has a code book, but no indices or no shape")
            tensors[tensor] = _clusters(tensor, array, arrays[tensor + INDICES], arrays[tensor + SHAPE]).values
        elif not name.endswith((INDICES, SHAPE)):
            tensors[name] = array
    return tensors


def counted_size(path: Path) -> CountedSize:
    """Count the bytes of a file that :func:`write_quantised` wrote."""
    arrays = _arrays(path)

    def total(suffix: str) -> int:
        return sum(array.nbytes for name, array in arrays.items() if name.endswith(suffix))

    fp32 = sum(array.nbytes for name, array in arrays.items() if not name.endswith((CODEBOOK, INDICES, SHAPE)))
    return CountedSize(index_bytes=total(INDICES), codebook_bytes=total(CODEBOOK), fp32_bytes=fp32)


def pack(indices: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    """Pack indices into bytes in order: with 4 bits two per byte, the first in the lower half."""
    flat = indices.reshape(-1)
    if bits == 8:
        return flat
    if len(flat) % 2:
        flat = np.append(flat, np.uint8(0))
    return flat[::2] | np.left_shift(flat[1::2], 4, dtype=np.uint8)


def unpack(packed: npt.NDArray[np.uint8], count: int, bits: int) -> npt.NDArray[np.uint8]:
    """Return the first ``count`` indices: the inverse of :func:`pack`."""
    if bits == 8:
        return packed[:count]
    indices = np.empty(2 * len(packed), np.uint8)
    indices[::2], indices[1::2] = packed & 15, packed >> 4
    return indices[:count]


def _clusters(name: str, codebook: npt.NDArray[Any], packed: npt.NDArray[Any], shape: npt.NDArray[Any]) -> Clusters:
    if codebook.dtype != np.float32 or packed.dtype != np.uint8 or any(x.ndim != 1 for x in (codebook, packed, shape)):
        raise ValueError(f"{name}: expected a code book in fp32 and indices in bytes")
    sizes = [int(size) for size in shape]
    count = math.prod(sizes)
    # A code book of 16 entries or fewer may belong to 4 or 8 bits; the number of bytes tells which.
    bits = next((bits for bits in reversed(BITS) if len(packed) == -(-count * bits // 8)), None)
    if bits is None or min(sizes, default=0) < 1:
        raise ValueError(f"{name} has {len(packed)} bytes of indices for the shape {sizes}, expected 4 or 8 bits each")
    indices = unpack(packed, count, bits)
    if indices.max() >= len(codebook):
        raise ValueError(f"{name} has an index {indices.max()} into a code book of {len(codebook)} entries")
    return Clusters(codebook, indices.reshape(sizes))


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise zipfile.BadZipFile("no .npz file")
        return {name: stored[name] for name in stored.files}
