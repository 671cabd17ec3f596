"""Build ONNX graphs node by node, with large constants in a file beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from hat.runtime.onnx import wire

CONTRIB = "com.microsoft"
# Constants up to this many bytes stay inside the model: ONNX Runtime reads some of them while it optimises.
_INLINE_BYTES = 1024
# Constants in the file begin at multiples of this many bytes, for aligned loads.
_ALIGNMENT = 64
# Weights that share a scale in int4.
_BLOCK = 32

Array = npt.NDArray[np.generic]


class ConstantFile:
    """A file with the constants of several graphs, one after the other."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name

    def append(self, array: Array) -> int:
        """Write an array; return the offset of its first byte."""
        self.stream.write(bytes(-self.stream.tell() % _ALIGNMENT))
        offset = self.stream.tell()
        self.stream.write(np.ascontiguousarray(array).data)
        return offset


class Graph:
    """An ONNX graph under construction.

    Args:
        name: its name in the model.
        precision: precision of :meth:`linear`: ``fp32``, ``int8`` (weights and activations) or ``int4`` (weights).
        constants: file for large constants; default: all constants stay inside the model.
    """

    def __init__(self, name: str, precision: str, constants: ConstantFile | None = None) -> None:
        self.name, self.constants, self.precision = name, constants, precision
        self._nodes: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._constants: list[bytes] = []
        self._names = 0

    def _fresh(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def input(self, name: str, data_type: str, dimensions: Sequence[wire.Dimension]) -> str:
        """Add an input; a string names a dimension of variable size."""
        self._inputs.append(wire.value(name, data_type, dimensions))
        return name

    def output(self, name: str, data_type: str, dimensions: Sequence[wire.Dimension]) -> str:
        """Add an output, which a node must produce; a string names a dimension of variable size."""
        self._outputs.append(wire.value(name, data_type, dimensions))
        return name

    def constant(self, array: Array) -> str:
        """Add a constant; return its name."""
        name = self._fresh()
        if self.constants is None or array.nbytes <= _INLINE_BYTES:
            self._constants.append(wire.inline(name, array))
        else:
            self._constants.append(wire.external(name, array, self.constants.name, self.constants.append(array)))
        return name

    def constant_in(self, path: Path, array: Array) -> str:
        """Add a constant whose data are the last bytes of a file beside the model; return its name."""
        name = self._fresh()
        self._constants.append(wire.external(name, array, path.name, path.stat().st_size - array.nbytes))
        return name

    def node(
        self, kind: str, *inputs: str, outputs: Sequence[str] = (), domain: str = "", **attributes: wire.Attribute
    ) -> str:
        """Add a node; return its first output, which gets a fresh name if ``outputs`` is empty."""
        outputs = outputs or [self._fresh()]
        self._nodes.append(wire.node(kind, inputs, outputs, attributes, domain))
        return outputs[0]

    def split(self, x: str, parts: int) -> list[str]:
        """Split the last dimension into equal parts."""
        names = [self._fresh() for _ in range(parts)]
        self.node("Split", x, outputs=names, axis=-1, num_outputs=parts)
        return names

    def linear(self, x: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None) -> str:
        """Add a linear map with a weight [O, I] and a bias [O], [..., I] -> [..., O]."""
        added = "" if bias is None else self.constant(bias)
        if self.precision == "int8":
            rows, scales = quantised_rows(weight)
            return self.quantised_product(x, self.constant(rows.T), self.constant(scales), added)
        if self.precision == "int4":
            packed, scales = packed_blocks(weight)
            return self.node(
                "MatMulNBits",
                *(x, self.constant(packed), self.constant(scales), "", "", *([added] if added else [])),
                domain=CONTRIB,
                K=weight.shape[1],
                N=weight.shape[0],
                bits=4,
                block_size=_BLOCK,
                accuracy_level=4,
            )
        product = self.node("FusedMatMul", x, self.constant(weight), domain=CONTRIB, transB=1)
        return self.node("Add", product, added) if added else product

    def quantised_product(self, x: str, weight: str, scales: str, bias: str = "") -> str:
        """Multiply by an int8 weight [I, O] with scales [O], [..., I] -> [..., O]; ``x`` is quantised as one tensor."""
        inputs = (x, weight, scales, "", bias) if bias else (x, weight, scales)
        return self.node("DynamicQuantizeMatMul", *inputs, domain=CONTRIB)

    def norm(
        self, x: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], epsilon: float = 1e-5
    ) -> str:
        """Add layer normalisation, [..., D] -> [..., D]."""
        return self.node("LayerNormalization", x, self.constant(weight), self.constant(bias), axis=-1, epsilon=epsilon)

    def model(self, properties: Mapping[str, str] = MappingProxyType({})) -> bytes:
        """Return the model's bytes, with metadata properties."""
        return wire.model(self.name, self._nodes, self._inputs, self._outputs, self._constants, properties)


def quantised_rows(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Quantise rows [R, D] to int8; return them with a scale for each row, [R]."""
    scales = np.maximum(np.abs(matrix).max(axis=1) / 127, np.finfo(np.float32).tiny).astype(np.float32)
    scaled = matrix / scales[:, None]
    return np.rint(scaled, out=scaled).astype(np.int8), scales


def packed_blocks(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Quantise rows [R, D] to blocks of four-bit numbers around 8, two per byte, and a scale for each block.

    The last block of a row is padded with zeros.
    """
    rows, dim = matrix.shape
    blocks = -(-dim // _BLOCK)
    filled = np.zeros((rows, blocks * _BLOCK), np.float32)
    filled[:, :dim] = matrix
    filled = filled.reshape(rows, blocks, _BLOCK)
    # The largest in magnitude becomes -8, since the range is -8 to 7.
    largest = np.take_along_axis(filled, np.abs(filled).argmax(axis=2)[..., None], axis=2)
    scales = np.where(largest == 0, np.float32(1), largest / -8)
    numbers = np.clip(np.rint(filled / scales) + 8, 0, 15).astype(np.uint8)
    return numbers[..., ::2] | numbers[..., 1::2] << 4, scales[..., 0]
