"""Around a line: the best start and speed by hashes, and the match in that part of the film."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from video2gif.fingerprint.track import Track
from video2gif.matching.align import CAP, PACE, SpeedRange, mean_bits, weights_of
from video2gif.matching.confidence import Match, MatchedSpan, match
from video2gif.matching.corpus.queries import Query, SeenFrames
from video2gif.matching.corpus.voting import Line

# Two grids around a line: what two bins and a step of the speeds leave open, then finer. Offsets
# in seconds; shares of the speed, but never more than what moves the ends by as much.
_GRIDS = ((np.linspace(-1.0, 1.0, 17), 0.25, 13), (np.linspace(-0.12, 0.12, 9), 0.025, 7))


class LinePlace(NamedTuple):
    """A line, with the hashes' best start and speed."""

    start_s: float
    speed: float
    """Negative if the clip plays backwards."""
    distance: float
    """Mean capped Hamming distance there, bits."""


def placed(
    line: Line,
    query: Query,
    seen: SeenFrames,
    time_s: np.ndarray,
    hashes: np.ndarray,
    pace: SpeedRange = PACE,
) -> LinePlace:
    """The best start and speed around a line.

    time_s float64 (n,), hashes uint64 (n,): the rows of the film, of the query's plane.
    """
    centre_s, speed, distance = line.centre_s, line.speed, 0.0
    longest_s = max(float(np.abs(seen.from_middle_s).max()), 1e-3)
    for offsets_s, share, count in _GRIDS:
        share = min(share, float(offsets_s[-1]) / (longest_s * abs(speed)))
        offsets, factors = np.meshgrid(offsets_s, np.linspace(1 - share, 1 + share, count))
        centres = centre_s + offsets.ravel()
        tried = np.copysign(pace.clipped(abs(speed) * factors.ravel()), speed)
        times = centres[:, None] + tried[:, None] * seen.from_middle_s
        low, high = np.searchsorted(time_s, [times.min(), times.max()])
        low, high = max(int(low) - 1, 0), int(high) + 1
        shown = np.searchsorted(time_s[low:high], times, side="right") - 1
        theirs = hashes[low:high][np.maximum(shown, 0)]
        apart = np.minimum(np.bitwise_count(theirs ^ query.hashes), CAP)
        cost = mean_bits(apart, weights_of(seen.quality))
        # Of equals, which still pictures make many of, the one in the middle.
        equal = np.flatnonzero(cost == cost.min())
        best = int(equal[len(equal) // 2])
        centre_s, speed, distance = float(centres[best]), float(tried[best]), float(cost[best])
    return LinePlace(centre_s - abs(speed) * seen.end_s / 2, speed, distance)


def match_part(
    clip: Track,
    film: Track,
    part_s: tuple[float, float],
    *,
    min_confidence: float,
    min_frames: int,
    pace: SpeedRange = PACE,
) -> Match:
    """`match` in what a film shows from one time to another; in the film's frames and seconds."""
    first, last = film.shown_at(np.array(part_s))
    part = film.part(int(first), int(last) + 1)
    found = match(clip, part, min_confidence=min_confidence, min_frames=min_frames, pace=pace)
    return _moved(found, int(first), float(film.pts_s[first]))


def _moved(found: Match, frames: int, seconds: float) -> Match:
    return replace(
        found,
        span=found.span and _moved_span(found.span, frames, seconds),
        alternatives=tuple(_moved_span(span, frames, seconds) for span in found.alternatives),
    )


def _moved_span(span: MatchedSpan, frames: int, seconds: float) -> MatchedSpan:
    return MatchedSpan(
        start_frame=span.start_frame + frames,
        end_frame=span.end_frame + frames,
        start_s=span.start_s + seconds,
        end_s=span.end_s + seconds,
    )
