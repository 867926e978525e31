"""An ONNX file by hand: no package that writes them is needed.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Every message is a chain of
(field, wire type, value); 2 is bytes with their length in front, 0 a whole number.
"""

from pathlib import Path


def channel_means(path: Path, *, side: int) -> Path:
    """A network that gives each channel's mean of (1, 3, side, side): one GlobalAveragePool."""
    node = _text(1, "x") + _text(2, "y") + _text(4, "GlobalAveragePool")
    graph = (
        _bytes(1, node)
        + _text(2, "means")
        + _bytes(11, _tensor("x", [1, 3, side, side]))
        + _bytes(12, _tensor("y", [1, 3, 1, 1]))
    )
    opset = _number(2, 13)
    path.write_bytes(_number(1, 7) + _bytes(7, graph) + _bytes(8, opset))
    return path


def _tensor(name: str, shape: list[int]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    tensor = _number(1, 1) + _bytes(2, dims)  # 1: float32
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
