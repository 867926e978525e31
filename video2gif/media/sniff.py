"""What a file is by its first bytes, whatever it is called: containers, images, web pages.

Only names the content (for errors, file extensions and flags); libav decides what can be played.
"""

from dataclasses import dataclass
from pathlib import Path

from video2gif.errors import ItemError

_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Content:
    """What the first bytes say."""

    kind: str
    """Extension of a known container (gif, mp4, webm …), a text's media type, or ""."""
    is_media: bool = False
    width: int = 0
    """Canvas of a GIF, pixels; 0 for other kinds."""
    height: int = 0
    cut_short: str = ""
    """Why the file cannot be whole, "" if nothing speaks against it."""

    @property
    def pixels(self) -> int:
        """Canvas area."""
        return self.width * self.height


def sniff(path: Path) -> Content:
    """Look at a file's first bytes. Raises `ItemError`: missing, empty."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (FileNotFoundError, IsADirectoryError):
        raise ItemError("missing", f"{path.name}: no such file") from None
    if not head:
        raise ItemError("empty", f"{path.name} has 0 bytes")
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(head)
    kind = _container(head)
    if kind in ("mp4", "mov"):
        return Content(kind, True, cut_short=_mp4_cut_short(path))
    if kind:
        return Content(kind, True)
    return Content(_image(head) or _text(head))


def _gif(head: bytes) -> Content:
    if len(head) < 13:
        return Content("gif", True, cut_short="its header is incomplete")
    return Content(
        "gif", True, int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    )


def _container(head: bytes) -> str:
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return "mov" if head[8:12] == b"qt  " or head[4:8] != b"ftyp" else "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"WEBP"):
        return head[8:12].decode().strip().lower()
    if head.startswith(b"FLV"):
        return "flv"
    if head.startswith(b"OggS"):
        return "ogv"
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")):
        return "mpg"
    # Transport packets are 188 bytes and begin with 0x47 (192 with a leading time stamp: m2ts).
    for size, start in ((188, 0), (192, 4)):
        if len(head) > 3 * size and all(head[start + k * size] == 0x47 for k in range(3)):
            return "ts"
    return ""


def _image(head: bytes) -> str:
    magics = {b"\x89PNG\r\n": "png", b"\xff\xd8\xff": "jpg", b"BM": "bmp", b"%PDF": "pdf"}
    return next((kind for magic, kind in magics.items() if head.startswith(magic)), "")


def _text(head: bytes) -> str:
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if "\0" in text or text.count("\ufffd") > len(text) // 10:
        return ""
    if text[:14].lower() == "<!doctype html" or "<html" in text[:1024].lower():
        return "text/html"
    if text.startswith(("{", "[")):
        return "application/json"
    return "text/plain"


def _mp4_cut_short(path: Path) -> str:
    """Walk the top-level boxes: each must end inside the file, and `moov` must be among them."""
    size = path.stat().st_size
    found: set[bytes] = set()
    with path.open("rb") as file:
        position = 0
        while position + 8 <= size and len(found) < 10_000:
            file.seek(position)
            header = file.read(16)
            length, name = int.from_bytes(header[:4]), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16])
            found.add(name)
            position += (length if length else size - position) or size
            if 0 < length < 8:
                return ""
    if position > size:
        return f"a box ends {position - size} bytes past the end of the file"
    return "" if b"moov" in found else "it has no index (moov)"
