"""Write a network as an ONNX file: what OpenVINO and OpenCV read. No package is needed for it.

An ONNX file is a protocol buffer: every message is a chain of fields, each a number and a wire type
(0 whole number, 2 bytes with their length in front, 5 four bytes), then the value. Field numbers:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import struct
from collections.abc import Sequence

import numpy as np

_IR_VERSION, _OPSET = 8, 13
_FLOAT32 = 1  # TensorProto.DataType
_AS_FLOAT, _AS_INT, _AS_INTS = 1, 2, 7  # AttributeProto.AttributeType


class Graph:
    """A network that grows node by node; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}

    def constant(self, name: str, values: np.ndarray) -> str:
        """A tensor of float32 that stands in the file; its name."""
        dims = b"".join(_number(1, size) for size in values.shape)
        raw = np.ascontiguousarray(values, "<f4").tobytes()
        self._constants[name] = dims + _number(2, _FLOAT32) + _text(8, name) + _bytes(9, raw)
        return name

    def node(
        self,
        operator: str,
        *inputs: str,
        output: str = "",
        **attributes: "int | float | Sequence[int]",
    ) -> str:
        """Append an operator; returns the name of its only output."""
        output = output or f"value{len(self._nodes)}"
        ends = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, operator)]
        given = [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(b"".join(ends + given))
        return output

    def file(
        self, *, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]
    ) -> bytes:
        """The file; inputs and outputs of the network with their shapes, all float32."""
        graph = b"".join(
            [
                *(_bytes(1, node) for node in self._nodes),
                _text(2, "video2gif"),
                *(_bytes(5, tensor) for tensor in self._constants.values()),
                *(_bytes(11, _value(name, shape)) for name, shape in inputs.items()),
                *(_bytes(12, _value(name, shape)) for name, shape in outputs.items()),
            ]
        )
        return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, _OPSET))


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, _FLOAT32) + _bytes(2, dims)))


def _attribute(name: str, value: "int | float | Sequence[int]") -> bytes:
    if isinstance(value, float):
        return _text(1, name) + bytes([2 << 3 | 5]) + struct.pack("<f", value) + _type(_AS_FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _type(_AS_INT)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _type(_AS_INTS)


def _type(number: int) -> bytes:
    return _number(20, number)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
