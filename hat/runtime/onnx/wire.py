"""Serialise ONNX models: the few Protocol Buffers messages that they need, so that devices need no onnx package.

Every function returns the bytes of one message of onnx.proto, with the field and type numbers defined there.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

# onnx.proto, AttributeProto.AttributeType.
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7
# onnx.proto, TensorProto.DataType.
_DATA_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
_EXTERNAL = 1
_IR_VERSION = 10
OPSETS: Mapping[str, int] = {"": 21, "com.microsoft": 1}

Attribute = int | float | str | Sequence[int]
Dimension = int | str


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers are written as their two's complement
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _block(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, str):
        content = _block(4, value) + _number(20, _STRING)
    elif isinstance(value, int):
        content = _number(3, value) + _number(20, _INT)
    elif isinstance(value, float):
        content = _float(2, value) + _number(20, _FLOAT)
    else:
        content = b"".join(_number(8, one) for one in value) + _number(20, _INTS)
    return _block(1, name) + content


def node(
    kind: str, inputs: Iterable[str], outputs: Iterable[str], attributes: Mapping[str, Attribute], domain: str = ""
) -> bytes:
    """Serialise a node; an empty name stands for an omitted optional input or output."""
    return b"".join(
        [
            *(_block(1, name) for name in inputs),
            *(_block(2, name) for name in outputs),
            _block(4, kind),
            *(_block(5, _attribute(name, value)) for name, value in attributes.items()),
            _block(7, domain),
        ]
    )


def value(name: str, data_type: str, dimensions: Sequence[Dimension]) -> bytes:
    """Serialise an input or output of a graph; a string names a dimension of variable size."""
    sizes = b"".join(_block(1, _block(2, size) if isinstance(size, str) else _number(1, size)) for size in dimensions)
    tensor = _number(1, _DATA_TYPES[data_type]) + _block(2, sizes)
    return _block(1, name) + _block(2, _block(1, tensor))


def _tensor(name: str, array: npt.NDArray[np.generic]) -> bytes:
    dimensions = b"".join(_number(1, size) for size in array.shape)
    return dimensions + _number(2, _DATA_TYPES[array.dtype.name]) + _block(8, name)


def inline(name: str, array: npt.NDArray[np.generic]) -> bytes:
    """Serialise a constant with its data."""
    return _tensor(name, array) + _block(9, array.tobytes())


def external(name: str, array: npt.NDArray[np.generic], location: str, offset: int) -> bytes:
    """Serialise a constant whose data start at byte ``offset`` of a file beside the model."""
    entries = {"location": location, "offset": str(offset), "length": str(array.nbytes)}
    data = (_block(13, _block(1, key) + _block(2, text)) for key, text in entries.items())
    return _tensor(name, array) + b"".join(data) + _number(14, _EXTERNAL)


def model(
    name: str,
    nodes: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    constants: Iterable[bytes],
    properties: Mapping[str, str],
) -> bytes:
    """Serialise a model of one graph, with metadata properties."""
    graph = b"".join(
        [
            *(_block(1, one) for one in nodes),
            _block(2, name),
            *(_block(5, one) for one in constants),
            *(_block(11, one) for one in inputs),
            *(_block(12, one) for one in outputs),
        ]
    )
    opsets = (_block(8, _block(1, domain) + _number(2, version)) for domain, version in OPSETS.items())
    metadata = (_block(14, _block(1, key) + _block(2, text)) for key, text in properties.items())
    return _number(1, _IR_VERSION) + _block(2, "hat") + _block(7, graph) + b"".join([*opsets, *metadata])


def model_part(constants: Iterable[bytes]) -> bytes:
    """Serialise further constants to append to a model: concatenated messages are read as one."""
    return _block(7, b"".join(_block(5, one) for one in constants))
