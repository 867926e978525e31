"""Where a GIF begins and ends so that it loops: the seam.

A loop is seamless when its last frame is to its first as any frame is to the next. Pairs (first,
last) are shortlisted from the fingerprint (hashes, 16×16 thumbnails, motion), judged on the small
frames of the decoded clip, and mended by a cross-fade or by playing back (ping-pong) when none is
good. Differences are mean absolute differences of luma, grey levels 0–255.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from video2gif.core.types import Span

LoopMode = Literal["cut", "fade", "pingpong"]
Wish = Literal["auto", "none", "cut", "fade", "pingpong"]
"""`none`: the moment as it was ranked; `cut`: the best pair, not mended."""

_SHORTLIST = 16
_APART = 2  # frames between the ends of two shortlisted pairs
_TRIM = 0.25  # share of the moment that either end may give up
_MOTION_WEIGHT = 0.25
_LENGTH_WEIGHT = 0.5
_HASH_WEIGHT = 0.1  # usual steps a differing bit of 64 counts for
_SMALL_HEIGHT = 72  # px
_NOISE = 1.0  # grey levels that nobody sees
_GOOD_STEPS = 2.0  # a jump of this many usual steps passes for motion
_FADE_S = 0.4
_FADE_SHARE = 0.25  # of the frames at most
_PINGPONG_MAX_S = 1.2  # A longer clip played back looks like a rewind.


@dataclass(frozen=True)
class Seam:
    """How a clip closes."""

    jump: float
    """Difference of the last frame shown to the first."""
    step: float
    """Median difference of neighbouring frames."""

    @property
    def score(self) -> float:
        """In (0, 1]; 1: the jump is no larger than a usual step."""
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
    min_frames: int,
    max_frames: int,
    slack_frames: int,
    hashes: np.ndarray,
    thumbs: np.ndarray,
    content: np.ndarray,
) -> list[Span]:
    """Promising spans inside `room`, best first; at least one, and never outside `room`.

    `hashes` uint64 (n,), `thumbs` uint8 (n, s, s) and `content` (n, 3) are those of the whole
    video. Ends move outwards by `slack_frames` at most and inwards by a quarter of the moment. The
    cost of a span is its jump in usual steps, the motion at both ends, and what it loses in length.
    """
    starts, ends = _ends(moment, room, slack_frames, max_frames)
    first, last = np.meshgrid(starts, ends - 1, indexing="ij")
    length = last - first + 1
    usual = _usual(thumbs[room[0] : room[1]])
    small = thumbs.reshape(len(thumbs), -1).astype(np.int16)
    jump = np.stack([np.abs(small[ends - 1] - small[s]).mean(axis=1) for s in starts])
    bits = np.bitwise_count(hashes[first] ^ hashes[last])
    motion = _motion(content)
    wanted = np.clip(moment[1] - moment[0], min_frames, max_frames)
    cost = (
        jump / (usual + _NOISE)
        + _HASH_WEIGHT * bits
        + _MOTION_WEIGHT * (motion[np.minimum(first + 1, last)] + motion[last])
        + _LENGTH_WEIGHT * np.maximum(0, 1 - length / wanted)
    )
    cost = np.where((length >= min_frames) & (length <= max_frames), cost, np.inf)
    found = _spread(cost, starts, ends)
    return found or [_fallback(moment, room, min_frames, max_frames)]


def close_loop(
    frames: Sequence[np.ndarray],
    *,
    spans: Sequence[Span],
    moment: Span,
    fps: float,
    wish: Wish,
) -> Loop:
    """Choose among `spans` (of `frames`, rgb24) by their pixels, and how the loop is closed."""
    small = smaller(frames)
    plain = seam_of(small[moment[0] : moment[1]])
    if wish == "none":
        return Loop(moment, "cut", 0, plain, plain)
    ranked = [(seam_of(small[a:b]), (a, b)) for a, b in spans]
    # Among good seams the shortlist's order stands: it knows of motion and length.
    good = [entry for entry in ranked if entry[0].is_good]
    seam, span = good[0] if good else min(ranked, key=lambda e: (e[0].jump, e[1]))
    if wish == "cut" or (wish == "auto" and seam.is_good):
        return Loop(span, "cut", 0, seam, plain)
    return _mended(small, moment if wish == "auto" else span, plain, fps=fps, wish=wish)


def joined(frames: Sequence[np.ndarray], loop: Loop) -> list[np.ndarray]:
    """The frames that are shown, one after the other: cut, faded or played back."""
    shown = list(frames[loop.span[0] : loop.span[1]])
    if loop.mode == "pingpong":
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
    """The last `fade` frames blend into the first ones, and are gone: n - fade frames.

    Frame n - fade - 1, the last one, is followed by a first that is still nearly n - fade.
    """
    kept = len(shown) - fade
    blends = []
    for i in range(fade):
        share = (i + 1) / (fade + 1)
        blends.append(cv2.addWeighted(shown[i], share, shown[kept + i], 1 - share, 0))
    return blends + shown[fade:kept]


def _ends(
    moment: Span, room: Span, slack_frames: int, max_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames at which the GIF may start, and end (exclusive)."""
    length = moment[1] - moment[0]
    # A moment longer than allowed may be cut anywhere.
    trim = max(int(_TRIM * length), length - max_frames)
    starts = np.arange(max(room[0], moment[0] - slack_frames), moment[0] + trim + 1)
    ends = np.arange(moment[1] - trim, min(room[1], moment[1] + slack_frames) + 1)
    return starts[starts < room[1]], ends[ends > room[0]]


def _spread(cost: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> list[Span]:
    """The cheapest spans whose ends differ."""
    found: list[Span] = []
    for flat in np.argsort(cost, axis=None, kind="stable"):
        i, j = divmod(int(flat), cost.shape[1])
        if not np.isfinite(cost[i, j]) or len(found) == _SHORTLIST:
            break
        span = int(starts[i]), int(ends[j])
        if all(abs(span[0] - a) + abs(span[1] - b) >= _APART for a, b in found):
            found.append(span)
    return found


def _fallback(moment: Span, room: Span, min_frames: int, max_frames: int) -> Span:
    """The moment, grown or shrunk about its middle to an allowed length inside `room`."""
    length = min(max(moment[1] - moment[0], min_frames), max_frames, room[1] - room[0])
    start = (moment[0] + moment[1] - length) // 2
    start = min(max(start, room[0]), room[1] - length)
    return start, start + length


def _motion(content: np.ndarray) -> np.ndarray:
    """Change into each frame, smoothed over three, in multiples of its median; (n,)."""
    change = np.convolve(content.mean(axis=1), np.ones(3) / 3, mode="same")
    return change / max(float(np.median(change)), _NOISE)


def _usual(frames: np.ndarray) -> float:
    if len(frames) < 2:
        return 0.0
    steps = np.abs(frames[1:].astype(np.int16) - frames[:-1]).mean(axis=(1, 2))
    return float(np.median(steps))


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
