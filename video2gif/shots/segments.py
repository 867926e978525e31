"""From shots to segments: bounded in length, and tiling the video.

Every frame belongs to exactly one segment. Short shots join a neighbour, long ones are divided
(the paper's segments come from TVSum's change points and are bounded likewise).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from video2gif.config import Segment
from video2gif.shots.cuts import cuts

Span = tuple[int, int]
"""Frames [start, end)."""


def segment_video(
    content: np.ndarray, *, pts_s: np.ndarray, end_s: float, params: Segment
) -> list[Span]:
    """Segments of a fingerprinted video: `content` (n, 3) and `pts_s` (n,) by frame."""
    found = cuts(
        content,
        detector=params.detector,
        threshold=params.threshold,
        min_shot_frames=params.min_shot_frames,
    )
    return segments(
        found, pts_s, end_s, max_len_s=params.max_len_s, min_len_frames=params.min_len_frames
    )


def segments(
    cuts: Sequence[int],
    pts_s: np.ndarray,
    end_s: float,
    *,
    max_len_s: float,
    min_len_frames: int,
) -> list[Span]:
    """Half-open frame spans that tile [0, n).

    `cuts`: ascending frames in (0, n) where a shot starts. `pts_s` (n,): non-decreasing times of
    the frames; `end_s`: the end of the last one. Every segment has at least `min_len_frames`
    frames, or is the whole of a shorter video. A shot longer than `max_len_s` is divided into
    parts of equal duration, each boundary moved to the nearest frame, unless that would leave
    parts under `min_len_frames`: a segment too short to be scored is worth less than a long one.
    """
    n_frames = len(pts_s)
    if n_frames == 0:
        return []
    times_s = np.append(pts_s, max(end_s, pts_s[-1]))
    shots = _without_short(list(pairwise([0, *cuts, n_frames])), min_len_frames)
    return [
        part
        for shot in shots
        for part in _divided(shot, times_s, max_len_s=max_len_s, min_len_frames=min_len_frames)
    ]


def nearest_frame(time_s: float, times_s: np.ndarray) -> int:
    """The index whose time is nearest (the earlier one on a tie); `times_s` non-decreasing."""
    after = int(np.searchsorted(times_s, time_s))
    if after == 0 or after == len(times_s):
        return min(after, len(times_s) - 1)
    is_before_nearer = time_s - times_s[after - 1] <= times_s[after] - time_s
    return after - 1 if is_before_nearer else after


def _without_short(shots: list[Span], min_len_frames: int) -> list[Span]:
    """From left to right, join each short shot to its shorter neighbour (a tie: to the left).

    The shorter one, so that long shots keep their own beginning and end.
    """
    kept: list[Span] = []
    waiting = shots[::-1]
    while waiting:
        start, end = waiting.pop()
        if end - start >= min_len_frames or not (kept or waiting):
            kept.append((start, end))
        elif kept and not (waiting and _length(waiting[-1]) < _length(kept[-1])):
            kept[-1] = (kept[-1][0], end)
        else:
            waiting[-1] = (start, waiting[-1][1])
    return kept


def _divided(
    shot: Span, times_s: np.ndarray, *, max_len_s: float, min_len_frames: int
) -> list[Span]:
    start, end = shot
    duration_s = times_s[end] - times_s[start]
    # A shot of exactly k × max_len_s stays k parts, whatever the last bit of its times.
    wanted = math.ceil(duration_s / max_len_s - 1e-9)
    at_least = max(1, min_len_frames)
    parts = max(1, min(wanted, (end - start) // at_least))
    bounds = [start]
    for part in range(1, parts):
        ideal = nearest_frame(times_s[start] + duration_s * part / parts, times_s)
        lowest, highest = bounds[-1] + at_least, end - (parts - part) * at_least
        bounds.append(min(max(ideal, lowest), highest))
    return list(pairwise([*bounds, end]))


def _length(span: Span) -> int:
    return span[1] - span[0]
