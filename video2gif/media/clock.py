"""From frames' PTS to seconds on the clock that players show.

A file begins when the first of its streams begins: where the picture comes later than the sound,
its first frame is not at 0. A transport stream may hold several recordings, one behind the other,
each on a clock of its own: the next one goes on where the last one ended.
"""

from fractions import Fraction

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from video2gif.core.errors import ItemError
from video2gif.media.open import MAX_DURATION_S

_LATE_S = 0.25  # Less is how a muxer lays out its streams (B-frames, interleaving): it is not seen.
_MAX_BACKWARD_S = 1.0  # A jump back farther than this is no sloppy muxer.
_MAX_FORWARD_S = 10.0  # As in ffmpeg: a longer gap in a stream of recordings parts two of them.
_SHORTEST_S = 0.005  # Shorter frames are those whose length a muxer did not know: the last ones.
_USUAL_S = 0.1
# libav's demuxers of streams whose clock may begin anew.
_JOINED = ("mpegts", "mpeg", "mpegvideo")


def may_join(container: InputContainer) -> bool:
    """Whether recordings are joined in such a container by putting one behind the other."""
    return container.format.name in _JOINED


def parts_recordings(passed_s: float | Fraction) -> bool:
    """Whether so many seconds from one picture to the next mean that another recording begins."""
    return not -_MAX_BACKWARD_S <= passed_s <= _MAX_FORWARD_S


def begin_s(container: InputContainer, first_s: float) -> float:
    """When a file begins whose first picture appears at `first_s`; seconds of its own clock."""
    start = container.start_time
    begins_s = first_s if start is None else start / av.time_base
    return begins_s if first_s - begins_s > _LATE_S else first_s


class Clock:
    """Strictly increasing seconds for the frames of one stream, in the order they are shown."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._tick = Fraction(stream.time_base or Fraction(1, av.time_base))
        fps = Fraction(stream.average_rate or stream.guessed_rate or 0)
        self._usual = max(1, round(1 / (fps * self._tick))) if fps else 1
        self._may_join = may_join(container)
        self._zero: int | None = None
        self._last: int | None = None
        self._end = 0
        self.repaired = 0
        """Frames whose PTS was missing, repeated or went back, and was moved forward."""
        self.joins = 0
        """How often the clock began anew."""

    @property
    def end_s(self) -> float:
        """End of the last frame so far."""
        return self.seconds(self._end) if self._last is not None else 0.0

    def start(self, frame: VideoFrame) -> None:
        """Set time 0, by the first frame of the stream."""
        first = frame.pts or 0
        late_s = first * self._tick - Fraction(begin_s(self._container, float(first * self._tick)))
        self._zero = first - round(late_s / self._tick)

    def ticks(self, time_s: float) -> int:
        """The PTS of a time."""
        return (self._zero or 0) + int(time_s / self._tick)

    def time_s(self, frame: VideoFrame) -> float:
        """When the frame appears. Raises `ItemError`: decode, too_large."""
        if self._zero is None:
            self.start(frame)
        pts = self._monotone(frame.pts)
        self._last, self._end = pts, pts + self._length(frame)
        if self.end_s > MAX_DURATION_S:
            raise ItemError(
                "too_large",
                f"a frame at {self.end_s:.0f} s; the limit is {MAX_DURATION_S:g} s",
            )
        return self.seconds(pts)

    def _length(self, frame: VideoFrame) -> int:
        """As it says; where that cannot be meant, what is usual here, or 0.1 s."""
        if frame.duration and (frame.duration * self._tick >= _SHORTEST_S or self._last is None):
            return frame.duration
        most = max(1, round(_USUAL_S / self._tick))
        return min(self._usual, most) if frame.duration else self._usual

    def seconds(self, pts: int) -> float:
        """A time of the recording at hand."""
        return float((pts - (self._zero or 0)) * self._tick)

    def _monotone(self, pts: int | None) -> int:
        if self._last is None:
            return pts or 0
        if pts is None:
            self.repaired += 1
            return self._last + self._usual
        passed_s = (pts - self._last) * self._tick
        if self._may_join and parts_recordings(passed_s):
            return self._joined(pts)
        if passed_s < -_MAX_BACKWARD_S:
            raise ItemError("decode", f"presentation time jumps back by {float(-passed_s):.2f} s")
        if passed_s > 0:
            return pts
        self.repaired += 1
        # A repeated time moves by one tick, so that later frames keep their own times.
        return self._last + 1

    def _joined(self, pts: int) -> int:
        """Have this frame follow the last one: all that comes keeps its distance to it."""
        self.joins += 1
        shift = self._end - pts
        assert self._zero is not None
        self._zero -= shift
        self._last, self._end = pts - 1, pts  # on the new clock
        return pts
