"""How long the frames of a stretch of video last: each its own time, or an even rate.

A camera gives frames at an even rate, a screen recorder only when something changes. Lengths of
GIFs are therefore counted in frames of the *usual* length: with an even rate these are frames, and
where there is none, each frame counts as many as it lasts.
"""

from dataclasses import dataclass

import numpy as np

from video2gif.core.types import Span

_JITTER_S = 0.002  # Time stamps of whole milliseconds lie so far off an even rate.
_SHORTEST_S = 0.001


@dataclass(frozen=True, eq=False)
class Pace:
    """The lengths of the frames of a video, as seen from a stretch of it."""

    at: np.ndarray
    """float64 (n + 1,): where each frame starts, and the last one ends, in usual frames."""
    frame_s: float
    """Length of a usual frame, seconds."""
    is_even: bool
    """Whether the frames of the stretch all have the usual length."""

    def length(self, span: Span, *, hold: float) -> float:
        """Of frames [start, end), the last of which is shown for `hold` at most."""
        start, end = span
        return float(min(self.at[end], self.at[end - 1] + hold) - self.at[start])


def pace_of(edges_s: np.ndarray, stretch: Span) -> Pace:
    """`edges_s` (n + 1,): when each frame of the video starts, and the last one ends."""
    part = edges_s[stretch[0] : stretch[1] + 1]
    n_frames = len(part) - 1
    mean_s = max(float(part[-1] - part[0]) / n_frames, _SHORTEST_S)
    off_s = np.abs(part - (part[0] + mean_s * np.arange(n_frames + 1))).max()
    if off_s <= min(_JITTER_S, mean_s / 4):
        return Pace(np.arange(len(edges_s), dtype=float), mean_s, True)
    usual_s = max(float(np.median(np.diff(part))), _SHORTEST_S)
    return Pace(edges_s / usual_s, usual_s, False)
