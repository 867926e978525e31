"""Choose where a GIF begins and ends so that it loops well.

The *seam* of a loop is the step from its last frame back to its first. It is good if that step is
no larger than the usual step from one frame to the next. Pairs (first, last) are shortlisted from
the fingerprint (hashes, 16×16 thumbnails, motion) and then compared on small frames of the decoded
clip. If no pair is good, the seam is hidden by a cross-fade, or the clip is played forwards and
then backwards (ping-pong). Differences are mean absolute differences of luma, grey levels 0–255.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from video2gif.core.types import Span
from video2gif.gifs.pace import Pace

LoopMode = Literal["cut", "fade", "pingpong"]
Wish = Literal["auto", "none", "cut", "fade", "pingpong"]
"""`none`: begin and end as the moment was ranked. `cut`: the best pair, with no fade. `auto`: the
best pair if its seam is good, else a fade or ping-pong."""

_SHORTLIST = 16
_APART = 2  # Two shortlisted pairs differ by this many frames, both ends together.
_TRIM = 0.25  # Share of the moment that may be cut off at either end.
# Weights of the cost of a pair, which counts in usual steps between frames.
_MOTION_WEIGHT = 0.25
_LENGTH_WEIGHT = 0.5
_HASH_WEIGHT = 0.1  # for each differing bit of 64
_SMALL_HEIGHT = 72  # px
_NOISE = 1.0  # grey levels; a difference below it is not visible
_GOOD_STEPS = 2.0  # A jump of up to this many usual steps looks like motion.
_FADE_S = 0.4
_FADE_SHARE = 0.25  # A fade takes at most this share of the frames.
_ROUNDING = 1e-6  # of frames
_PINGPONG_MAX_S = 1.2  # A longer clip that is played backwards looks like a film rewound.


@dataclass(frozen=True)
class Seam:
    """How well the end of a clip meets its beginning. Grey levels, 0–255."""

    jump: float
    """Difference between the last frame shown and the first."""
    step: float
    """Median difference between neighbouring frames."""

    @property
    def score(self) -> float:
        """In (0, 1]. 1: the jump is no larger than a usual step."""
        return (self.step + _NOISE) / (max(self.jump, self.step) + _NOISE)

    @property
    def is_good(self) -> bool:
        return self.jump <= max(_GOOD_STEPS * self.step, _NOISE)


@dataclass(frozen=True)
class Loop:
    """Which frames are shown, and how the end meets the beginning."""

    span: Span
    mode: LoopMode
    fade_frames: int
    seam: Seam
    plain: Seam
    """The seam of the moment as it was ranked, for comparison."""


def shortlist(
    *,
    moment: Span,
    room: Span,
    min_frames: float,
    max_frames: float,
    slack_frames: float,
    hold: float,
    pace: Pace,
    hashes: np.ndarray,
    thumbs: np.ndarray,
    content: np.ndarray,
) -> list[Span]:
    """Spans inside `room` that may loop well, best first; at least one.

    `hashes` uint64 (n,), `thumbs` uint8 (n, s, s) and `content` (n, 3) are those of the whole
    video. Either end may move outwards by `slack_frames` and inwards by a quarter of the moment.
    The cost of a span adds up its jump, in usual steps; the differing bits of the two hashes; the
    motion at both ends, because a cut in the middle of a movement is seen; and the length it loses.
    Lengths are in frames of `pace`; the last frame of a span is shown for `hold` of them at most.
    """
    starts, ends = _ends(moment, room, slack_frames, max_frames, hold, pace)
    first, last = np.meshgrid(starts, ends - 1, indexing="ij")
    shown_until = np.minimum(pace.at[1:], pace.at[:-1] + hold)
    length = shown_until[last] - pace.at[first]
    # From here on every array is (starts, ends): all pairs at once.
    usual = _usual(thumbs[room[0] : room[1]])
    small = thumbs.reshape(len(thumbs), -1).astype(np.int16)
    jump = np.stack([np.abs(small[ends - 1] - small[s]).mean(axis=1) for s in starts])
    bits = np.bitwise_count(hashes[first] ^ hashes[last])
    motion = _motion(content)
    wanted = np.clip(pace.length(moment, hold=hold), min_frames, max_frames)
    cost = (
        jump / (usual + _NOISE)
        + _HASH_WEIGHT * bits
        + _MOTION_WEIGHT * (motion[np.minimum(first + 1, last)] + motion[last])
        + _LENGTH_WEIGHT * np.maximum(0, 1 - length / wanted)
    )
    fits = (length >= min_frames - _ROUNDING) & (length <= max_frames + _ROUNDING)
    found = _spread(np.where(fits & (last >= first), cost, np.inf), starts, ends)
    return found or [_fallback(moment, room, min_frames, max_frames) if pace.is_even else moment]


def close_loop(
    frames: Sequence[np.ndarray],
    *,
    spans: Sequence[Span],
    moment: Span,
    fps: float,
    wish: Wish,
) -> Loop:
    """Choose among `spans` (of `frames`, rgb24) by their pixels, and how to close the loop."""
    small = smaller(frames)
    plain = seam_of(small[moment[0] : moment[1]])
    if wish == "none":
        return Loop(moment, "cut", 0, plain, plain)
    ranked = [(seam_of(small[a:b]), (a, b)) for a, b in spans]
    # Of several good seams the first in the shortlist is taken, as its order includes motion and
    # length. If none is good, the smallest jump counts; a tie goes to the earlier span.
    good = [entry for entry in ranked if entry[0].is_good]
    seam, span = good[0] if good else min(ranked, key=lambda e: (e[0].jump, e[1]))
    if wish == "cut" or (wish == "auto" and seam.is_good):
        return Loop(span, "cut", 0, seam, plain)
    return _mended(small, moment if wish == "auto" else span, plain, fps=fps, wish=wish)


def joined(frames: Sequence[np.ndarray], loop: Loop) -> list[np.ndarray]:
    """The frames as they are shown: cut, with a cross-fade, or forwards and then backwards."""
    shown = list(frames[loop.span[0] : loop.span[1]])
    if loop.mode == "pingpong":
        # The way back leaves out both ends: neither is shown twice in a row.
        return shown + shown[-2:0:-1]
    return _faded(shown, loop.fade_frames)


def seam_of(small: np.ndarray) -> Seam:
    """The seam of frames shown one after the other, uint8 (n, h, w)."""
    return Seam(_difference(small[-1], small[0]), _usual(small))


def smaller(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Luma at 72 px, uint8 (n, 72, w)."""
    height, width = frames[0].shape[:2]
    size = max(8, round(width * _SMALL_HEIGHT / height)), _SMALL_HEIGHT
    return np.stack(
        [
            cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
            for f in frames
        ]
    )


