"""Where results of items are kept: files by key, each whole or absent.

An item's file is written to a temporary path, sealed with the sha256 of its key and content,
fsynced, renamed, and its folder fsynced. `atomic_path` does the same for any file a person looks
at.
"""

import hashlib
import json
import math
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import safetensors.numpy

from video2gif.core.errors import DISK_ERRNOS, EnvironmentProblem, ItemError

# The 2: since then the digest covers the key as well. An item without it counts as absent.
_MAGIC = b"V2GITEM2"
_FAILED = b"V2GFAIL2"
_FOOTER_BYTES = len(_MAGIC) + 32
_BLOCK = 1 << 20
# https://github.com/huggingface/safetensors#format
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "U64": "<u8", "I64": "<i8", "U8": "|u1"}


class ItemStore:
    """Results by key: `<root>/<key[:2]>/<key>`, each ending in the sha256 of its key and content.

    Written to a temporary file, fsynced, renamed, folder fsynced: a reader sees a whole item or
    none. A file that does not match its footer is dropped, to be computed again by the next run;
    so is one that was written for another key, however whole it is.
    In an item's place may stand why it fails each time; its footer has another magic.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def default(cls) -> "ItemStore":
        """`$VIDEO2GIF_CACHE`, or `~/.cache/video2gif`."""
        chosen = os.environ.get("VIDEO2GIF_CACHE")
        return cls(Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "video2gif")

    def path(self, key: str) -> Path:
        """Where the item with this key is, or would be."""
        return self.root / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether a complete item is there (cheap: size and magic; `read` checks the digest)."""
        return self._magic(key) == _MAGIC

    def failure(self, key: str) -> ItemError | None:
        """What `remember` wrote, or None."""
        if self._magic(key) != _FAILED:
            return None
        payload, footer = _split(self.path(key).read_bytes())
        # Damaged, or of another key: not believed, so the item is tried again.
        is_ours = footer == _footer(_FAILED, key, payload)
        return ItemError(*json.loads(payload)) if is_ours else None

    def remember(self, key: str, error: ItemError) -> None:
        """Keep why this item fails: the same input will fail the same way."""
        final = self.path(key)
        payload = json.dumps([error.cause, error.message]).encode()
        with _room_for(final), atomic_path(final) as temporary:
            temporary.write_bytes(payload + _footer(_FAILED, key, payload))

    def read(self, key: str) -> bytes:
        """The payload, digest checked. Raises `EnvironmentProblem` when the file is damaged."""
        return b"".join(self._payload(key))

    @contextmanager
    def arrays(self, key: str) -> Iterator["StoredArrays"]:
        """An item that `write_arrays` wrote, read a part at a time; digest checked before."""
        # All bytes are checked before the first row is handed out.
        for _ in self._payload(key):
            pass
        with self.path(key).open("rb") as file:
            yield StoredArrays(file)

    def copy_to(self, key: str, target: Path) -> None:
        """Write the payload to `target` (in blocks, digest checked, temporary then rename)."""
        with atomic_path(target) as partial_file, partial_file.open("wb") as file:
            for block in self._payload(key):
                file.write(block)

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A temporary path to write the payload to; a clean exit seals and publishes it."""
        final = self.path(key)
        with _room_for(final), atomic_path(final) as temporary:
            yield temporary
            # Sealed here, because a child that writes a payload knows nothing of footers.
            with temporary.open("rb+") as file:
                digest = hashlib.file_digest(file, partial(_begun, key)).digest()
                file.seek(0, os.SEEK_END)
                file.write(_MAGIC + digest)

    def check(self, key: str) -> Literal["item", "failure", "damaged"]:
        """Read a file that is there, every byte, and say what it holds."""
        digest, footer = _begun(key), b""
        with self.path(key).open("rb") as file:
            # Where the footer starts is known only at the end: the last bytes wait for the next.
            for block in iter(lambda: file.read(_BLOCK), b""):
                footer += block
                digest.update(footer[:-_FOOTER_BYTES])
                footer = footer[-_FOOTER_BYTES:]
        kinds: dict[bytes, Literal["item", "failure"]] = {_MAGIC: "item", _FAILED: "failure"}
        kind = kinds.get(footer[: len(_MAGIC)])
        return kind if kind and footer[len(_MAGIC) :] == digest.digest() else "damaged"

    def drop(self, key: str) -> None:
        """Forget an item (used for damaged ones)."""
        self.path(key).unlink(missing_ok=True)

    def _magic(self, key: str) -> bytes:
        try:
            with self.path(key).open("rb") as file:
                if file.seek(0, os.SEEK_END) < _FOOTER_BYTES:
                    return b""
                file.seek(-_FOOTER_BYTES, os.SEEK_END)
                return file.read(len(_MAGIC))
        except OSError:
            return b""

    def _payload(self, key: str) -> Iterator[bytes]:
        path = self.path(key)
        digest = _begun(key)
        with path.open("rb") as file:
            left = file.seek(0, os.SEEK_END) - _FOOTER_BYTES
            file.seek(0)
            while left > 0:
                block = file.read(min(_BLOCK, left))
                digest.update(block)
                left -= len(block)
                yield block
            # To the end: bytes behind the footer are damage too.
            if file.read() != _MAGIC + digest.digest():
                self.drop(key)
                raise EnvironmentProblem(
                    f"{path}: stored item was damaged and has been removed; run again to"
                    " compute it anew"
                )


@contextmanager
def _room_for(final: Path) -> Iterator[None]:
    """The folder of a file, and the remedy where the disk is full."""
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in DISK_ERRNOS:
            raise
        raise EnvironmentProblem(
            f"{final.parent}: {error.strerror}; free some space and run again"
        ) from None


def _split(content: bytes) -> tuple[bytes, bytes]:
    return content[:-_FOOTER_BYTES], content[-_FOOTER_BYTES:]


def _footer(magic: bytes, key: str, payload: bytes) -> bytes:
    digest = _begun(key)
    digest.update(payload)
    return magic + digest.digest()


def _begun(key: str) -> Any:
    """A sha256 that has seen the key: the right bytes in the wrong place do not match."""
    return hashlib.sha256(f"{key}\n".encode())


def write_arrays(
    out: Path, arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any] | None = None
) -> None:
    """An item's payload: named arrays and JSON notes, as safetensors (stable bytes, no pickle)."""
    metadata = {"notes": json.dumps(notes or {}, sort_keys=True)}
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    out.write_bytes(safetensors.numpy.save(contiguous, metadata=metadata))


