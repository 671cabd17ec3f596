"""Binarised splits as memory-mapped files, in fairseq's ``mmap`` format.

``PREFIX.bin`` holds the token ids of all sentences, concatenated. ``PREFIX.idx`` holds a header, then the length of
each sentence (int32), then the offset of each sentence in bytes (int64). Everything is little-endian.
"""

import contextlib
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import atomic
from hat.artifacts.missing import missing_file
from hat.errors import InputError

MAGIC = b"MMIDIDX\x00\x00"
HEADER = struct.Struct("<9sQBQ")
VERSION = 1
TYPES: dict[int, type[np.integer]] = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}
# fairseq stores a token id in two bytes if the dictionary is smaller than this.
SHORT_LIMIT = 65500
SENTENCES_PER_WRITE = 1 << 20


class IndexedDataset:
    """The sentences of a memory-mapped binarised split.

    Args:
        prefix: path without ``.bin`` and ``.idx``.

    Raises:
        InputError: a file is missing, truncated, or of another format.
    """

    def __init__(self, prefix: Path | str) -> None:
        self.prefix = Path(prefix)
        index, data = _files(self.prefix)
        header = _map(index, np.dtype(np.uint8))[: HEADER.size].tobytes()
        if len(header) < HEADER.size or not header.startswith(MAGIC):
            raise InputError(f"{index}: not an index of a binarised split")
        _, version, code, count = HEADER.unpack(header)
        if version != VERSION or code not in TYPES:
            raise InputError(f"{index}: version {version} and type {code}, expected version {VERSION} and a known type")
        expected = HEADER.size + count * 12
        if index.stat().st_size != expected:
            raise InputError(f"{index}: {index.stat().st_size} bytes for {count} sentences, expected {expected}")
        body = _map(index, np.dtype(np.uint8))[HEADER.size :]
        self.sizes: npt.NDArray[np.int32] = body[: 4 * count].view("<i4")
        self._starts: npt.NDArray[np.int64] = body[4 * count :].view("<i8")
        self._data = _map(data, np.dtype(TYPES[code]).newbyteorder("<"))
        self._width = self._data.itemsize
        ends = self._starts + self.sizes * np.int64(self._width)
        if count and (self._starts.min() < 0 or self.sizes.min() < 0 or (self._starts % self._width).any()):
            raise InputError(f"{index}: has offsets that are impossible in {data.name}")
        if count and ends.max() > data.stat().st_size:
            raise InputError(f"{data}: {data.stat().st_size} bytes, expected {ends.max()}; the file is truncated")

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> npt.NDArray[np.integer]:
        """Return the token ids of one sentence, as a read-only view [sizes[index]]."""
        begin = int(self._starts[index]) // self._width
        return self._data[begin : begin + int(self.sizes[index])]

    @property
    def tokens(self) -> npt.NDArray[np.integer]:
        """The token ids of all sentences, concatenated, as a read-only view."""
        return self._data

    def __iter__(self) -> Iterator[npt.NDArray[np.integer]]:
        return (self[index] for index in range(len(self)))


class IndexedWriter:
    """Writes one side of a binarised split; both files appear at the end of the ``with`` block.

    Args:
        prefix: path without ``.bin`` and ``.idx``.
        vocabulary: size of the dictionary, which determines the bytes per token id.
    """

    def __init__(self, prefix: Path | str, vocabulary: int) -> None:
        self.prefix = Path(prefix)
        self.type: np.dtype[np.integer] = np.dtype("<u2" if vocabulary < SHORT_LIMIT else "<i4")
        self._code = 8 if vocabulary < SHORT_LIMIT else 4
        # Length of each sentence, in four bytes.
        self._sizes = array("i")
        self._stack = contextlib.ExitStack()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> "IndexedWriter":
        index, data = _files(self.prefix)
        # The index marks the split as complete, so an old index must not stand beside new data.
        index.unlink(missing_ok=True)
        self._stream = self._stack.enter_context(atomic(data, "wb"))
        return self

    def add(self, token_ids: npt.ArrayLike) -> None:
        """Append one sentence, [tokens]."""
        sentence = np.asarray(token_ids, dtype=self.type)
        self.add_all(sentence, np.array([len(sentence)]))

    def add_all(self, token_ids: npt.NDArray[np.integer], sizes: npt.NDArray[np.integer]) -> None:
        """Append several sentences, given as concatenated token ids [tokens] and their lengths [sentences]."""
        assert self._stream is not None, "use the writer in a with statement"
        self._sizes.frombytes(sizes.astype(np.intc).tobytes())
        self._stream.write(token_ids.astype(self.type, copy=False).tobytes())

    def __exit__(self, *raised: object) -> None:
        self._stack.__exit__(*raised)  # type: ignore[arg-type]
        if raised[0] is not None:
            return
        sizes = np.frombuffer(self._sizes, dtype=np.intc)
        with atomic(_files(self.prefix)[0], "wb") as stream:
            stream.write(HEADER.pack(MAGIC, VERSION, self._code, len(sizes)))
            stream.write(sizes.astype("<i4", copy=False).data)
            start = 0
            for first in range(0, len(sizes), SENTENCES_PER_WRITE):
                lengths = sizes[first : first + SENTENCES_PER_WRITE].astype("<i8") * self.type.itemsize
                ends = start + np.cumsum(lengths)
                stream.write((ends - lengths).tobytes())
                start = ends[-1]


def _files(prefix: Path) -> tuple[Path, Path]:
    return prefix.with_name(prefix.name + ".idx"), prefix.with_name(prefix.name + ".bin")


def _map(path: Path, kind: "np.dtype[np.integer]") -> npt.NDArray[np.integer]:
    try:
        size = path.stat().st_size
        if not size:
            return np.zeros(0, dtype=kind)
        if size % kind.itemsize:
            raise InputError(f"{path}: {size} bytes, expected a multiple of {kind.itemsize}; the file is truncated")
        return np.memmap(path, dtype=kind, mode="r")
    except FileNotFoundError:
        raise missing_file(path) from None