def _mended(small: np.ndarray, span: Span, plain: Seam, *, fps: float, wish: Wish) -> Loop:
    """Close a loop without a good seam by ping-pong if it is short, else by a cross-fade."""
    n_frames = span[1] - span[0]
    fade = min(round(_FADE_S * fps), int(_FADE_SHARE * n_frames))
    back = wish == "pingpong" or (
        wish == "auto" and (n_frames <= _PINGPONG_MAX_S * fps or fade < 1)
    )
    if back and n_frames >= 3:
        draft = Loop(span, "pingpong", 0, plain, plain)
    else:
        draft = Loop(span, "fade" if fade >= 1 else "cut", max(0, fade), plain, plain)
    seam = seam_of(np.stack(joined(list(small), draft)))
    return Loop(span, draft.mode, draft.fade_frames, seam, plain)


def _faded(shown: list[np.ndarray], fade: int) -> list[np.ndarray]:
    """Blend the last `fade` frames into the first ones and drop them: n - fade frames remain.

    The clip then ends with frame n - fade - 1 and goes on with a first frame that is still almost
    frame n - fade, so there is no jump.
    """
    kept, parts = len(shown) - fade, fade + 1
    blends = []
    for i in range(fade):
        # Whole numbers: `cv2.addWeighted` rounds as the processor likes.
        sums = np.multiply(shown[i], i + 1, dtype=np.int32)
        sums += np.multiply(shown[kept + i], fade - i, dtype=np.int32)
        blends.append(((2 * sums + parts) // (2 * parts)).astype(np.uint8))
    return blends + shown[fade:kept]


def _ends(
    moment: Span, room: Span, slack: float, longest: float, hold: float, pace: Pace
) -> tuple[np.ndarray, np.ndarray]:
    """Frames at which the GIF may start, and end (exclusive)."""
    at, length = pace.at, pace.length(moment, hold=hold)
    quarter = int(_TRIM * length) if pace.is_even else _TRIM * length
    # A moment longer than allowed may be cut anywhere.
    trim = max(quarter, length - longest)
    first_s, last_s = at[moment[0]], min(at[moment[1]], at[moment[1] - 1] + hold)
    starts = np.arange(room[0], room[1])
    starts = starts[(at[starts] >= first_s - slack) & (at[starts] <= first_s + trim + _ROUNDING)]
    ends = np.arange(room[0] + 1, room[1] + 1)
    ends = ends[(at[ends] >= last_s - trim - _ROUNDING) & (at[ends - 1] < last_s + slack)]
    return starts, ends[at[ends] <= at[moment[1]] + slack + _ROUNDING]


def _spread(cost: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> list[Span]:
    """The cheapest spans that differ by at least `_APART` frames; ties: the earlier start first."""
    found: list[Span] = []
    for flat in np.argsort(cost, axis=None, kind="stable"):
        i, j = divmod(int(flat), cost.shape[1])
        if not np.isfinite(cost[i, j]) or len(found) == _SHORTLIST:
            break
        span = int(starts[i]), int(ends[j])
        if all(abs(span[0] - a) + abs(span[1] - b) >= _APART for a, b in found):
            found.append(span)
    return found


def _fallback(moment: Span, room: Span, min_frames: float, max_frames: float) -> Span:
    """The moment, lengthened or shortened around its middle to an allowed length inside `room`."""
    length = int(min(max(moment[1] - moment[0], min_frames), max_frames, room[1] - room[0]))
    start = (moment[0] + moment[1] - length) // 2
    start = min(max(start, room[0]), room[1] - length)
    return start, start + length


def _motion(content: np.ndarray) -> np.ndarray:
    """Change from the frame before, smoothed over three, as a multiple of its median: (n,)."""
    change = np.convolve(content.mean(axis=1), np.ones(3) / 3, mode="same")
    return change / max(float(np.median(change)), _NOISE)


def _usual(frames: np.ndarray) -> float:
    if len(frames) < 2:
        return 0.0
    steps = np.abs(frames[1:].astype(np.int16) - frames[:-1]).mean(axis=(1, 2))
    return float(np.median(steps))


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
