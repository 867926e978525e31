"""What a file is by its first bytes, whatever it is called: containers, images, web pages.

Only names the content (for errors, file extensions and flags); libav decides what can be played.
"""

from dataclasses import dataclass
from pathlib import Path

from video2gif.core.errors import ItemError
from video2gif.media.kinds import BY_NAME

_HEAD_BYTES = 4096
_NAME_BYTES = 256  # Where a zip file names its first member.


@dataclass(frozen=True)
class Content:
    """What the first bytes say."""

    kind: str
    """A name of `media.kinds`, or ""."""
    width: int = 0
    """Canvas of a GIF, pixels; 0 for other kinds."""
    height: int = 0

    @property
    def is_media(self) -> bool:
        """Whether it is something that is read."""
        return self.kind in BY_NAME and BY_NAME[self.kind].is_read

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
        raise ItemError("empty", "the file has 0 bytes")
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(head)
    if head.startswith(b"PK\x03\x04") and b".npy" in head[:_NAME_BYTES]:
        return Content("npz")  # Features in place of pixels: media/given.py.
    return Content(_container(head) or _image(head) or _stream(head) or _text(head))


def truncated(why: str) -> ItemError:
    """The error of a file of which a part is missing, with what to do."""
    return ItemError("truncated", f"{why}: a part is missing, fetch or export the file again")


def cut_short(path: Path, kind: str) -> str:
    """Why a file of this kind (see `sniff`) cannot be whole; "" if nothing speaks against it."""
    if kind in ("mp4", "mov"):
        return _mp4_cut_short(path)
    if kind == "gif":
        return _gif_cut_short(path.read_bytes())
    return _ts_cut_short(path) if kind == "ts" else ""


def _gif(head: bytes) -> Content:
    width, height = (int.from_bytes(head[at : at + 2], "little") for at in (6, 8))
    return Content("gif", width, height)


def _container(head: bytes) -> str:
    if head[4:8] == b"ftyp" and any(b in head[8 : int.from_bytes(head[:4])] for b in _AVIF):
        return "avif"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
        return "mov" if head[8:12] == b"qt  " or head[4:8] != b"ftyp" else "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"WEBP"):
        return head[8:12].decode().strip().lower()
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")):
        return "mpg"
    named = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), "")
    return named or ("ts" if _ts_packet(head) else "")


_AVIF = (b"avif", b"avis")  # brands: a still, a sequence
_MAGICS = {
    b"FLV": "flv",
    b"OggS": "ogv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "wmv",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01": "mxf",
    b"\x1f\x07\x00": "dv",
    b"YUV4MPEG2 ": "y4m",
    b"DKIF": "ivf",
    b".RMF": "rm",
    b"FWS": "swf",
    b"CWS": "swf",
}


def _ts_packet(head: bytes) -> tuple[int, int] | None:
    """Bytes of a transport packet, and where in it the 0x47 stands (m2ts: a time stamp first)."""
    for size, start in ((188, 0), (192, 4)):
        if len(head) >= 3 * size and all(head[start + k * size] == 0x47 for k in range(3)):
            return size, start
    return None


def _image(head: bytes) -> str:
    if head.startswith(b"\x89PNG\r\n"):
        # The chunk that says how many frames there are stands before the first picture.
        return "apng" if b"acTL" in head.partition(b"IDAT")[0] else "png"
    magics = {b"\xff\xd8\xff": "jpg", b"BM": "bmp", b"II*\0": "tiff", b"MM\0*": "tiff"}
    magics |= {b"%PDF": "pdf", b"PK\x03\x04": "zip"}
    return next((kind for magic, kind in magics.items() if head.startswith(magic)), "")


def _stream(head: bytes) -> str:
    """A codec's packets without a container: the first unit after a start code."""
    start = next((code for code in (b"\0\0\0\1", b"\0\0\1") if head.startswith(code)), b"")
    if not start:
        return ""
    unit = head[len(start)]
    if unit in (0x40, 0x42, 0x44, 0x46) and head[len(start) + 1] == 1:  # H.265: VPS, SPS, PPS, AUD
        return "hevc"
    return "h264" if unit & 0x9F in (6, 7, 8, 9) else ""  # SEI, SPS, PPS, AUD


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
    position, found = 0, set()
    with path.open("rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, name = int.from_bytes(header[:4]), header[4:8]
            length = int.from_bytes(header[8:16]) if length == 1 else length or size - position
            if length < 8:
                break  # Not a box: padding or garbage, for libav to judge.
            found.add(name)
            position += length
    if position > size:
        return f"a box ends {position - size} bytes past the end of the file"
    return "" if b"moov" in found else "it has no index (moov)"


def _gif_cut_short(data: bytes) -> str:
    """Walk the blocks. A missing trailer is forgiven after a complete frame, as browsers do."""
    strays = 0
    try:
        position = 13 + _colour_table_bytes(data[10])
        while position < len(data) and data[position] != 0x3B:
            if data[position] == 0x21:
                position = _after_sub_blocks(data, position + 2)
            elif data[position] == 0x2C:
                table_bytes = _colour_table_bytes(data[position + 9])
                position = _after_sub_blocks(data, position + 11 + table_bytes)
            elif data[position] == 0:
                position, strays = position + 1, strays + 1
            else:
                return f"its blocks end at byte {position} of {len(data)}"
    except IndexError:
        position = len(data) + 1
    if position > len(data):
        return "its last block is incomplete"
    return f"it ends in {strays} zero bytes" if position == len(data) and strays else ""


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += 1 + data[position]
    return position + 1


def _ts_cut_short(path: Path) -> str:
    """A transport stream declares no length, but it ends in a whole packet."""
    data_bytes = path.stat().st_size
    with path.open("rb") as file:
        packet = _ts_packet(file.read(_HEAD_BYTES))
        if packet is None:
            return ""
        size, start = packet
        if data_bytes % size:
            return f"its last packet has {data_bytes % size} of {size} bytes"
        file.seek(data_bytes - size + start)
        return "" if file.read(1) == b"\x47" else "it does not end in a packet"
