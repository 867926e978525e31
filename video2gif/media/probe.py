"""Check that a file is a whole, playable video or GIF, and count its frames without decoding them.

Runs in a killable child (`core.sandbox`). One frame is decoded to prove that the codec works; then
all packets are counted. A file that was cut off often decodes without any error, so what was found
is compared with what the container declares.
"""

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.types import Kind
from video2gif.core.work import Item, Work
from video2gif.media import given
from video2gif.media.decode import Decoder, StreamInfo
from video2gif.media.open import MAX_GIF_TOTAL_PIXELS, open_container, video_stream
from video2gif.media.sniff import cut_short, sniff

MAX_SHORTFALL = 0.02  # of the declared duration or frame count
_MIN_SHORTFALL_S = 0.25  # muxers round durations up by a few frames or a packet of sound
# These formats declare no duration; libav computes one from the last time stamps it finds.
_UNDECLARED = ("mpegts", "mpeg", "mpegvideo", "gif")


def probing() -> Work:
    """The work of an item whose args are path and kind, on a file that a stranger may have made."""
    return Work(function=f"{__name__}:work", libraries=("av",))


def check_size(n_bytes: int, *, max_bytes: int) -> None:
    """Raise `ItemError` (too_large) for a file above the limit, wherever it comes from."""
    if n_bytes > max_bytes:
        raise ItemError("too_large", f"{n_bytes} bytes, more than download.max_bytes = {max_bytes}")


def probe_item(item_id: str, path: Path, *, kind: Kind, sha256: str) -> Item:
    """One file to check. `kind` says whether it is supposed to be a video or a GIF."""
    args = {"path": str(path.resolve()), "kind": kind}
    return Item(id=item_id, inputs=(sha256, kind), args=args)


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a file contains, as far as its packets tell."""

    n_frames: int
    duration_s: float
    fps_num: int
    fps_den: int
    width: int
    """As shown, pixels; likewise `height`."""
    height: int
    codec: str
    extension: str
    """By content, without a dot."""
    as_named: bool
    """Whether the content is of the kind it was supposed to be."""


def read_probe(payload: bytes) -> Probed:
    """From the item that `work` wrote."""
    return Probed(**read_arrays(payload)[1])


def work(*, out: Path, params: dict[str, Any], path: str, kind: Kind) -> None:
    """Write the `Probed` of the file.

    Raises `ItemError`: missing, empty, not_media, truncated, no_video, no_frames, codec, too_large.
    """
    content = sniff(Path(path))
    if content.kind == given.KIND:
        write_arrays(out, {}, asdict(_given(given.GivenClips.read(Path(path)))))
        return
    info, frame = _first_frame(Path(path))
    with open_container(Path(path)) as container:
        counts = _count(container)
    _check_whole(info, counts)
    _check_end(Path(path), content.kind, counts)
    if info.codec == "gif" and counts.video * info.width * info.height > MAX_GIF_TOTAL_PIXELS:
        raise ItemError("too_large", f"a GIF of more than {MAX_GIF_TOTAL_PIXELS} pixels in all")
    duration_s = round(counts.video_end_s - counts.video_start_s, 9)
    fps = info.fps.limit_denominator(100_000)
    found = Probed(
        n_frames=counts.video,
        duration_s=duration_s if duration_s > 0 else info.duration_s,
        fps_num=fps.numerator,
        fps_den=fps.denominator,
        width=frame.width,
        height=frame.height,
        codec=info.codec,
        extension=content.kind or _EXTENSIONS.get(info.container, "bin"),
        as_named=(kind == "gif") == (content.kind == "gif"),
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


_EXTENSIONS = {"mpegts": "ts", "mpeg": "mpg", "mpegvideo": "mpg", "avi": "avi", "flv": "flv"}


@dataclass
class _Counts:
    """What the packets of a file say; times in seconds of the container's own clock."""

    video: int = 0
    video_start_s: float = float("inf")
    video_end_s: float = float("-inf")
    any_end_s: float = float("-inf")
    last_is_corrupt: bool = False

    def add(self, packet: Packet, *, is_video: bool) -> None:
        self.last_is_corrupt = packet.is_corrupt
        self.video += is_video and not packet.is_discard
        if packet.pts is None:
            return
        start_s = float(packet.pts * packet.time_base)
        end_s = start_s + float((packet.duration or 0) * packet.time_base)
        self.any_end_s = max(self.any_end_s, end_s)
        if is_video and not packet.is_discard:
            self.video_start_s = min(self.video_start_s, start_s)
            self.video_end_s = max(self.video_end_s, end_s)


def _first_frame(path: Path) -> tuple[StreamInfo, VideoFrame]:
    with Decoder(path) as decoder:
        for _, frame in decoder.frames():
            return decoder.info, frame
    raise ItemError("no_frames", "no frame could be decoded")


def _count(container: InputContainer) -> _Counts:
    counts = _Counts()
    index = video_stream(container).index
    try:
        for packet in container.demux():
            if packet.size:
                counts.add(packet, is_video=packet.stream_index == index)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        counts.last_is_corrupt = True
    return counts


def _check_whole(info: StreamInfo, counts: _Counts) -> None:
    """Raise `ItemError` truncated when more than 2 % of what is declared is missing."""
    # mp4 declares a duration for each stream. Elsewhere it is that of the longest stream, sound
    # included.
    end_s = counts.video_end_s if info.has_own_duration else counts.any_end_s
    missing = _is_short(info.duration_s, end_s, at_least=_MIN_SHORTFALL_S)
    if info.container == "avi":
        # Of a cut avi, libav guesses the duration from the size. Its header has the frame count.
        missing = _is_short(info.n_packets, counts.video, at_least=1)
    if missing and info.container not in _UNDECLARED:
        declared = f" of {info.n_packets}" if info.n_packets else ""
        raise ItemError(
            "truncated",
            f"{counts.video}{declared} frames, {max(end_s, 0):.2f} of {info.duration_s:.2f} s",
        )


def _check_end(path: Path, kind: str, counts: _Counts) -> None:
    """Raise `ItemError` truncated when the bytes end too early."""
    why = cut_short(path, kind)
    # Damage after the last packet of an mp4 costs no frame, so it is no reason to refuse the file.
    if why and (kind in ("gif", "ts") or counts.last_is_corrupt):
        raise ItemError("truncated", f"{why}; {counts.video} frames read")


def _is_short(declared: float, found: float, *, at_least: float) -> bool:
    shortfall = declared - found
    return shortfall > MAX_SHORTFALL * declared and shortfall > at_least
