"""Places in a film that frames of a clip vote for: a search without an index.

A film of ten hours has some 180,000 frames to look at, five a second; all of them are compared with
32 frames of a clip in a second. An index (`corpus.index`) is for thousands of hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from video2gif.fingerprint.track import Track
from video2gif.matching.align import PACE, SpeedRange
from video2gif.matching.confidence import FAR_BITS
from video2gif.matching.corpus.placing import placed
from video2gif.matching.corpus.queries import RADIUS, Hits, Query, SeenFrames
from video2gif.matching.corpus.voting import LEAST_FRAMES, lines

SLOW, FAST = PACE, SpeedRange(3.0, 16.0)
"""The speeds of most clips; those of GIFs that show minutes in seconds."""
ANY = SpeedRange(SLOW.least, FAST.most)

T = TypeVar("T", float, np.ndarray)

_FRAMES_PER_S = 5.0  # Of the film.
_MIN_QUALITY = 0.3
_MOST_HITS = 1 << 13  # The closest ones vote.
_MOST_LINES = 4


@dataclass(frozen=True, eq=False)
class SearchedFilm:
    """A film, and which of its frames are voted for."""

    track: Track
    rows: np.ndarray
    """int64 (r,): frames with a picture, at most five a second."""

    @classmethod
    def of(cls, track: Track) -> "SearchedFilm":
        useful = np.flatnonzero(track.quality >= _MIN_QUALITY)
        tick = (track.pts_s[useful] * _FRAMES_PER_S).astype(np.int64)
        return cls(track, useful[np.unique(tick, return_index=True)[1]])


@dataclass(frozen=True, eq=False)
class Vote:
    """A line of the film's time over the clip's, and what spoke for it."""

    start_s: float
    """Of the film, at the clip's begin."""
    speed: float
    score: float
    query: Query

    def at(self, clip_s: T) -> T:
        """The film's time, seconds."""
        return self.start_s + self.speed * clip_s


def near_frames(film: SearchedFilm, query: Query) -> Hits:
    """The frames of the film that are voted for and close to a frame of the clip."""
    theirs = film.track.hashes[film.rows, query.plane]
    apart = [np.bitwise_count(theirs ^ ours) for ours in query.hashes]
    near = [np.flatnonzero(bits <= RADIUS) for bits in apart]
    distance = np.concatenate([bits[rows] for bits, rows in zip(apart, near, strict=True)])
    found = Hits(
        np.repeat(np.arange(len(near)), [len(rows) for rows in near]),
        np.concatenate(near),
        distance.astype(np.int64),
    )
    closest = np.argsort(distance, kind="stable")[:_MOST_HITS]
    return Hits(*(column[closest] for column in found))


def voted(
    clip: Track,
    frames: np.ndarray,
    film: SearchedFilm,
    looked: Sequence[Query],
    near: Sequence[Hits],
    pace: SpeedRange,
) -> list[Vote]:
    """Lines that frames of a short clip, or of a part of a long one, agree on."""
    if len(frames) < LEAST_FRAMES:
        return []
    seen = SeenFrames.of(clip, frames)
    time_s = film.track.pts_s[film.rows]
    found = []
    for query, hits in zip(looked, near, strict=True):
        if len(hits.query) < LEAST_FRAMES:
            continue
        hashes = film.track.hashes[film.rows, query.plane]
        for line in lines(
            hits,
            time_s,
            from_middle_s=seen.from_middle_s,
            radius=RADIUS,
            most=_MOST_LINES,
            pace=pace,
        ):
            at = placed(line, query, seen, time_s, hashes, pace)
            if at.distance <= FAR_BITS:
                # A line backwards begins where the film's part ends.
                start_s = at.start_s + (abs(at.speed) * clip.end_s if at.speed < 0 else 0.0)
                found.append(Vote(start_s, at.speed, line.score, query))
    return found
