"""Where in a corpus a GIF comes from: hits of its frames, lines among them, their distances.

1. Hits: rows of the index close to a frame of the GIF (up to 32 of them, plain and mirrored), in
   any plane. Most are chance.
2. Lines: start and speed that hits of several frames agree on (`voting`).
3. Distances: around each line, every start and speed is tried on the hashes themselves, as
   `matching.align` does in one video: the mean capped Hamming distance of the GIF's frames.
4. `verify` runs `matching.confidence` on the videos of the best places. Only this step says
   matched or not; what comes before only says where to look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from video2gif.fingerprint.track import Track
from video2gif.matching.confidence import Match
from video2gif.matching.corpus.index import Index
from video2gif.matching.corpus.placing import match_part, placed
from video2gif.matching.corpus.queries import RADIUS, Hits, Query, SeenFrames, chosen, queries
from video2gif.matching.corpus.voting import LEAST_FRAMES, Line, lines

# GIF frames looked for; fewer where similar keys count too, which hold most of what is close.
_FRAMES = {0: 32, 1: 16}
_LEAST_SHARE = 0.4  # Of the best line's score: lines with less are not looked at.
# Hardly any chance line comes this close (bits), or a little less close with so many votes.
_CLOSE, _NEARLY, _MANY_VOTES = 12.0, 14.0, 6
_AROUND_S = 30.0  # Of the video, on either side of a candidate, looked at by `verify`.


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


_Finder = Callable[[int, np.ndarray], Hits]
"""Hits of uint64 hashes in a plane, within `RADIUS`."""


def search_corpus(gif: Track, index: Index, *, most: int = 8) -> list[Candidate]:
    """The places whose hashes are closest to the GIF's, best first, at most `most`.

    Looks again, in the buckets of similar keys as well, when no place is close.
    """
    found: list[Candidate] = []
    for reach, n_frames in _FRAMES.items():
        frames = chosen(gif, n_frames)
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
    seen = SeenFrames.of(gif, frames)
    voted = [
        (line, query)
        for query in queries(gif, frames, index.planes)
        for line in _voted(find(query.plane, query.hashes), index, seen, most)
    ]
    voted.sort(key=lambda pair: -pair[0].score)
    least = _LEAST_SHARE * voted[0][0].score if voted else 0.0
    worth = [(line, query) for line, query in voted[: 2 * most] if line.score >= least]
    placed = [_placed(line, query, index, seen) for line, query in worth]
    placed.sort(key=lambda candidate: candidate.distance)
    return _distinct(placed, most)


def _voted(hits: Hits, index: Index, seen: SeenFrames, most: int) -> list[Line]:
    return lines(hits, index.time_s, from_middle_s=seen.from_middle_s, radius=RADIUS, most=most)


def _placed(line: Line, query: Query, index: Index, seen: SeenFrames) -> Candidate:
    """The best start and speed around a line."""
    video = max(int(np.searchsorted(index.starts_s, line.centre_s, side="right")) - 1, 0)
    rows = slice(*index.first_rows[video : video + 2])
    found = placed(line, query, seen, index.time_s[rows], index.hashes[query.plane][rows])
    start_s = found.start_s - float(index.starts_s[video])
    return Candidate(
        index.video_ids[video],
        start_s,
        start_s + abs(found.speed) * seen.end_s,
        found.speed,
        query.mirror,
        line.votes,
        found.distance,
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
        near_s = one.start_s - _AROUND_S, one.end_s + _AROUND_S
        answer = match_part(
            gif,
            track_of(one.video_id),
            near_s,
            min_confidence=min_confidence,
            min_frames=min_frames,
        )
        if answer.status != "unmatched":
            found.append(SourceVideo(one.video_id, answer))
    return sorted(found, key=lambda s: (s.match.status != "matched", -s.match.confidence))
