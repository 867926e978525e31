"""Pickles of arrays and tensors, without running what they name.

`find_class` looks names up in a table and never imports: a pickle that names `os.system` is
refused before it can call it. What the table gives back are stand-ins written here (no numpy and
no torch code takes part), which become arrays of float16, 32 or 64 when the file has been read.
Run it in a child all the same (`formats.read`): a pickle can still eat memory and time.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from video2gif.core.errors import ItemError

_MAX_BYTES = 2 << 30
_DTYPES = {"f2": "f2", "f4": "f4", "f8": "f8", "i4": "i4", "i8": "i8", "O8": "O", "O4": "O"}
_ORDERS = {"<": "<", ">": ">", "=": "<", "|": "<"}
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER of its stream format.
_TORCH_PROTOCOL = 1001


# --- numpy ---


class _Dtype:
    """Stands for numpy.dtype."""

    def __init__(self, name: object, *_: object) -> None:
        self.code = _DTYPES.get(_text(name), "")
        if not self.code:
            raise ItemError("refused", f"arrays of type {name!r}; expected numbers")
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _ORDERS.get(_text(state[1]), "")
        if not self.order:
            raise ItemError("refused", f"byte order {state[1]!r}")


class _Ndarray:
    """Stands for numpy.ndarray, and for the array that `_reconstruct` begins."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def array(self) -> "np.ndarray | list[Any]":
        """The array; the list of its elements for one of objects."""
        if self.dtype.code == "O":
            return list(self.data)
        raw = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        values = np.frombuffer(raw, self.dtype.order + self.dtype.code)
        return _shaped(values, tuple(self.shape), order="F" if self.fortran else "C")


def _reconstruct(*_: object) -> _Ndarray:
    return _Ndarray()


def _encode(text: object, coding: object) -> bytes:
    """`_codecs.encode`, with which Python 3 writes bytes into pickles that Python 2 can read."""
    if not isinstance(text, str) or coding != "latin1":
        raise ItemError("refused", f"_codecs.encode to {coding!r}")
    return text.encode("latin1")


_NUMPY: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
} | {(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")}


def read_numpy(file: BinaryIO) -> Any:
    """A pickle of lists, dicts and numpy arrays (Python 2's too: `encoding="latin1"`)."""
    return _plain(_Restricted(file, _NUMPY).load())


def read_npz(content: BinaryIO) -> Any:
    """`arr_0` of an npz: an array of numbers, or the list of an array of objects."""
    with zipfile.ZipFile(content) as archive:
        raw = _member(archive, "arr_0.npy")
    file = io.BytesIO(raw)
    try:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else _header_2
        shape, fortran, dtype = read(file)
    except ValueError as error:
        raise ItemError("not_media", f"arr_0.npy: {error}") from None
    if dtype.hasobject:
        return read_numpy(file)
    values = np.frombuffer(raw, dtype, offset=file.tell())
    return _shaped(values, shape, order="F" if fortran else "C")


def _header_2(file: BinaryIO) -> Any:
    return np.lib.format.read_array_header_2_0(file)


# --- torch ---


@dataclass(frozen=True)
class _Storage:
    """A stretch of numbers that tensors share; its bytes are found by `key` later."""

    dtype: str
    key: str


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, storages: Mapping[str, bytes | memoryview]) -> np.ndarray:
        raw = storages.get(self.storage.key)
        if raw is None:
            raise ItemError("truncated", f"no data of storage {self.storage.key!r}")
        values = np.frombuffer(raw, self.storage.dtype)
        size = math.prod(self.shape)
        dense = tuple(math.prod(self.shape[i + 1 :]) for i in range(len(self.shape)))
        # Only tensors that fill their stretch of the storage: no way to read beside it.
        if size and tuple(self.stride) != dense:
            order = np.argsort(self.stride, kind="stable")[::-1]
            permuted = tuple(self.shape[i] for i in order)
            inner = tuple(math.prod(permuted[i + 1 :]) for i in range(len(permuted)))
            steps = zip(order, inner, strict=True)  # No step is ever made along an axis of one.
            if any(self.shape[i] > 1 and self.stride[i] != step for i, step in steps):
                raise ItemError("refused", f"a tensor of strides {self.stride}")
            return self._taken(values, size).reshape(permuted).transpose(np.argsort(order))
        return self._taken(values, size).reshape(self.shape)

    def _taken(self, values: np.ndarray, size: int) -> np.ndarray:
        taken = values[self.offset : self.offset + size]
        if self.offset < 0 or taken.size != size:
            raise ItemError("truncated", f"a tensor of shape {self.shape} lies past its storage")
        return taken


def _rebuild_tensor(
    storage: object, offset: object, shape: object, stride: object, *_: object
) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ItemError("refused", "a tensor without storage")
    return _Tensor(storage, int(offset), _ints(shape), _ints(stride))  # type: ignore[call-overload]


def _rebuild_parameter(data: object, *_: object) -> object:
    return data


_TORCH: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
} | {("torch", name): dtype for name, dtype in _STORAGES.items()}


