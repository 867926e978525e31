"""Is this file a whole, playable video or GIF, and how many frames has it? Reads packets only.

Runs in a killable child (`core.sandbox`): one frame is decoded to prove that the codec works, then
every packet is counted without decoding. A cut file often decodes without an error, so what is
there is compared with what the container declares.
"""

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.types import Kind
from video2gif.core.work import Item, Work
from video2gif.media import given
from video2gif.media.clock import begin_s, may_join
from video2gif.media.decode import Decoder
from video2gif.media.kinds import of_demuxer
from video2gif.media.light import Hdr
from video2gif.media.open import (
    MAX_DURATION_S,
    MAX_GIF_TOTAL_PIXELS,
    open_container,
    packets,
    video_stream,
)
from video2gif.media.shown import hdr_of, width_of
from video2gif.media.sniff import sniff
from video2gif.media.whole import PacketCounts, StreamInfo, check_end, check_whole


def probing() -> Work:
    """The work of an item whose args are path and kind, on a file that a stranger may have made."""
    return Work(function=f"{__name__}:work", libraries=("av",))


def check_size(n_bytes: int, *, max_bytes: int) -> None:
    """Raise `ItemError` (too_large) for a file above the limit, wherever it comes from."""
    if n_bytes > max_bytes:
        raise ItemError("too_large", f"{n_bytes} bytes, more than download.max_bytes = {max_bytes}")


def probe_item(item_id: str, path: Path, *, kind: Kind, sha256: str) -> Item:
    """One file to look into, taken for a video or a GIF."""
    args = {"path": str(path.resolve()), "kind": kind}
    return Item(id=item_id, inputs=(sha256, kind), args=args)


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a file holds, by its packets."""

    n_frames: int
    duration_s: float
    fps_num: int
    fps_den: int
    width: int
    """As shown: upright, in square pixels. Likewise `height`."""
    height: int
    codec: str
    extension: str
    """By content, without a dot."""
    as_named: bool
    """Whether the content is of the kind it was taken for."""
    hdr: Hdr = ""


def read_probe(payload: bytes) -> Probed:
    """From the item that `work` wrote."""
    return Probed(**read_arrays(payload)[1])


def work(*, out: Path, params: dict[str, Any], path: str, kind: Kind) -> None:
    """Write what is `Probed` of the file.

    Raises `ItemError`: missing, empty, not_media, truncated, no_video, no_frames, codec, too_large.
    """
    content = sniff(Path(path))
    if content.kind == given.KIND:
        write_arrays(out, {}, asdict(_given(given.GivenClips.read(Path(path)))))
        return
    info, frame = _first_frame(Path(path))
    with open_container(Path(path)) as container:
        counts = _count(container)
        begins_s = begin_s(container, counts.video_start_s)
    check_whole(info, counts, all_streams=True)
    check_end(Path(path), content.kind, counts)
    if info.codec == "gif" and counts.video * info.width * info.height > MAX_GIF_TOTAL_PIXELS:
        raise ItemError("too_large", f"a GIF of more than {MAX_GIF_TOTAL_PIXELS} pixels in all")
    duration_s = round(counts.video_end_s - begins_s, 9)
    if duration_s > MAX_DURATION_S:
        raise ItemError("too_large", f"{duration_s:.0f} s long; the limit is {MAX_DURATION_S:g} s")
    fps = info.fps.limit_denominator(100_000)
    found = Probed(
        n_frames=counts.video,
        duration_s=duration_s if duration_s > 0 else info.duration_s,
        fps_num=fps.numerator,
        fps_den=fps.denominator,
        width=width_of(frame),
        height=frame.height,
        codec=info.codec,
        extension=content.kind if content.is_media else of_demuxer(info.container),
        as_named=(kind == "gif") == (content.kind == "gif"),
        hdr=hdr_of(frame),
    )
    write_arrays(out, {}, asdict(found))


def _given(clips: given.GivenClips) -> Probed:
    """Clips count as frames, at their mean rate; there is no picture."""
    n_clips, duration_s = len(clips.features), float(clips.times_s[-1])
    rate = Fraction(n_clips / duration_s).limit_denominator(100_000)
    return Probed(
        n_frames=n_clips,
        duration_s=duration_s,
        fps_num=rate.numerator,
        fps_den=rate.denominator,
        width=0,
        height=0,
        codec=given.KIND,
        extension=given.KIND,
        as_named=True,
    )


def _first_frame(path: Path) -> tuple[StreamInfo, VideoFrame]:
    with Decoder(path) as decoder:
        for _, frame in decoder.frames():
            return decoder.info, frame
    raise ItemError("no_frames", "no frame could be decoded")


def _count(container: InputContainer) -> PacketCounts:
    counts = PacketCounts(may_join=may_join(container))
    index = video_stream(container).index
    try:
        for packet in packets(container):
            if packet.size:
                counts.add(packet, is_video=packet.stream_index == index)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        counts.last_is_corrupt = True
    return counts
