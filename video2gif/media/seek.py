"""Find the frames of one span quickly, also in containers without an index.

`media.Decoder` reads MPEG-TS and MPEG-PS from the start, because their time stamps may jump, which
only decoding everything shows. Here the times of the wanted frames are known already, from the
fingerprint or a receipt. So a jump to a time stamp can be checked: it is used only if exactly the
expected frames come out of it. Otherwise the file is read from the start.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import av
from av.stream import Discard
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.media.decode import Decoder
from video2gif.media.open import max_frame_pixels, open_container, video_stream
from video2gif.media.rotate import Upright

T = TypeVar("T")
_EPSILON_S = 1e-6
_JUMPS_S = (1.0, 4.0, 16.0)
"""How far before the span to look for a key frame: try these distances in turn."""
_JUMPED = ("mpegts", "mpeg")


def frames_between(
    path: Path, start_s: float, end_s: float, *, expected: int, keep: Callable[[int, VideoFrame], T]
) -> tuple[list[float], list[T]]:
    """Times and `keep(number, frame)` of the frames with start_s <= time < end_s.

    The first frame must start at `start_s`. Raises `ItemError` (no_frames) when there are not
    `expected` of them.
    """
    for before_s in _JUMPS_S:
        found = _collected(_jumped(path, start_s, before_s), start_s, end_s, keep)
        if found is None:
            break
        times_s, kept = found
        if len(kept) == expected and abs(times_s[0] - start_s) <= _EPSILON_S:
            return times_s, kept
    with Decoder(path) as decoder:
        times_s, kept = _within(decoder.frames(from_s=start_s), start_s, end_s, keep)
    if len(kept) != expected:
        raise ItemError("no_frames", f"{len(kept)} frames in the span, {expected} expected")
    return times_s, kept


def _collected(
    frames: Iterator[tuple[float, VideoFrame]] | None,
    start_s: float,
    end_s: float,
    keep: Callable[[int, VideoFrame], T],
) -> tuple[list[float], list[T]] | None:
    if frames is None:
        return None
    with closing(frames):  # type: ignore[type-var]
        try:
            return _within(frames, start_s, end_s, keep)
        except (av.error.FFmpegError, _Lost):
            return [], []


def _within(
    frames: Iterator[tuple[float, VideoFrame]],
    start_s: float,
    end_s: float,
    keep: Callable[[int, VideoFrame], T],
) -> tuple[list[float], list[T]]:
    times_s: list[float] = []
    kept: list[T] = []
    for time_s, frame in frames:
        if time_s >= end_s - _EPSILON_S:
            break
        if time_s >= start_s - _EPSILON_S:
            times_s.append(time_s)
            kept.append(keep(len(kept), frame))
    return times_s, kept


class _Lost(Exception):
    """After a jump, the frames are not those that reading from the start would give."""


def _jumped(
    path: Path, start_s: float, before_s: float
) -> Iterator[tuple[float, VideoFrame]] | None:
    """Frames from a key frame at or before `start_s`; None if a jump is of no use here."""
    if start_s < 2 * before_s:
        return None
    with open_container(path) as container:
        if container.format.name not in _JUMPED:
            return None  # The decoder jumps by the container's index.
    return _from_key_frame(path, start_s, before_s)


def _from_key_frame(
    path: Path, start_s: float, before_s: float
) -> Iterator[tuple[float, VideoFrame]]:
    with open_container(path) as container:
        stream = video_stream(container)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(max_frame_pixels(container))}
        zero = next(container.decode(stream)).pts
        tick = stream.time_base
        if zero is None or tick is None:
            raise _Lost
        container.seek(zero + int((start_s - before_s) / tick), stream=stream)
        upright, last_s, is_on = Upright(), -1.0, False
        for packet in container.demux(stream):
            if not is_on:
                is_on = packet.is_keyframe and packet.pts is not None
                if not is_on:
                    continue
                assert packet.pts is not None
                key_s = float((packet.pts - zero) * tick)
                if key_s > start_s + _EPSILON_S:
                    raise _Lost
            for frame in stream.decode(packet if packet.size else None):
                if frame.pts is None or frame.is_corrupt:
                    raise _Lost
                time_s = float((frame.pts - zero) * tick)
                if time_s <= last_s:
                    raise _Lost
                last_s = time_s
                yield time_s, upright(frame)
