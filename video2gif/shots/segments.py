"""From shots to segments, which are neither too short nor too long and tile the video.

Every frame belongs to exactly one segment. A short shot joins a neighbour, a long one is divided.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from video2gif.core.config import SegmentParams
from video2gif.core.types import Span
from video2gif.fingerprint.track import nearest_frame
from video2gif.shots.cuts import cuts, cuts_between
from video2gif.shots.gradual import with_gradual
from video2gif.shots.kts import change_points

_PAUSE = 5  # times max_len_s: a frame that stands so long is no part of what follows


class Frames(Protocol):
    """The part of a `Fingerprint` that segmentation reads."""

    @property
    def pts_s(self) -> np.ndarray: ...
    @property
    def end_s(self) -> float: ...
    @property
    def content(self) -> np.ndarray: ...
    @property
    def phash(self) -> np.ndarray: ...
    @property
    def thumbs(self) -> np.ndarray: ...


def segment_video(
    frames: Frames, params: SegmentParams, *, transitions: np.ndarray | None = None
) -> list[Span]:
    """Segments of a video: its shots, with `kts` divided where the content changes, then bounded.

    `transitions`: see `shot_cuts`.
    """
    return segment_shots(frames, shot_cuts(frames, params, transitions=transitions), params)


def segment_shots(frames: Frames, starts: Sequence[int], params: SegmentParams) -> list[Span]:
    """Segments of a video whose shots are known: `starts`, as `shot_cuts` gives them."""
    if params.method == "kts":
        starts = _divided_by_content(frames, starts, params)
    return segments(
        starts,
        frames.pts_s,
        frames.end_s,
        max_len_s=params.max_len_s,
        min_len_frames=params.min_len_frames,
    )


def shot_cuts(
    frames: Frames, params: SegmentParams, *, transitions: np.ndarray | None = None
) -> list[int]:
    """Frames, ascending, above 0, at which a shot starts.

    `transitions` (n,): TransNetV2's probabilities, which `segment.method: transnetv2` needs.
    """
    if params.method == "transnetv2":
        if transitions is None:
            raise ValueError("segment.method transnetv2 needs the network's probabilities")
        return cuts_between(transitions, threshold=params.transnetv2_threshold)
    found = cuts(
        frames.content,
        detector=params.detector,
        threshold=params.threshold,
        min_shot_frames=params.min_shot_frames,
    )
    if not params.gradual:
        return found
    return with_gradual(
        found,
        phash=frames.phash,
        thumbs=frames.thumbs,
        min_shot_frames=params.min_shot_frames,
    )


def _divided_by_content(frames: Frames, starts: Sequence[int], params: SegmentParams) -> list[int]:
    n_frames = len(frames.pts_s)
    times_s = np.append(frames.pts_s, frames.end_s)
    found = list(starts)
    for start, end in pairwise([0, *starts, n_frames]):
        inner = change_points(
            phash=frames.phash[start:end],
            thumbs=frames.thumbs[start:end],
            pts_s=frames.pts_s[start:end],
            end_s=float(times_s[end]),
            min_len_frames=params.min_len_frames,
            max_len_s=params.max_len_s,
            penalty=params.kts_penalty,
        )
        found += [start + cut for cut in inner]
    return sorted(found)


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
    Screen recordings have frames only when something changes: a frame that stands for longer than
    five times `max_len_s` ends its segment, whatever the segment's length; so no segment is longer
    than some `min_len_frames` such times, but for that last frame.
    """
    n_frames = len(pts_s)
    if n_frames == 0:
        return []
    times_s = np.append(pts_s, max(end_s, pts_s[-1]))
    shots = _without_short(list(pairwise([0, *cuts, n_frames])), min_len_frames)
    pause_s = _PAUSE * max_len_s
    return [
        part
        for shot in _parted_by_pauses(shots, times_s, pause_s)
        for part in _divided(
            shot, times_s, max_len_s=max_len_s, min_len_frames=min_len_frames, pause_s=pause_s
        )
    ]


def _parted_by_pauses(shots: list[Span], times_s: np.ndarray, pause_s: float) -> list[Span]:
    """A frame that stands for longer than `pause_s` ends its shot."""
    after = (np.flatnonzero(np.diff(times_s) > pause_s) + 1).tolist()
    return [
        part
        for start, end in shots
        for part in pairwise([start, *(at for at in after if start < at < end), end])
    ]


def _without_short(shots: list[Span], min_len_frames: int) -> list[Span]:
    """From left to right, join each short shot to its shorter neighbour (on a tie, the left one).

    Joining the shorter one lets long shots keep their own beginning and end.
    """
    kept: list[Span] = []
    waiting = shots[::-1]  # Reversed, so that pop() gives the next shot from the left.
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
    shot: Span, times_s: np.ndarray, *, max_len_s: float, min_len_frames: int, pause_s: float
) -> list[Span]:
    start, end = shot
    # A last frame may stand for hours: what is beyond a pause asks for no further parts.
    duration_s = min(times_s[end], times_s[end - 1] + pause_s) - times_s[start]
    # The 1e-9: a shot exactly k × max_len_s long must give k parts, whatever the last bit of its
    # times is.
    wanted = math.ceil(duration_s / max_len_s - 1e-9)
    at_least = max(1, min_len_frames)
    parts = max(1, min(wanted, (end - start) // at_least))
    bounds = [start]
    for part in range(1, parts):
        ideal = nearest_frame(times_s[start] + duration_s * part / parts, times_s)
        # Leave room for at least `at_least` frames in this part and in each part that follows.
        lowest, highest = bounds[-1] + at_least, end - (parts - part) * at_least
        bounds.append(min(max(ideal, lowest), highest))
    return list(pairwise([*bounds, end]))


def _length(span: Span) -> int:
    return span[1] - span[0]
