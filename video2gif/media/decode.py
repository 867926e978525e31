"""Decode a video's frames once, in the order they are shown, each with its own time.

A frame's time is its PTS (presentation time stamp) minus that of the first decoded frame, never
index / fps. If a packet cannot be decoded, only that packet is lost. Frames come as a viewer sees
them: the container's rotation is applied, and GIF frames are drawn onto their canvas (by libav). A
GIF delay of 0 counts as 10 hundredths of a second; others count as written, from 1 to 65535.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from video2gif.core.errors import ItemError
from video2gif.media.open import (
    MAX_GIF_TOTAL_PIXELS,
    max_frame_pixels,
    open_container,
    video_stream,
)
from video2gif.media.rotate import Upright

# Containers with an index of their key frames. All others are read from the start.
_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
# If time goes back by more than this, the file is broken; by less, its muxer was only careless.
_MAX_BACKWARD_S = 1.0


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """What the container declares about its video, before anything is decoded."""

    container: str
    """libav's name of the demuxer."""
    codec: str
    width: int
    """Pixels as stored, before rotation."""
    height: int
    sample_aspect: Fraction
    """Width of a pixel over its height."""
    n_packets: int
    """Frames the container declares; 0 if it does not say."""
    duration_s: float
    """Declared duration of the video stream, else of the file; 0 if it does not say."""
    has_own_duration: bool
    """Whether `duration_s` is declared for the stream, not for the file."""
    fps: Fraction
    """Average frame rate, else libav's guess; only a hint: time comes from PTS."""


class Decoder:
    """Decode a file's video once, in presentation order.

    Use in `with`; iterate `frames()` once. Raises `ItemError` (see `open_container`) on entry.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._path = path
        self._threads = threads
        self._resources = ExitStack()
        self.packets = 0
        """Packets of the video stream read so far."""
        self.bad_packets = 0
        """Of these, how many could not be decoded, or gave a damaged frame."""
        self.repaired_pts = 0
        """Frames whose PTS was missing, repeated or went back, and was replaced by a later one."""
        self.end_s = 0.0
        """End of the last frame so far: its time plus its duration, seconds."""

    def __enter__(self) -> "Decoder":
        self._container: InputContainer = self._resources.enter_context(open_container(self._path))
        try:
            self._stream = video_stream(self._container)
            self._prepare()
            self.info = _stream_info(self._container, self._stream)
        except BaseException:
            self._resources.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def frames(self, *, from_s: float = 0.0) -> Iterator[tuple[float, VideoFrame]]:
        """Yield (seconds since the first frame, frame); times strictly increase.

        `from_s` only saves work: frames before the last key frame at or before it may be left out.
        The frames that come are the same, with the same times, as without it.
        """
        clock = _Clock(self._stream, self.info)
        upright = Upright()
        count = 0
        for frame in self._decoded(clock, from_s):
            count += 1
            self._check_total(count, frame)
            time_s = clock.time_s(frame)
            self.end_s, self.repaired_pts = clock.end_s, clock.repaired
            yield time_s, upright(frame)
        if not count:
            raise ItemError("no_frames", f"none of {self.packets} packets gave a frame")

    def _prepare(self) -> None:
        for stream in self._container.streams:
            if stream.index != self._stream.index:
                stream.discard = Discard.all
        context = self._stream.codec_context
        context.thread_count = self._threads
        context.thread_type = "AUTO"
        # The limit also holds if the size changes later in the stream; such a packet counts as bad.
        context.options = {"max_pixels": str(max_frame_pixels(self._container))}

    def _decoded(self, clock: "_Clock", from_s: float) -> Iterator[VideoFrame]:
        frames = self._decode(self._packets())
        if from_s > 0 and self._container.format.name in _INDEXED:
            # Time counts from the first frame, so that one is decoded before the jump.
            first = next(frames, None)
            if first is None:
                return
            clock.start(first)
            frames = self._decode(self._packets_from(clock.ticks(from_s)))
        yield from frames

    def _decode(self, packets: Iterator[Packet]) -> Iterator[VideoFrame]:
        for packet in packets:
            is_flush = packet.size == 0
            self.packets += not is_flush
            try:
                frames = self._stream.decode(None if is_flush else packet)
            except MemoryError:
                raise  # The item needs more memory than its limit; the packet is not damaged.
            except av.error.FFmpegError:
                self.bad_packets += 1
                continue
            for frame in frames:
                self.bad_packets += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[Packet]:
        """Packets as the container gives them. A read error counts as bad and ends the stream."""
        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError:
            self.bad_packets += 1
            yield Packet()  # Let the decoder give out what it still holds.

    def _packets_from(self, pts: int) -> Iterator[Packet]:
        """Packets from a key frame at or before `pts`, or from the start if there is none.

        Frames that are stored after a key frame but shown before it may need frames that were
        skipped. So the key frame itself must be shown at or before `pts`.
        """
        self._container.seek(pts, stream=self._stream)
        packets = self._packets()
        first = next(packets)
        if not first.is_keyframe or first.pts is None or first.pts > pts:
            self._container.seek(self._stream.start_time or 0, stream=self._stream)
            packets = self._packets()
        else:
            yield first
        yield from packets

    def _check_total(self, count: int, frame: VideoFrame) -> None:
        total = count * frame.width * frame.height
        if self.info.codec == "gif" and total > MAX_GIF_TOTAL_PIXELS:
            raise ItemError(
                "too_large", f"a GIF of more than {MAX_GIF_TOTAL_PIXELS} pixels in all frames"
            )


class _Clock:
    """Turns the PTS of frames into strictly increasing seconds."""

    def __init__(self, stream: VideoStream, info: StreamInfo) -> None:
        self._tick = Fraction(stream.time_base or Fraction(1, av.time_base))
        self._usual = max(1, round(1 / (info.fps * self._tick))) if info.fps else 1
        self._first: int | None = None
        self._last: int | None = None
        self.repaired = 0
        self.end_s = 0.0

    def start(self, frame: VideoFrame) -> None:
        """Let this frame's PTS be time 0."""
        self._first = frame.pts or 0

    def ticks(self, time_s: float) -> int:
        """The PTS of a time."""
        return (self._first or 0) + int(time_s / self._tick)

    def time_s(self, frame: VideoFrame) -> float:
        pts = self._monotone(frame.pts)
        if self._first is None:
            self._first = pts
        self._last = pts
        self.end_s = float((pts + (frame.duration or self._usual) - self._first) * self._tick)
        return float((pts - self._first) * self._tick)

    def _monotone(self, pts: int | None) -> int:
        if self._last is None:
            return pts or 0
        if pts is not None and pts > self._last:
            return pts
        if pts is not None and (self._last - pts) * self._tick > _MAX_BACKWARD_S:
            back_s = float((self._last - pts) * self._tick)
            raise ItemError("decode", f"presentation time jumps back by {back_s:.2f} s")
        self.repaired += 1
        # A repeated time becomes one tick later, so that the frames after it keep their own times.
        return self._last + (self._usual if pts is None else 1)


def _stream_info(container: InputContainer, stream: VideoStream) -> StreamInfo:
    context = stream.codec_context
    if stream.duration and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    else:
        duration_s = (container.duration or 0) / av.time_base
    return StreamInfo(
        container=container.format.name,
        codec=context.name,
        width=context.width,
        height=context.height,
        sample_aspect=context.sample_aspect_ratio or Fraction(1),
        n_packets=stream.frames,
        duration_s=duration_s,
        has_own_duration=bool(stream.duration),
        fps=Fraction(stream.average_rate or stream.guessed_rate or 0),
    )
