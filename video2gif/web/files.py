"""What is sent as a file: the film itself, piece by piece, and all GIFs of it as one."""

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse

from video2gif.core.errors import ItemError
from video2gif.media.sniff import sniff
from video2gif.web.review import Full

MAX_PIECE = 4_000_000
"""Bytes of a film in one answer: a browser asks for the next piece when it needs it."""
_BLOCK = 64_000
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")
_LAST = re.compile(r"bytes=-(\d{1,15})")
_FILMS = {".webm": "video/webm", ".mkv": "video/webm", ".ogv": "video/ogg"}
_STAMP = (1980, 1, 1, 0, 0, 0)  # The same GIFs make the same archive.


def film_piece(path: Path, wanted: str | None) -> Response:
    """The piece of a file that a Range header asks for, `MAX_PIECE` bytes at most.

    One range only (RFC 9110, 14.2 lets a server ignore others): answering many at once is work
    that a client could make us do without end. Without a range, the whole in one stream. Raises
    `ItemError` (not_media) for a file that only has the name of a film.
    """
    if not sniff(path).is_media:
        raise ItemError("not_media", f"{path.name} is no film")
    size = path.stat().st_size
    headers = {"accept-ranges": "bytes", "cache-control": "private, no-cache"}
    kind = _FILMS.get(path.suffix.lower(), "video/mp4")
    span = _span(wanted, size)
    if span is None:
        headers["content-length"] = str(size)
        return StreamingResponse(_blocks(path, 0, size), headers=headers, media_type=kind)
    start, end = span
    if start >= end:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{size}"})
    end = min(end, start + MAX_PIECE)
    headers |= {
        "content-range": f"bytes {start}-{end - 1}/{size}",
        "content-length": str(end - start),
    }
    blocks = _blocks(path, start, end)
    return StreamingResponse(blocks, status_code=206, headers=headers, media_type=kind)


def _span(wanted: str | None, size: int) -> tuple[int, int] | None:
    """The bytes [start, end) asked for; empty where there are none; None to send everything."""
    if wanted is None:
        return None
    if found := _RANGE.fullmatch(wanted.strip()):
        start = int(found[1])
        end = min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None  # Senseless: RFC 9110 has it ignored.
        return start, end
    if found := _LAST.fullmatch(wanted.strip()):
        return max(0, size - int(found[1])), size
    return None


def _blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (block := file.read(min(_BLOCK, end - start))):
            start += len(block)
            yield block


def bounded(piece: StreamingResponse, streams: asyncio.Semaphore) -> StreamingResponse:
    """The same answer, which counts while it is sent. Raises `Full` where too many are."""
    if streams.locked():
        raise Full("too many films are being watched; try again later")
    blocks = piece.body_iterator

    async def counted() -> AsyncIterator[Any]:
        async with streams:
            async for block in blocks:
                yield block

    piece.body_iterator = counted()
    return piece


def zipped(paths: Sequence[Path]) -> bytes:
    """The files in one archive. They are compressed already, so it does not try again."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            archive.writestr(zipfile.ZipInfo(path.name, _STAMP), path.read_bytes())
    return content.getvalue()


def as_download(content: bytes | str, name: str, media_type: str) -> Response:
    """Something to be kept under a name."""
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    return Response(content, media_type=media_type, headers={"content-disposition": disposition})
