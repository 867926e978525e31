"""One pass over a video's frames in presentation order, each with its own time.

Time is the frame's own PTS on the clock of the players (`media.clock`), never index / fps. A packet
that cannot be decoded costs that packet, not the file. Frames come as the viewer sees them
(`media.shown`). libav composites GIF frames onto the canvas and takes a delay of 0 as 10 cs; other
delays count as written, from 1 to 65535 cs.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.media.clock import Clock, may_join
from video2gif.media.open import (
    MAX_GIF_TOTAL_PIXELS,
    decoder_of,
    open_container,
    packets,
    video_stream,
)
from video2gif.media.shown import Shown
from video2gif.media.whole import PacketCounts, StreamInfo, declared

# Containers whose index says where key frames are; others are read from the start.
_INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


DECODING_THREADS = 3
"""What libav would choose on two cores. Fixed, so that results do not depend on the machine."""


class DecodedFilm(Protocol):
    """A file being decoded, as who reads it sees it: a `Decoder`, or a share of one."""

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        """As `Decoder.frames`. To be iterated once."""
        ...

    @property
    def info(self) -> StreamInfo: ...

    # When the frames have ended:

    @property
    def end_s(self) -> float: ...

    @property
    def packets(self) -> int: ...

    @property
    def bad_packets(self) -> int: ...

    @property
    def counts(self) -> PacketCounts: ...


class Decoder:
    """Decode a file's video once, in presentation order.

    Use in `with`; iterate `frames()` once. Raises `ItemError` (see `open_container`) on entry.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._path = path
        self._threads = threads
        self._resources = ExitStack()
        self.info: StreamInfo
        """What the container declares."""
        self.counts: PacketCounts
        """What the packets of the video read so far say."""
        self.packets = 0
        """Packets of the video stream read so far."""
        self.bad_packets = 0
        """Of these, how many could not be decoded, or gave a damaged frame."""
        self.repaired_pts = 0
        """Frames whose PTS was missing, repeated or went back, and was moved forward."""
        self.end_s = 0.0
        """End of the last frame so far: its time plus its duration, seconds."""
        self.joins = 0
        """Where one recording ends in the stream and another begins, on a clock of its own."""

    def __enter__(self) -> "Decoder":
        self._container: InputContainer = self._resources.enter_context(open_container(self._path))
        try:
            self._stream = video_stream(self._container)
            self._prepare()
            self.info = declared(self._container, self._stream)
            self.counts = PacketCounts(may_join=may_join(self._container))
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
        """Yield (seconds, frame); times strictly increase, from 0 unless the picture comes late.

        `from_s` only spares work: frames before the last key frame at or before it may be left
        out; those that come are the same, with the same times, as without it.
        """
        clock = Clock(self._container, self._stream)
        shown = Shown(self.info.sample_aspect)
        count = 0
        for frame in self._decoded(clock, from_s):
            count += 1
            self._check_total(count, frame)
            time_s = clock.time_s(frame)
            self.end_s, self.repaired_pts, self.joins = clock.end_s, clock.repaired, clock.joins
            yield time_s, shown(frame)
        if not count:
            raise ItemError("no_frames", f"none of {self.packets} packets gave a frame")

    def _prepare(self) -> None:
        for stream in self._container.streams:
            if stream.index != self._stream.index:
                stream.discard = Discard.all
        self._codec = decoder_of(self._container, self._stream, threads=self._threads)

    def _decoded(self, clock: Clock, from_s: float) -> Iterator[VideoFrame]:
        frames = self._decode(self._packets())
        if from_s > 0 and self._container.format.name in _INDEXED:
            first = next(frames, None)
            if first is None:
                return
            clock.start(first)
            frames = self._decode(self._packets_from(clock.ticks(from_s)))
        yield from frames

    def _decode(self, packets: Iterator[Packet]) -> Iterator[VideoFrame]:
        for packet in packets:
            is_flush = packet.size == 0
            if not is_flush:
                self.packets += 1
                self.counts.add(packet, is_video=True)
            try:
                frames = self._codec.decode(None if is_flush else packet)
            except MemoryError:
                raise  # The item is too much for its limits: no fault of this packet.
            except av.error.FFmpegError:
                self.bad_packets += 1
                continue
            for frame in frames:
                self.bad_packets += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[Packet]:
        """Packets as the container gives them; a read error ends the stream, counted as bad."""
        try:
            yield from packets(self._container, self._stream)
        except av.error.FFmpegError:
            self.bad_packets += 1
            yield Packet()  # Let the decoder give out what it still holds.

    def _packets_from(self, pts: int) -> Iterator[Packet]:
        """Packets from a key frame at or before `pts`; from the start when there is none.

        Pictures that follow a key frame but are shown before it may lean on what was skipped, so
        it is the key frame's own PTS that counts.
        """
        self._seek(pts)
        packets = self._packets()
        first = next(packets)
        if not first.is_keyframe or first.pts is None or first.pts > pts:
            self._seek(self._stream.start_time or 0)
            packets = self._packets()
        else:
            yield first
        yield from packets

    def _seek(self, pts: int) -> None:
        try:
            self._container.seek(pts, stream=self._stream)
        except MemoryError:
            raise  # As in `_decode`.
        except av.error.FFmpegError as error:
            why = f"no way to another time in this file ({error.strerror}): its index is damaged"
            raise ItemError("decode", why) from None
        self._codec.flush_buffers()  # PyAV does so for the stream's own decoder only.

    def _check_total(self, count: int, frame: VideoFrame) -> None:
        total = count * frame.width * frame.height
        if self.info.codec == "gif" and total > MAX_GIF_TOTAL_PIXELS:
            raise ItemError(
                "too_large", f"a GIF of more than {MAX_GIF_TOTAL_PIXELS} pixels in all frames"
            )
