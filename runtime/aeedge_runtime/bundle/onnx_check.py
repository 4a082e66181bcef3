"""Checks of an .onnx file before onnxruntime opens it: finite weights, all of them inside the file.

One NaN among the weights loads and runs, and every image it touches is silently wrong. This walk over the protobuf
needs no onnx package and costs about as much as the hash of the file.
(Field numbers: onnx.proto of ONNX; wire format: the Protocol Buffers encoding.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError

_PARTS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor"},
}
"""Messages that can hold tensors: field number -> message."""

_MAX_DEPTH = 32  # messages within messages; a graph inside a loop inside a function has 10

_TYPE, _FLOATS, _INTEGERS, _NAME, _RAW, _DOUBLES, _PLACES, _LOCATION = 2, 4, 5, 8, 9, 10, 13, 14  # of a TensorProto

_FORMATS = {1: ("<u4", 0x7F800000), 10: ("<u2", 0x7C00), 11: ("<u8", 0x7FF0000000000000), 16: ("<u2", 0x7F80)}
"""Float types of ONNX (float32, float16, float64, bfloat16): as integers, and the exponent of NaN and infinity."""

_BLOCK = 1 << 18  # values checked at once: they stay in the cache, and a tensor of 500 MB needs no second one

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5

_Field = tuple[int, int, int | memoryview]


def check_weights(data: bytes, name: str) -> None:
    """Check all tensors of a graph.

    Args:
        data: bytes of an .onnx file.
        name: for messages.

    Raises:
        BundleError: not an ONNX graph, a tensor that holds NaN or infinity, or one kept outside the file.
    """
    for tensor in _tensors(memoryview(data), "model", name, 0):
        _check_tensor(tensor, name)


def _tensors(data: memoryview, message: str, name: str, depth: int) -> Iterator[memoryview]:
    if depth > _MAX_DEPTH:
        raise BundleError(f"{name}: messages nested more than {_MAX_DEPTH} deep; this is not an exported graph")
    parts = _PARTS[message]
    for number, wire, value in _fields(data, name):
        part = parts.get(number)
        if part is None or wire != _BYTES or isinstance(value, int):
            continue
        if part == "tensor":
            yield value
        else:
            yield from _tensors(value, part, name, depth + 1)


def _check_tensor(data: memoryview, name: str) -> None:
    kind, title, values = 0, "", list[_Field]()
    for number, wire, value in _fields(data, name):
        if number == _PLACES or (number == _LOCATION and value):
            raise BundleError(f"{name}: a tensor is stored in another file; the graphs of a bundle must contain theirs")
        if number == _TYPE and isinstance(value, int):
            kind = value
        elif number == _NAME and not isinstance(value, int):
            title = bytes(value[:100]).decode("utf-8", "backslashreplace")
        elif number in (_FLOATS, _INTEGERS, _RAW, _DOUBLES):
            values.append((number, wire, value))
    if kind not in _FORMATS:
        return
    dtype, exponent = _FORMATS[kind]
    for number, wire, value in values:
        bits = _bits(number, wire, value, np.dtype(dtype), name)
        for first in range(0, len(bits), _BLOCK):
            if (bits[first : first + _BLOCK] & bits.dtype.type(exponent) == exponent).any():
                raise BundleError(f"{name}: tensor {title!r} holds NaN or infinity; train and export again")


def _bits(
    number: int, wire: int, value: int | memoryview, dtype: np.dtype[np.unsignedinteger], name: str
) -> NDArray[np.unsignedinteger]:
    """Return the bit patterns of floats, however they are stored."""
    if isinstance(value, int):
        return np.array([value & (256**dtype.itemsize - 1)], dtype)
    if number == _INTEGERS:
        return _low_halves(np.frombuffer(value, np.uint8)).astype(dtype)
    if len(value) % dtype.itemsize:
        raise BundleError(f"{name}: a tensor of {len(value)} bytes, expected whole values; the graph is damaged")
    return np.frombuffer(value, dtype)


def _low_halves(data: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the low 16 bits of consecutive varints: how 16-bit floats are stored as integers."""
    last = np.flatnonzero(data < 128)
    first = np.append(0, last[:-1] + 1)[: len(last)]
    low = np.zeros(len(last), np.uint16)
    for place in range(3):
        here = first + place <= last
        low[here] |= (data[first[here] + place].astype(np.uint16) & 127) << (7 * place)
    return low


def _fields(data: memoryview, name: str) -> Iterator[_Field]:
    """Yield number, wire type and value of each field of a message; fixed-size values as integers."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position, name)
        wire, value = key & 7, 0
        if wire == _VARINT:
            value, position = _varint(data, position, name)
            yield key >> 3, wire, value
            continue
        if wire not in (_EIGHT, _BYTES, _FOUR):
            raise BundleError(f"{name} is not an ONNX graph (wire type {wire}); export the bundle again")
        size = 8 if wire == _EIGHT else 4
        if wire == _BYTES:
            size, position = _varint(data, position, name)
        if size > len(data) - position:
            raise BundleError(f"{name} is not an ONNX graph (it ends too early); export the bundle again")
        content = data[position : position + size]
        position += size
        yield key >> 3, wire, content if wire == _BYTES else int.from_bytes(content, "little")


def _varint(data: memoryview, position: int, name: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise BundleError(f"{name} is not an ONNX graph (a number does not end); export the bundle again")
