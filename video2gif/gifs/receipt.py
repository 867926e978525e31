"""The receipt inside a GIF: which video and frames it shows, by which model and parameters.

A JSON object, in a comment block of a GIF (GIF89a, section 24), an XMP chunk of a WebP, or a `uuid`
box of an MP4 or AVIF. It is no signature, as anybody can write one. Its worth is that `video2gif
verify` computes everything in it again. A receipt may come from a stranger: it is read with a size
limit, and every key and type is checked before anything in it is used.
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Len, Lt, Predicate

from video2gif.core.errors import ItemError
from video2gif.gifs.render import Recipe

_MAX_BYTES = 4096
_MAGIC = b"video2gif:"
_UUID = hashlib.sha256(b"video2gif receipt").digest()[:16]

Sha256 = Annotated[str, Predicate(re.compile("[0-9a-f]{64}").fullmatch)]
Real = Annotated[float, Gt(-1e9), Lt(1e9)]


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a GIF says about where it comes from."""

    source: Sha256
    """sha256 of the video."""
    body: Sha256
    """sha256 of the GIF without its receipt."""
    model: Sha256 | Literal["baseline", "default"]
    """sha256 of the model's file, or the ranking that needs none."""
    params: Sha256
    """sha256 of the parameters that decide what the moments are and how they score."""
    tool: Annotated[str, Len(max_length=80), Predicate(str.isprintable)]
    """Versions of video2gif and PyAV. Other versions may write other bytes of the same pictures."""
    score: Real | None
    """Score of the moment; null if it has none."""
    moment: tuple[Real, Real]
    """The ranked segment, seconds."""
    recipe: Recipe
    """Which frames the GIF shows, and how it was encoded."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    def dump(self) -> bytes:
        """Compact JSON, sorted keys; of the recipe only what has not its default."""
        said = {**asdict(self), "recipe": _said(self.recipe)}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def embed(content: bytes, receipt: Receipt) -> bytes:
    """The file with its receipt."""
    text = _MAGIC + receipt.dump()
    if content[:4] == b"GIF8":
        # The last byte of a GIF is its trailer; the comment goes in front of it.
        return content[:-1] + _comment(text) + content[-1:]
    if content[:4] == b"RIFF":
        return _with_xmp(content, text)
    return content + struct.pack(">I4s", 24 + len(text), b"uuid") + _UUID + text


def extract(content: bytes) -> tuple[Receipt, bytes]:
    """The receipt, and the file without it. Raises `ItemError` (receipt) without a usable one."""
    finder = {b"GIF8": _from_gif, b"RIFF": _from_webp}.get(content[:4], _from_boxes)
    try:
        text, body = finder(content)
    except (struct.error, IndexError):
        raise ItemError("receipt", "the file is damaged: its blocks run past its end") from None
    return parse(text), body


def parse(text: bytes) -> Receipt:
    """A receipt from its JSON, every field checked. Raises `ItemError` (receipt)."""
    if len(text) > _MAX_BYTES:
        raise _bad(f"it has {len(text)} bytes; the limit is {_MAX_BYTES}")
    from pydantic import TypeAdapter, ValidationError

    try:
        json.loads(text, object_pairs_hook=_unique)
        receipt = TypeAdapter(Receipt).validate_json(text)
    except ValidationError as error:
        mistake = error.errors()[0]
        raise _bad(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}") from None
    except (ValueError, RecursionError):
        raise _bad("it is not the JSON that video2gif writes") from None
    recipe = receipt.recipe
    if not recipe.start_s < recipe.end_s <= recipe.start_s + 600:
        raise _bad("span out of range")
    if recipe.fade_frames >= recipe.n_frames or recipe.height > recipe.master_height:
        raise _bad("fade_frames or height out of range")
    if recipe.crop is not None and min(recipe.crop[2:]) < 2:
        raise _bad("crop out of range")
    return receipt


def this_tool() -> str:
    """What `Receipt.tool` is when made here."""
    return f"video2gif {version('video2gif')}, av {version('av')}"


def digest(content: bytes) -> str:
    """sha256, hex."""
    return hashlib.sha256(content).hexdigest()


def _said(recipe: Recipe) -> dict[str, Any]:
    usual = {field.name: field.default for field in fields(Recipe)}
    return {
        name: v for name, v in asdict(recipe).items() if usual[name] is MISSING or v != usual[name]
    }


def _bad(why: str) -> ItemError:
    return ItemError("receipt", f"the receipt cannot be used: {why}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


# Containers


def _none() -> ItemError:
    return ItemError("receipt", "the file carries no receipt of video2gif")


def _comment(text: bytes) -> bytes:
    """A GIF comment extension: sub-blocks of at most 255 bytes, then an empty one."""
    parts = (text[i : i + 255] for i in range(0, len(text), 255))
    return b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\x00"


def _from_gif(content: bytes) -> tuple[bytes, bytes]:
    for start, end, label in _gif_blocks(content):
        if label == 0xFE:
            text = _sub_blocks(content, start + 2)[0]
            if text.startswith(_MAGIC):
                return text[len(_MAGIC) :], content[:start] + content[end:]
    raise _none()


def _gif_blocks(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(start, end, label) of each extension; images are passed over."""
    at = 13 + _colours(content[10])
    while content[at] != 0x3B:
        if content[at] == 0x21:
            end = _skipped(content, at + 2)
            yield at, end, content[at + 1]
        elif content[at] == 0x2C:
            end = _skipped(content, at + 11 + _colours(content[at + 9]))
        else:
            raise _bad("a block of the GIF is of no known kind")
        at = end


def _colours(flags: int) -> int:
    """Bytes of the colour table that a descriptor's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skipped(content: bytes, at: int) -> int:
    while content[at]:
        at += content[at] + 1
    return at + 1


def _sub_blocks(content: bytes, at: int) -> tuple[bytes, int]:
    parts: list[bytes] = []
    while content[at] and len(parts) * 255 <= _MAX_BYTES:
        parts.append(content[at + 1 : at + 1 + content[at]])
        at += content[at] + 1
    return b"".join(parts), at + 1


def _with_xmp(content: bytes, text: bytes) -> bytes:
    padded = text + b"\x00" * (len(text) % 2)  # A RIFF chunk has an even number of bytes.
    chunk = b"XMP " + struct.pack("<I", len(text)) + padded
    # Bit 0x04 of a VP8X header announces XMP. (WebP container specification, "Extended format")
    flags = content[20] | 0x04 if content[12:16] == b"VP8X" else content[20]
    body = content[8:20] + bytes([flags]) + content[21:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _from_webp(content: bytes) -> tuple[bytes, bytes]:
    at = 12
    while at < len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        end = at + 8 + size + size % 2
        text = content[at + 8 : at + 8 + size]
        if name == b"XMP " and text.startswith(_MAGIC):
            rest = content[8:20] + bytes([content[20] & ~0x04]) + content[21:at] + content[end:]
            return text[len(_MAGIC) :], b"RIFF" + struct.pack("<I", len(rest)) + rest
        at = end
    raise _none()


def _from_boxes(content: bytes) -> tuple[bytes, bytes]:
    at = 0
    while at < len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        if size < 8:
            break
        text = content[at + 24 : at + size]
        if name == b"uuid" and content[at + 8 : at + 24] == _UUID and text.startswith(_MAGIC):
            return text[len(_MAGIC) :], content[:at] + content[at + size :]
        at += size
    raise _none()
