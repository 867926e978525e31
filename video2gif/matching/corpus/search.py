"""Where in a corpus a GIF comes from: hits of its frames, lines among them, their distances.

1. Hits: rows of the index close to a frame of the GIF (up to 32 of them, plain and mirrored), in
   any plane. Most are chance.
2. Lines: start and speed that hits of several frames agree on (`voting`).
3. Distances: around each line, every start and speed is tried on the hashes themselves, as
   `matching.align` does in one video: the mean capped Hamming distance of the GIF's frames.
4. `verify` runs `matching.confidence` on the videos of the best places. Only this step says
   matched or not; what comes before only says where to look.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from video2gif.fingerprint.phash import BAND, CROPS, PARTS, WHOLE, mirrored
from video2gif.fingerprint.track import Track, column
from video2gif.matching.align import CAP, MAX_SPEED, MIN_SPEED, mean_bits, speeds, weights_of
from video2gif.matching.confidence import Match, MatchedSpan, match
from video2gif.matching.corpus.index import Index
from video2gif.matching.corpus.kernels import Hits
from video2gif.matching.corpus.voting import LEAST_FRAMES, Line, lines

RADIUS = 13
"""Frames of a GIF further than this from their video, in bits, are not found."""

# GIF frames looked for; fewer where similar keys count too, which hold most of what is close.
_FRAMES = {0: 32, 1: 16}
_LEAST_SHARE = 0.4  # Of the best line's score: lines with less are not looked at.
# Hardly any chance line comes this close (bits), or a little less close with so many votes.
_CLOSE, _NEARLY, _MANY_VOTES = 12.0, 14.0, 6
_AROUND_S = 30.0  # Of the video, on either side of a candidate, looked at by `verify`.

# The grids around a line: what two bins and a step of the speeds leave open, then finer.
_WIDE = np.meshgrid(np.arange(-8, 9) * 0.125, speeds(0.8, 1.25, 13))
_FINE = np.meshgrid(np.arange(-4, 5) * 0.03, speeds(0.975, 1.025, 7))


@dataclass(frozen=True)
class Candidate:
    """A place in the corpus that may be the GIF's source."""

    video_id: str
    start_s: float
    end_s: float
    speed: float
    """Negative if the GIF plays backwards."""
    mirror: bool
    votes: int
    """GIF frames with a hit on this line."""
    distance: float
    """Mean Hamming distance of the GIF's frames there, capped at `align.CAP` bits."""


_AGREEING = (
    *((column(part), column(part.inside(crop))) for crop in CROPS for part in PARTS),
    (column(BAND), column(WHOLE)),
)
"""Columns of a GIF's hashes and the planes to look for them in, if the index has them."""

_Finder = Callable[[int, np.ndarray], Hits]
"""Hits of uint64 hashes in a plane, within `RADIUS`."""


def search_corpus(gif: Track, index: Index, *, most: int = 8) -> list[Candidate]:
    """The places whose hashes are closest to the GIF's, best first, at most `most`.

    Looks again, in the buckets of similar keys as well, when no place is close.
    """
    found: list[Candidate] = []
    for reach, n_frames in _FRAMES.items():
        frames = _chosen(gif, n_frames)
        found = _search(gif, frames, index, partial(index.near, radius=RADIUS, reach=reach), most)
        if any(_is_sure(one) for one in found[:1]):
            break
    return found


def _is_sure(one: Candidate) -> bool:
    return one.distance <= _CLOSE or (one.distance <= _NEARLY and one.votes >= _MANY_VOTES)


def _search(
    gif: Track, frames: np.ndarray, index: Index, find: _Finder, most: int
) -> list[Candidate]:
    if len(frames) < LEAST_FRAMES:
        return []
    seen = _Seen(gif.pts_s[frames] - gif.end_s / 2, gif.end_s, gif.quality[frames])
    voted = [
        (line, query)
        for query in _queries(gif, frames, index.planes)
        for line in _voted(find(query.plane, query.hashes), index, seen, most)
    ]
    voted.sort(key=lambda pair: -pair[0].score)
    least = _LEAST_SHARE * voted[0][0].score if voted else 0.0
    worth = [(line, query) for line, query in voted[: 2 * most] if line.score >= least]
    placed = [_placed(line, query, index, seen) for line, query in worth]
    placed.sort(key=lambda candidate: candidate.distance)
    return _distinct(placed, most)


class _Seen(NamedTuple):
    """The GIF's chosen frames."""

    from_middle_s: np.ndarray
    """float64 (k,): when each appears, from the GIF's middle."""
    end_s: float
    quality: np.ndarray


