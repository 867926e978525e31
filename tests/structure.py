"""Real files, damaged where their structure says how much there is: sizes, times, lengths, shapes.

`damaged(content, number)` is a function of its arguments. It knows where the boxes of an mp4, the
elements of Matroska, the blocks of a GIF, the chunks of an AVI and the packets of a transport
stream keep such numbers, and changes those; what it does not know it damages anywhere.
"""

import re
import struct
from collections.abc import Callable, Iterator
from random import Random

_BOXES = (b"elst", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"tkhd", b"mdhd", b"mvhd", b"stsd")
_MATROSKA = (
    b"\x2a\xd7\xb1",
    b"\x44\x89",
    b"\xb0",
    b"\xba",
    b"\x54\xb0",
    b"\x54\xba",
    b"\xe7",
    b"\x9b",
)
_AVI = (b"strh", b"strf", b"avih", b"idx1", b"movi", b"LIST", b"00dc")
_NUMBERS = (0, 1, 2, 255, 4096, 65535, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damaged(content: bytes, number: int) -> bytes:
    """The number-th damaged file made of a whole one."""
    rng, changed = Random(f"{len(content)}:{number}"), bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = list(_places(bytes(changed[: 1 << 22])))
        if places and rng.random() < 0.8:
            at, form = rng.choice(places)
        else:
            at, form = rng.randrange(max(1, len(changed))), rng.choice((">I", "<H", "B"))
        rng.choice(_CHANGES)(rng, changed, at, form)
    return bytes(changed)


def _places(content: bytes) -> Iterator[tuple[int, str]]:
    """Where numbers stand that say how much there is, and how they are written."""
    if content[4:8] in (b"ftyp", b"moov"):
        for box in _BOXES:
            for match in re.finditer(re.escape(box), content):
                yield match.start() - 4, ">I"  # its size
                yield from ((match.start() + 8 + 4 * n, ">I") for n in range(12))
    elif content.startswith(b"\x1a\x45\xdf\xa3"):
        for element in _MATROSKA:
            yield from (
                (m.end() + 1, ">H") for m in re.finditer(re.escape(element), content[:4096])
            )
    elif content[:3] == b"GIF":
        yield from ((6, "<H"), (8, "<H"))
        for match in re.finditer(rb"\x21\xf9\x04", content):
            yield match.start() + 4, "<H"  # delay
            yield from ((match.start() + 9 + 2 * n, "<H") for n in range(4))  # place and size
    elif content[:4] == b"RIFF":
        for chunk in _AVI:
            for match in re.finditer(re.escape(chunk), content[: 1 << 16]):
                yield from ((match.end() + 4 * n, "<I") for n in range(14))
    elif content[:1] == b"\x47":
        yield from ((at + n, "B") for at in range(0, len(content), 188) for n in (1, 3, 9, 13))


def _extreme(rng: Random, content: bytearray, at: int, form: str) -> None:
    size = struct.calcsize(form)
    value = rng.choice(_NUMBERS) & (1 << 8 * size) - 1
    content[at : at + size] = struct.pack(form, value)


def _near(rng: Random, content: bytearray, at: int, form: str) -> None:
    size = struct.calcsize(form)
    if at + size <= len(content):
        value = struct.unpack_from(form, content, at)[0]
        value = value * rng.choice((2, 10, 1000)) + rng.choice((-1, 0, 1))
        content[at : at + size] = struct.pack(form, value & (1 << 8 * size) - 1)


def _flip(rng: Random, content: bytearray, at: int, form: str) -> None:
    if at < len(content):
        content[at] ^= 1 << rng.randrange(8)


def _cut(rng: Random, content: bytearray, at: int, form: str) -> None:
    del content[max(64, at) :]


_CHANGES: tuple[Callable[[Random, bytearray, int, str], None], ...]
_CHANGES = (_extreme, _extreme, _extreme, _near, _near, _flip, _cut)
