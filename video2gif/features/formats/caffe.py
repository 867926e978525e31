"""Caffe's binary protobuf, as far as its weights go: layers, their names and blobs.

Read from the wire (https://protobuf.dev/programming-guides/encoding): a generated class would
copy 300 MB of floats one by one into Python. NetParameter.layers = 2 (V1LayerParameter), of which
name = 4 and blobs = 6. Caffe's blob has num, channels, height, width and its data as fields 1 to 5;
where its five-axis descendants put the length differs. So the data is the first length-delimited
field, the axes are the numbers in front of it, and one behind it is the length.
"""

import math
from collections.abc import Iterator

import numpy as np

from video2gif.core.errors import ItemError

_LAYERS, _NAME, _BLOBS = 2, 4, 6
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_layers(content: memoryview) -> dict[str, list[np.ndarray]]:
    """Blobs of every layer that has some, float32, by the layer's name.

    A blob's axes of length 1 in front are dropped: conv (num, channels, length, height, width),
    fully connected (out, in), bias (n,). Raises `ItemError` for anything that is no such file.
    """
    layers: dict[str, list[np.ndarray]] = {}
    for number, _, layer in _fields(content):
        if number == _LAYERS and isinstance(layer, memoryview):
            name, blobs = _layer(layer)
            if blobs:
                layers[name] = blobs
    if not layers:
        raise ItemError("not_media", "no V1 layers with blobs in it; not a C3D caffemodel")
    return layers


def _layer(content: memoryview) -> tuple[str, list[np.ndarray]]:
    name, blobs = "", []
    for number, _, value in _fields(content):
        if number == _NAME and isinstance(value, memoryview):
            name = bytes(value[:200]).decode("utf-8", "replace")
        elif number == _BLOBS and isinstance(value, memoryview):
            blobs.append(_blob(value))
    return name, blobs


def _blob(content: memoryview) -> np.ndarray:
    axes: dict[int, int] = {}
    packed: dict[int, memoryview] = {}
    for number, kind, value in _fields(content):
        if isinstance(value, int) and kind == _VARINT:
            axes[number] = value
        elif isinstance(value, memoryview):
            packed.setdefault(number, value)
    if not packed or len(packed[min(packed)]) % 4:
        raise ItemError("not_media", "a blob without packed float data")
    at = min(packed)
    data = np.frombuffer(packed[at], "<f4")
    shape = tuple(axes[number] for number in sorted(axes) if number < at)
    length = tuple(axes[number] for number in sorted(axes) if number > at)
    shape = shape[:2] + length + shape[2:]
    if math.prod(shape) != data.size:
        raise ItemError("truncated", f"a blob of axes {shape} has {data.size} numbers")
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return data.reshape(shape)


def _fields(content: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Every field of a message: number, wire type, and its value or its bytes (not copied)."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ItemError("not_media", f"wire type {kind}: no protobuf message")
        if at + size > len(content):
            raise ItemError("truncated", f"field {number} ends {at + size - len(content)} B late")
        yield number, kind, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(content):
            raise ItemError("truncated", "the file ends inside a number")
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ItemError("not_media", "a number of more than 64 bits: no protobuf message")