def _chosen(gif: Track, most: int) -> np.ndarray:
    """Up to `most` frames with a picture, spread evenly, no two alike in a row."""
    useful = np.flatnonzero(gif.quality > 0)
    if not len(useful):
        return useful
    whole = gif.hashes[useful, 0]
    useful = useful[np.append(True, whole[1:] != whole[:-1])]
    spread = np.linspace(0, len(useful) - 1, min(most, len(useful)))
    return useful[spread.round().astype(int)]


class _Query(NamedTuple):
    """What is looked for: a column of the GIF's hashes in a plane of the index."""

    hashes: np.ndarray
    """uint64 (k,)."""
    plane: int
    mirror: bool


def _queries(gif: Track, frames: np.ndarray, planes: Sequence[int]) -> Iterator[_Query]:
    for ours, plane in _AGREEING:
        if plane in planes:
            hashes = np.ascontiguousarray(gif.hashes[frames, ours])
            yield _Query(hashes, plane, mirror=False)
            yield _Query(mirrored(hashes), plane, mirror=True)


def _voted(hits: Hits, index: Index, seen: _Seen, most: int) -> list[Line]:
    return lines(hits, index.time_s, from_middle_s=seen.from_middle_s, radius=RADIUS, most=most)


def _placed(line: Line, query: _Query, index: Index, seen: _Seen) -> Candidate:
    """The best start and speed around a line."""
    centre_s, speed, distance = line.centre_s, line.speed, 0.0
    video = max(int(np.searchsorted(index.starts_s, centre_s, side="right")) - 1, 0)
    rows = slice(*index.first_rows[video : video + 2])
    time_s, hashes = index.time_s[rows], index.hashes[query.plane][rows]
    for offsets_s, factors in (_WIDE, _FINE):
        centres = centre_s + offsets_s.ravel()
        tried = np.copysign(np.clip(abs(speed) * factors.ravel(), MIN_SPEED, MAX_SPEED), speed)
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
    half_s = abs(speed) * seen.end_s / 2
    start_s = centre_s - half_s - float(index.starts_s[video])
    return Candidate(
        index.video_ids[video],
        start_s,
        start_s + 2 * half_s,
        speed,
        query.mirror,
        line.votes,
        distance,
    )


def _distinct(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """The best, no two in one stretch of a video: `verify` looks at all of it anyway."""
    kept: list[Candidate] = []
    for one in candidates:
        if not any(_neighbours(one, other) for other in kept):
            kept.append(one)
    return kept[:most]


def _neighbours(one: Candidate, other: Candidate) -> bool:
    return (
        one.video_id == other.video_id
        and one.start_s < other.end_s + _AROUND_S
        and other.start_s < one.end_s + _AROUND_S
    )


@dataclass(frozen=True)
class SourceVideo:
    """What a candidate's video says on closer look."""

    video_id: str
    match: Match
    """In the video's own frames and seconds."""


def verify(
    gif: Track,
    candidates: Sequence[Candidate],
    track_of: Callable[[str], Track],
    *,
    min_confidence: float,
    min_frames: int,
) -> list[SourceVideo]:
    """Match the GIF in the part of the video around each candidate; the surest first.

    Candidates that turn out unmatched are left out: an empty list means no known source.
    """
    found: list[SourceVideo] = []
    for one in candidates:
        part, first = _part(track_of(one.video_id), one.start_s, one.end_s)
        answer = match(gif, part, min_confidence=min_confidence, min_frames=min_frames)
        if answer.status != "unmatched":
            video = track_of(one.video_id)
            found.append(
                SourceVideo(one.video_id, _moved(answer, first, float(video.pts_s[first])))
            )
    return sorted(found, key=lambda s: (s.match.status != "matched", -s.match.confidence))


def _part(video: Track, start_s: float, end_s: float) -> tuple[Track, int]:
    """The frames from `_AROUND_S` before to `_AROUND_S` after, and the first one's number."""
    first, last = video.shown_at(np.array([start_s - _AROUND_S, end_s + _AROUND_S]))
    frames, begin_s = slice(int(first), int(last) + 1), float(video.pts_s[first])
    end_s = float(video.pts_s[last + 1]) if last + 1 < len(video) else video.end_s
    part = Track(
        video.pts_s[frames] - begin_s,
        end_s - begin_s,
        video.hashes[frames],
        video.quality[frames],
        video.thumbs[frames],
    )
    return part, int(first)


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
