"""Take a video in: under a size limit, under a harmless name, kept only if it is a video."""

import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, one
from video2gif.core.store import file_digest
from video2gif.make.inputs import admit
from video2gif.sample import rendering, sample_item
from video2gif.web.review import Full

_MAX_NAME = 80
_SPARE_BYTES = 500_000_000  # stay free on the disk
_MAX_UPLOADS = 8
_PART = ".upload-"
SAMPLE = "sample:video/animals-01"
_SAMPLE_NAME = "A walk in the meadow - sample"
_SAMPLE_S = 120.0


def safe_stem(name: str) -> str:
    """A harmless file name without extension: letters, digits, space and _ - ; never hidden."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = unicodedata.normalize("NFC", last.rpartition(".")[0] or last)
    kept = re.sub(r"[^\w -]+", "_", plain).strip(" _-")
    # Cut by bytes: file systems count those.
    return kept.encode()[:_MAX_NAME].decode(errors="ignore").strip(" _-") or "video"


@contextmanager
def part_file(folder: Path) -> Iterator[Path]:
    """A path to write an upload to; gone at the end unless it was renamed."""
    path = folder / f"{_PART}{secrets.token_hex(8)}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what uploads of a killed server have left."""
    for path in folder.glob(f"{_PART}*"):
        path.unlink(missing_ok=True)


@dataclass
class Reserved:
    """Room on the disk for one upload."""

    declared: int | None
    left: int
    """Bytes that may still come."""


class Room:
    """Who may upload how much: what was declared is set aside until it has come."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._uploads: list[Reserved] = []
        self._lock = threading.Lock()

    @contextmanager
    def reserved(self, declared: int | None) -> Iterator[Reserved]:
        """Room for this many bytes, or for as many as are allowed where nobody says.

        Raises `ItemError`: too_large, disk; `Full` where too many upload already.
        """
        wanted = self._max_bytes if declared is None else declared
        if wanted > self._max_bytes:
            raise ItemError("too_large", f"{wanted} bytes; the limit is {self._max_bytes}")
        upload = Reserved(declared, wanted)
        with self._lock:
            if len(self._uploads) >= _MAX_UPLOADS:
                raise Full("too many files are being uploaded; try again later")
            free = shutil.disk_usage(self._folder).free - sum(one.left for one in self._uploads)
            if wanted + _SPARE_BYTES > free:
                raise ItemError("disk", f"{wanted} bytes do not fit: {max(0, free)} are free")
            self._uploads.append(upload)
        try:
            yield upload
        finally:
            with self._lock:
                self._uploads = [one for one in self._uploads if one is not upload]


async def receive(body: AsyncIterator[bytes], path: Path, room: Reserved) -> None:
    """Write a request's body. Raises `ItemError`: too_large, truncated, empty."""
    size = 0
    with path.open("xb") as file:
        try:
            async for block in body:
                size += len(block)
                room.left -= len(block)
                if room.left < 0:
                    raise ItemError("too_large", f"more than the limit of {size + room.left} bytes")
                file.write(block)
        except ClientDisconnect:
            raise ItemError("truncated", f"broken off after {size} bytes") from None
    if room.declared is not None and size != room.declared:
        raise ItemError("truncated", f"{size} of {room.declared} bytes arrived")
    if not size:
        raise ItemError("empty", "the file is empty")


def keep(part: Path, name: str, params: Params, context: Context) -> Path:
    """Rename an upload to its place if it is a whole video; its extension follows its content.

    The same bytes under the same name are kept once. Raises `ItemError`: those of `admit`.
    """
    file = admit(part, "video", params, context)
    sha256, extension = file.sha256, file.probed.extension
    stem, number = safe_stem(name), 2
    target = part.with_name(f"{stem}.{extension}")
    while target.exists():
        if target.is_file() and file_digest(target) == sha256:
            return target
        target = part.with_name(f"{stem}-{number}.{extension}")
        number += 1
    os.replace(part, target)
    return target


def keep_sample(folder: Path, params: Params, context: Context) -> Path:
    """The sample film as a file of the folder, drawn here: nothing is downloaded."""
    item = sample_item("sample", SAMPLE)
    content = one("sample", rendering(timeout_s=_SAMPLE_S), item, context)
    with part_file(folder) as part:
        part.write_bytes(content)
        return keep(part, f"{_SAMPLE_NAME}.mp4", params, context)