def read_torch_zip(content: BinaryIO) -> Any:
    """What `torch.save` wrote since 1.6: a zip of data.pkl and the storages."""
    with zipfile.ZipFile(content) as archive:
        (pickled,) = [n for n in archive.namelist() if n.endswith("/data.pkl")][:1] or [""]
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and _member(archive, order) != b"little":
            raise ItemError("refused", "its numbers are big-endian")
        unpickler = _Restricted(io.BytesIO(_member(archive, pickled)), _TORCH)
        found = unpickler.load()
        storages = {key: _member(archive, f"{folder}data/{key}") for key in unpickler.storages}
    return _plain(found, storages)


def read_torch_stream(file: BinaryIO) -> Any:
    """What `torch.save` wrote before 1.6: five pickles, then the storages one after the other."""
    if _Restricted(file, {}).load() != _TORCH_MAGIC:
        raise ItemError("not_media", "a pickle, but not of a PyTorch file")
    if _Restricted(file, {}).load() != _TORCH_PROTOCOL:
        raise ItemError("refused", "a PyTorch file of an unknown protocol")
    _Restricted(file, {}).load()  # The sizes of the writer's C types.
    unpickler = _Restricted(file, _TORCH)
    found = unpickler.load()
    storages = {}
    for key in _Restricted(file, {}).load():
        if str(key) not in unpickler.storages:
            raise ItemError("refused", f"data of a storage {key!r} that no tensor has")
        count = int.from_bytes(file.read(8), "little", signed=True)
        size = count * np.dtype(unpickler.storages[str(key)]).itemsize
        if not 0 <= size <= _MAX_BYTES:
            raise ItemError("refused", f"a storage of {count} numbers")
        storages[str(key)] = file.read(size)
    return _plain(found, storages)


def is_torch_stream(start: bytes) -> bool:
    """Whether a file begins with the pickle of PyTorch's magic number."""
    try:
        return bool(_Restricted(io.BytesIO(start), {}).load() == _TORCH_MAGIC)
    except Exception:
        return False


# --- both ---


class _Restricted(pickle.Unpickler):
    """Unpickles plain containers and what `known` names; anything else is refused by name."""

    def __init__(self, file: BinaryIO, known: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self._known = known
        self.storages: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[module, name]
        except KeyError:
            raise ItemError(
                "refused", f"the pickle names {module}.{name}: weights need no such thing"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key = (pid[0], pid[1], _text(pid[2])) if len(pid) > 4 else ("", "", "")
        if _text(kind) != "storage" or dtype not in _STORAGES.values():
            raise ItemError("refused", f"a persistent {kind!r} of {dtype!r}")
        if len(pid) > 5 and pid[5] is not None:
            raise ItemError("refused", "views of storages")
        self.storages[key] = dtype
        return _Storage(dtype, key)

    def load(self) -> Any:
        """The object. Raises `ItemError` for all that is wrong with a pickle."""
        try:
            return super().load()
        except (ItemError, MemoryError):
            raise
        # A damaged pickle raises nearly anything; the child's limits hold what does not return.
        except Exception as error:
            raise ItemError("not_media", f"no readable pickle: {error}") from None


def _plain(value: Any, storages: Mapping[str, bytes] | None = None) -> Any:
    """Stand-ins become arrays, inside lists, tuples and dicts."""
    recurse: Callable[[Any], Any] = lambda inner: _plain(inner, storages)  # noqa: E731
    if isinstance(value, _Ndarray):
        return recurse(value.array()) if value.dtype.code == "O" else value.array()
    if isinstance(value, _Tensor):
        return value.array(storages or {})
    if isinstance(value, Mapping):
        return {key: recurse(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [recurse(inner) for inner in value]
    return value


def _shaped(values: np.ndarray, shape: tuple[int, ...], *, order: Any) -> np.ndarray:
    if math.prod(shape) != values.size:
        raise ItemError("truncated", f"an array of shape {shape} has {values.size} numbers")
    return values.reshape(shape, order=order)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ItemError("not_media", f"a zip without {name or 'data.pkl'}") from None
    if info.file_size > _MAX_BYTES:
        raise ItemError("too_large", f"{name}: {info.file_size} bytes unpacked")
    return archive.read(info)


def _ints(values: Any) -> tuple[int, ...]:
    found = tuple(int(value) for value in values)
    if any(value < 0 for value in found):
        raise ItemError("refused", f"negative sizes {found}")
    return found


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
