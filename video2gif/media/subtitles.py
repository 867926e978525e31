"""Subtitles: an .srt file's, or those that a film carries. Both may come from a stranger.

The work of an item: it writes the lines as JSON, in the order of time.
"""

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from av.subtitles.subtitle import AssSubtitle

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Work
from video2gif.media.clock import begin_s
from video2gif.media.open import open_container, packets, video_stream

Subtitle = tuple[float, float, str]
"""From when to when, seconds, and what is said."""

_MAX_BYTES = 5_000_000
_MAX_LINES, _MAX_CHARS = 20_000, 500
_TIMES = re.compile(
    r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})"
)
_MARKUP = re.compile(r"<[^<>]{0,80}>|\{\\[^{}]{0,80}\}")
_DIALOGUE_FIELDS = 8  # What libav puts before the text of a line of ASS.


def subtitling() -> Work:
    """The work of `subtitle_item`s."""
    return Work(function=f"{__name__}:work", libraries=("av",))


def subtitle_item(item_id: str, path: Path, *, sha256: str, embedded: bool) -> Item:
    """The lines of an .srt file, or of a film."""
    args = {"path": str(path.resolve()), "embedded": embedded}
    return Item(id=item_id, inputs=(sha256, str(embedded)), args=args)


def read_subtitles(payload: bytes) -> list[Subtitle]:
    """From the item that `work` wrote."""
    return [(start, end, text) for start, end, text in read_arrays(payload)[1]["lines"]]


def work(*, out: Path, params: dict[str, Any], path: str, embedded: bool) -> None:
    """Write the lines. Raises `ItemError`: subtitles where there are none; what opening raises."""
    found = _embedded(Path(path)) if embedded else parsed_srt(_text(Path(path)))
    lines = sorted(one for one in found if one[1] > one[0] and one[2])[:_MAX_LINES]
    if not lines:
        what = "the film carries no subtitles in text" if embedded else "no line of SubRip in it"
        raise ItemError("subtitles", f"{what}; name an .srt file with --subtitles")
    write_arrays(out, {}, {"lines": lines})


def parsed_srt(text: str) -> Iterator[Subtitle]:
    """The lines of a SubRip file; blocks that are none are passed over."""
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        times = _TIMES.search(block)
        if times is None:
            continue
        h, m, s, ms, h2, m2, s2, ms2 = times.groups()
        start_s = 3600 * int(h) + 60 * int(m) + int(s) + int(ms.ljust(3, "0")) / 1000
        end_s = 3600 * int(h2) + 60 * int(m2) + int(s2) + int(ms2.ljust(3, "0")) / 1000
        yield start_s, end_s, plain(block[times.end() :])


def plain(text: str) -> str:
    """Without markup and control characters; line breaks stay."""
    text = _MARKUP.sub("", text).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    kept = "".join(c for c in text if c == "\n" or c.isprintable())
    return "\n".join(line.strip() for line in kept.strip().split("\n") if line.strip())[:_MAX_CHARS]


def _text(path: Path) -> str:
    if not path.is_file():
        raise ItemError("missing", f"{path.name}: no such file")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ItemError("too_large", f"{path.name}: more than {_MAX_BYTES} bytes")
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    with suppress(UnicodeError):
        return content.decode("utf-16" if is_wide else "utf-8-sig")
    return content.decode("cp1252", "replace")


def _embedded(path: Path) -> Iterator[Subtitle]:
    with open_container(path) as container:
        if not container.streams.subtitles:
            return
        video = video_stream(container)
        first_s = (video.start_time or 0) * float(video.time_base or 0)
        zero_s = begin_s(container, first_s)
        stream = container.streams.subtitles[0]
        for packet in packets(container, stream):
            if packet.pts is None or not packet.size:
                continue
            start_s = packet.pts * float(packet.time_base) - zero_s
            length_s = (packet.duration or 0) * float(packet.time_base)
            for one in packet.decode():
                if isinstance(one, AssSubtitle):  # Others are pictures.
                    yield start_s, start_s + length_s, _said(one)


def _said(one: AssSubtitle) -> str:
    """The text of what libav decodes: a line of ASS with its fields, or plain."""
    text = (one.ass or one.text).decode("utf-8", "replace")
    fields = text.split(",", _DIALOGUE_FIELDS)
    return plain(fields[-1] if len(fields) > _DIALOGUE_FIELDS else text)