def read_arrays(payload: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and notes that `write_arrays` wrote."""
    header_bytes = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + header_bytes])
    return safetensors.numpy.load(payload), json.loads(header["__metadata__"]["notes"])


class StoredArrays:
    """The arrays and notes of an item, on disk: for items larger than memory should hold."""

    def __init__(self, file: BinaryIO) -> None:
        # By hand: safetensors' own reader refuses a file that does not end with its last tensor,
        # and ours ends with a footer.
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
        self._file = file
        self._start = 8 + header_bytes
        self.notes: dict[str, Any] = json.loads(header.pop("__metadata__")["notes"])
        self._arrays: dict[str, Any] = header

    def __len__(self) -> int:
        """Rows of every array."""
        return int(next(iter(self._arrays.values()))["shape"][0])

    def rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of an array, as far as there are."""
        n, *shape = self._arrays[name]["shape"]
        count = max(0, min(stop, n) - start) * math.prod(shape)
        dtype = np.dtype(_DTYPES[self._arrays[name]["dtype"]])
        row_bytes = math.prod(shape) * dtype.itemsize
        self._file.seek(self._start + self._arrays[name]["data_offsets"][0] + start * row_bytes)
        content = self._file.read(count * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(-1, *shape)


def file_digest(path: Path) -> str:
    """sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """A temporary sibling of `final`, renamed to it after fsync when the block ends cleanly."""
    _sweep(final)
    # Two threads of one process may write the same file, so each has a temporary one of its own.
    owner = f"{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}"
    temporary = final.with_name(f".{final.name}.{owner}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, final)
        # A rename is on disk only when the folder is.
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(final: Path) -> None:
    """Remove what killed writers of this file on this machine have left."""
    # No glob: with a pattern of its own for every item, compiling it took most of a writer's time.
    prefix = f".{final.name}.{socket.gethostname()}."
    names = os.listdir(final.parent) if final.parent.is_dir() else []
    for name in names:
        if name.startswith(prefix) and name.endswith(".tmp"):
            # The name ends in .pid.thread.tmp.
            pid = int(name.split(".")[-3])
            if pid != os.getpid() and not Path(f"/proc/{pid}").exists():
                final.with_name(name).unlink(missing_ok=True)
