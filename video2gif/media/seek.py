"""The frames of one span, found fast in containers without an index as well.

`media.Decoder` reads MPEG-TS and its like from the start: their time stamps may jump, and only
decoding everything tells. Here the times of the wanted frames are known already (from the
fingerprint, or a receipt), so a jump by time stamp can be checked: it counts only if just the
frames that were expected come out of it. Else the file is read from the start.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import av
from av.stream import Discard
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.media.clock import Clock, begin_s, may_join
from video2gif.media.decode import Decoder
from video2gif.media.open import decoder_of, open_container, packets, video_stream
from video2gif.media.shown import Shown, stored_aspect

T = TypeVar("T")
_EPSILON_S = 1e-6
_JUMPS_S = (1.0, 4.0, 16.0)
"""How far before the span to look for a key frame, one after the other."""
_SAME_END_S = 1.0  # libav looks for the last time stamps near the end of the file only.


def frames_between(
    path: Path,
    start_s: float,
    end_s: float,
    *,
    expected: int,
    keep: Callable[[int, VideoFrame], T],
    file_end_s: float | None = None,
) -> tuple[list[float], list[T]]:
    """Times and `keep(number, frame)` of the frames with start_s <= time < end_s.

    The first frame must start at `start_s`. `file_end_s`: when the last frame of the file ends;
    only who knows it can jump, for it tells a stream of one recording from one of several. Raises
    `ItemError` (no_frames) when there are not `expected` of them.
    """
    for before_s in _JUMPS_S:
        found = _collected(_jumped(path, start_s, before_s, file_end_s), start_s, end_s, keep)
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
    """What a jump found is not what reading from the start would find."""


def _jumped(
    path: Path, start_s: float, before_s: float, file_end_s: float | None
) -> Iterator[tuple[float, VideoFrame]] | None:
    """Frames from a key frame at or before `start_s`; None where jumping is not the way."""
    if start_s < 2 * before_s or file_end_s is None:
        return None
    with open_container(path) as container:
        if not may_join(container):
            return None  # The decoder jumps by the container's index.
        stream = video_stream(container)
        tick = float(stream.time_base or 0)
        first_s, length_s = (stream.start_time or 0) * tick, (stream.duration or 0) * tick
        ends_s = first_s + length_s - begin_s(container, first_s)
        if abs(ends_s - file_end_s) > _SAME_END_S:
            return None  # A time stamp may stand in several recordings.
    return _from_key_frame(path, start_s, before_s)


def _from_key_frame(
    path: Path, start_s: float, before_s: float
) -> Iterator[tuple[float, VideoFrame]]:
    with open_container(path) as container:
        stream = video_stream(container)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        decoder_of(container, stream, threads=1)
        clock = Clock(container, stream)
        clock.start(next(container.decode(stream)))
        container.seek(clock.ticks(start_s - before_s), stream=stream)
        shown, last_s, is_on = Shown(stored_aspect(container, stream)), -1.0, False
        for packet in packets(container, stream):
            if not is_on:
                is_on = packet.is_keyframe and packet.pts is not None
                if not is_on:
                    continue
                assert packet.pts is not None
                if clock.seconds(packet.pts) > start_s + _EPSILON_S:
                    raise _Lost
            for frame in stream.decode(packet if packet.size else None):
                if frame.pts is None or frame.is_corrupt:
                    raise _Lost
                time_s = clock.seconds(frame.pts)
                if time_s <= last_s:
                    raise _Lost
                last_s = time_s
                yield time_s, shown(frame)
