"""Take a video in: under a size limit, under a harmless name, kept only if it is a video."""

import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import ClientDisconnect

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context
from video2gif.core.store import file_digest
from video2gif.make.inputs import admit

_MAX_NAME = 80
_SPARE_BYTES = 500_000_000  # stay free on the disk
_PART = ".upload-"


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


async def receive(
    body: AsyncIterator[bytes], path: Path, *, declared: int | None, max_bytes: int
) -> None:
    """Write a request's body. Raises `ItemError`: too_large, disk, truncated, empty."""
    _check_room(declared or 0, path.parent, max_bytes)
    size = 0
    with path.open("xb") as file:
        try:
            async for block in body:
                size += len(block)
                if size > max_bytes:
                    raise ItemError("too_large", f"more than the limit of {max_bytes} bytes")
                file.write(block)
        except ClientDisconnect:
            raise ItemError("truncated", f"broken off after {size} bytes") from None
    if declared is not None and size != declared:
        raise ItemError("truncated", f"{size} of {declared} bytes arrived")
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


def _check_room(declared: int, folder: Path, max_bytes: int) -> None:
    if declared > max_bytes:
        raise ItemError("too_large", f"{declared} bytes; the limit is {max_bytes}")
    free = shutil.disk_usage(folder).free
    if declared + _SPARE_BYTES > free:
        raise ItemError("disk", f"{declared} bytes do not fit: {free} are free")
