"""Is what a container declares really there? One rule for everybody who reads packets or frames.

A cut file often decodes without an error, so what is there is compared with what is declared. Time
decides, not counts: a header counts samples that an edit list hides, and empty ones that only
prolong the picture before them.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from video2gif.media.clock import parts_recordings
from video2gif.media.shown import stored_aspect
from video2gif.media.sniff import cut_short, truncated

MAX_SHORTFALL = 0.02  # of the declared duration
_MIN_SHORTFALL_S = 0.25  # muxers round durations up by a few frames or a packet of sound
# libav works these durations out from the last time stamps it finds: they declare nothing.
_UNDECLARED = ("mpegts", "mpeg", "mpegvideo", "gif", "apng", "dv", "yuv4mpegpipe")


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
    """Width of a stored pixel over its height: the container's word before the codec's."""
    n_samples: int
    """Samples that the container's header counts, hidden and empty ones too; 0 if it does not."""
    duration_s: float
    """Declared duration of the video stream, else of the file; 0 if it does not say."""
    has_own_duration: bool
    """Whether `duration_s` is declared for the stream, not for the file."""
    fps: Fraction
    """Average frame rate, else libav's guess; only a hint: time comes from PTS."""


@dataclass
class PacketCounts:
    """What the packets of a file say; times in seconds of the container's own clock."""

    may_join: bool
    """Whether the clock may begin anew (`media.clock`)."""
    video: int = 0
    """Packets of the video that are shown: without those that an edit list hides."""
    video_start_s: float = float("inf")
    video_end_s: float = float("-inf")
    any_end_s: float = float("-inf")
    last_is_corrupt: bool = False
    _last_s: float | None = None
    _shift_s: float = 0.0
    """How much later the recording at hand is than its own clock says."""

    def add(self, packet: Packet, *, is_video: bool) -> None:
        self.last_is_corrupt = packet.is_corrupt
        is_shown = is_video and not packet.is_discard
        self.video += is_shown
        if packet.pts is None:
            return
        start_s = float(packet.pts * packet.time_base)
        length_s = float((packet.duration or 0) * packet.time_base)
        self.any_end_s = max(self.any_end_s, start_s + length_s)
        if is_shown:
            start_s = self._on_one_clock(start_s)
            self.video_start_s = min(self.video_start_s, start_s)
            self.video_end_s = max(self.video_end_s, start_s + length_s)

    def _on_one_clock(self, start_s: float) -> float:
        last_s, self._last_s = self._last_s, start_s
        if self.may_join and last_s is not None and parts_recordings(start_s - last_s):
            self._shift_s = self.video_end_s - start_s
        return start_s + self._shift_s


def check_whole(info: StreamInfo, counts: PacketCounts, *, all_streams: bool) -> None:
    """Raise `ItemError` (truncated) when more than 2 % of the declared time is missing.

    `all_streams`: whether the packets of all streams were counted, or the video's only.
    """
    declared_s, end_s = info.duration_s, counts.any_end_s
    if info.container == "avi" and info.n_samples and info.fps:
        # libav guesses a cut avi's duration from its size, but its header counts the frames.
        declared_s, end_s = float(info.n_samples / info.fps), counts.video_end_s
    elif info.has_own_duration:
        end_s = counts.video_end_s  # Only mp4 declares each stream's; elsewhere the longest counts.
    elif not all_streams:
        return
    shortfall_s = declared_s - end_s
    if info.container in _UNDECLARED or shortfall_s <= _MIN_SHORTFALL_S:
        return
    if shortfall_s > MAX_SHORTFALL * declared_s:
        declared = f" of {info.n_samples}" if info.n_samples else ""
        found = f"{counts.video}{declared} frames, {max(end_s, 0):.2f} of {declared_s:.2f} s"
        raise truncated(found)


def check_end(path: Path, kind: str, counts: PacketCounts) -> None:
    """Raise `ItemError` (truncated) when the bytes end too early."""
    why = cut_short(path, kind)
    # Trailing damage behind the last packet of an mp4 costs no frame.
    if why and (kind in ("gif", "ts") or counts.last_is_corrupt):
        raise truncated(f"{why}; {counts.video} frames read")


def declared(container: InputContainer, stream: VideoStream) -> StreamInfo:
    """What is said of a stream before a packet is read."""
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
        sample_aspect=stored_aspect(container, stream),
        n_samples=stream.frames,
        duration_s=duration_s,
        has_own_duration=bool(stream.duration),
        fps=Fraction(stream.average_rate or stream.guessed_rate or 0),
    )
