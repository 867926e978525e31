"""Long clips: the stretches of a clip that one film shows, each from when to when.

Blocks of the clip vote. A voted line is followed frame by frame, and fitted to what agrees; the
first and last seconds of that stretch are matched, and the line through both is the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from video2gif.fingerprint.phash import Window, mirrored
from video2gif.fingerprint.track import Track
from video2gif.matching.align import SpeedRange
from video2gif.matching.confidence import Match, to_span
from video2gif.matching.corpus.placing import placed
from video2gif.matching.corpus.queries import Hits, Query, SeenFrames, chosen, queries
from video2gif.matching.corpus.voting import LEAST_FRAMES, Line
from video2gif.matching.votes import SLOW, SearchedFilm, Vote, near_frames, voted

_BLOCK_S, _MOST_BLOCKS = 20.0, 10
_VOTING_PER_S, _LEAST_VOTING, _MOST_VOTING = 2.0, 32, 160  # Frames of the clip that vote.
_MOST_VOTES = 24  # Lines that are followed.
_FOLLOWED_PER_S = 6.0
_FITS = 3
# Frames agree with the film where they are as close, but for gaps as short. Foreign pictures are 32
# bits apart on average, those of a bad copy 12.
_AGREE_BITS, _GAP_S, _LEAST_HIT_S = 18, 3.0, 2.0
_SLACK_S = 0.15
_PIECE_S = 6.0  # Matched at either end.
_AROUND_S = 3.0
_TRIES = 4  # Pieces from either end.
# A line fitted to all frames is right to 0.07 s (benchmarks/finder.md). What is matched further
# off is matched wrongly.
_OFF_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A part of a clip, and where the film shows it."""

    clip_start_s: float
    clip_end_s: float
    match: Match
    box: Window | None = None
    """The panel of the clip's picture that shows it; None: all of the picture."""


class Matcher(Protocol):
    """`match_part` with its limits."""

    def __call__(
        self, clip: Track, film: Track, part_s: tuple[float, float], *, pace: SpeedRange
    ) -> Match: ...


@dataclass(frozen=True, eq=False)
class _Stretch:
    """From when to when, on the clip's clock, a line agrees; the line fitted to all of it."""

    start_s: float
    end_s: float
    line: Vote


def find_stretches(clip: Track, film: SearchedFilm, matcher: Matcher) -> list[Hit]:
    """The stretches of a clip that the film shows, each once; all of them are matched."""
    frames = chosen(clip, _count(clip.end_s * _VOTING_PER_S, _LEAST_VOTING, _MOST_VOTING))
    if len(frames) < LEAST_FRAMES:
        return []
    looked = list(queries(clip, frames))
    near = [near_frames(film, query) for query in looked]
    votes: list[Vote] = []
    for first, stop in _blocks(clip, frames):
        votes += _votes_of_block(clip, frames, slice(first, stop), film, looked, near)
    found: list[Hit] = []
    for vote in sorted(votes, key=lambda vote: -vote.score)[:_MOST_VOTES]:
        stretch = _followed(clip, film.track, vote)
        if stretch is None or any(_covers(hit, stretch) for hit in found):
            continue
        hit = _anchored(clip, film.track, stretch, matcher)
        if hit is not None:
            found.append(hit)
    return _joined(found, film.track)


def _count(wanted: float, least: int, most: int) -> int:
    return int(min(max(wanted, least), most))


def _blocks(clip: Track, frames: np.ndarray) -> Iterator[tuple[int, int]]:
    """[first, stop) of the chosen frames in each part of a clip that votes by itself."""
    count = _count(clip.end_s / _BLOCK_S, 1, _MOST_BLOCKS)
    edges = np.searchsorted(clip.pts_s[frames], np.linspace(0, clip.end_s, count + 1))
    yield from zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


def _votes_of_block(
    clip: Track,
    frames: np.ndarray,
    block: slice,
    film: SearchedFilm,
    looked: Sequence[Query],
    near: Sequence[Hits],
) -> list[Vote]:
    """Lines on the whole clip's clock."""
    some = frames[block]
    if len(some) < LEAST_FRAMES:
        return []
    begin, end = int(some[0]), int(some[-1]) + 1
    inside = [(hits.query >= block.start) & (hits.query < block.stop) for hits in near]
    votes = voted(
        clip.part(begin, end),
        some - begin,
        film,
        [query._replace(hashes=query.hashes[block]) for query in looked],
        [
            Hits(hits.query[at] - block.start, hits.row[at], hits.distance[at])
            for hits, at in zip(near, inside, strict=True)
        ],
        SLOW,
    )
    begin_s = float(clip.pts_s[begin])
    return [replace(vote, start_s=vote.at(-begin_s)) for vote in votes]


def _followed(clip: Track, film: Track, vote: Vote) -> _Stretch | None:
    """The longest stretch that agrees with a line, fitted again and again as it grows."""
    frames = chosen(clip, int(_FOLLOWED_PER_S * clip.end_s))
    edges_s = np.append(clip.pts_s[frames], clip.end_s)
    ours = clip.hashes[frames, vote.query.ours]
    ours = mirrored(ours) if vote.query.mirror else ours
    start_s = end_s = 0.0
    for _ in range(_FITS):
        agrees = _agrees(ours, film, vote, edges_s[:-1])
        first, stop = _longest_run(edges_s, agrees)
        start_s, end_s = float(edges_s[first]), float(edges_s[stop])
        if stop - first < LEAST_FRAMES or end_s - start_s < _LEAST_HIT_S:
            return None
        vote = _fitted(clip, film, vote, frames[first:stop])
    # Near its ends a clip goes on as it is: a fade, a picture without evidence.
    start_s = 0.0 if start_s < _GAP_S / 2 else start_s
    end_s = clip.end_s if end_s > clip.end_s - _GAP_S / 2 else end_s
    return _Stretch(start_s, end_s, vote)


def _agrees(ours: np.ndarray, film: Track, vote: Vote, times_s: np.ndarray) -> np.ndarray:
    """Which hashes of the clip, at some of its times, are close to what a line shows."""
    shown_s = vote.at(times_s)
    theirs = film.hashes[:, vote.query.plane]
    apart = np.min(
        [
            np.bitwise_count(ours ^ theirs[film.shown_at(shown_s + slack_s)])
            for slack_s in (-_SLACK_S, 0.0, _SLACK_S)
        ],
        axis=0,
    )
    inside = (shown_s > -_SLACK_S) & (shown_s < film.end_s + _SLACK_S)
    return np.asarray((apart <= _AGREE_BITS) & inside)


def _longest_run(edges_s: np.ndarray, agrees: np.ndarray) -> tuple[int, int]:
    """[first, stop) of the frames from edge to edge that agree for longest, short gaps included."""
    near = np.flatnonzero(agrees)
    if not len(near):
        return 0, 0
    # From the end of one that agrees to the begin of the next.
    gap_s = edges_s[near[1:]] - edges_s[near[:-1] + 1]
    runs = np.split(near, np.flatnonzero(gap_s > _GAP_S) + 1)
    best = max(runs, key=lambda run: float(edges_s[run[-1] + 1] - edges_s[run[0]]))
    return int(best[0]), int(best[-1]) + 1


def _fitted(clip: Track, film: Track, vote: Vote, frames: np.ndarray) -> Vote:
    """The line moved to where the hashes of these frames of the clip are closest."""
    some = frames[np.linspace(0, len(frames) - 1, min(len(frames), _MOST_VOTING)).astype(int)]
    begin, end = int(some[0]), int(some[-1]) + 1
    part = clip.part(begin, end)
    hashes = clip.hashes[some, vote.query.ours]
    query = vote.query._replace(hashes=mirrored(hashes) if vote.query.mirror else hashes)
    begin_s = float(clip.pts_s[begin])
    line = Line(vote.at(begin_s + part.end_s / 2), vote.speed, len(some), vote.score)
    theirs = film.hashes[:, vote.query.plane]
    at = placed(line, query, SeenFrames.of(part, some - begin), film.pts_s, theirs, SLOW)
    # Backwards, the part of the film ends where the clip begins.
    start_s = at.start_s + (abs(at.speed) * part.end_s if at.speed < 0 else 0.0)
    return replace(vote, start_s=start_s - at.speed * begin_s, speed=at.speed)


def _covers(hit: Hit, stretch: _Stretch) -> bool:
    """Whether a hit says of the stretch's middle what the stretch says."""
    middle_s = (stretch.start_s + stretch.end_s) / 2
    span = hit.match.span
    if span is None or not hit.clip_start_s <= middle_s <= hit.clip_end_s:
        return False
    return abs(_shown_at(hit, middle_s) - stretch.line.at(middle_s)) < _OFF_S


def _shown_at(hit: Hit, time_s: float) -> float:
    """When the film shows what the clip shows at `time_s`, seconds."""
    span = hit.match.span
    assert span is not None
    begin_s = span.start_s if hit.match.speed > 0 else span.end_s
    return begin_s + (time_s - hit.clip_start_s) * hit.match.speed


def _joined(found: Sequence[Hit], film: Track) -> list[Hit]:
    """Hits that overlap and lie on one line are one hit, as sure as the least sure of them."""
    kept: list[Hit] = []
    for hit in sorted(found, key=lambda hit: (hit.clip_start_s, hit.clip_end_s)):
        last = next((one for one in kept if _continues(hit, one)), None)
        if last is None:
            kept.append(hit)
        elif hit.clip_end_s > last.clip_end_s:
            kept[kept.index(last)] = _one(last, hit, film)
    return kept


def _continues(hit: Hit, last: Hit) -> bool:
    if hit.clip_start_s > last.clip_end_s or hit.match.mirror != last.match.mirror:
        return False
    middle_s = (hit.clip_start_s + last.clip_end_s) / 2
    off_s = _shown_at(hit, middle_s) - _shown_at(last, middle_s)
    return abs(off_s) < _OFF_S and hit.match.speed * last.match.speed > 0


def _one(first: Hit, last: Hit, film: Track) -> Hit:
    begin_s = _shown_at(first, first.clip_start_s)
    end_s = _shown_at(last, last.clip_end_s)
    least = min(first.match, last.match, key=lambda match: match.confidence)
    return Hit(
        clip_start_s=first.clip_start_s,
        clip_end_s=last.clip_end_s,
        match=replace(
            least,
            span=to_span(film, min(begin_s, end_s), max(begin_s, end_s)),
            speed=(end_s - begin_s) / (last.clip_end_s - first.clip_start_s),
        ),
    )


@dataclass(frozen=True, eq=False)
class _Piece:
    """A part of the clip, and its match on the line."""

    start_s: float
    end_s: float
    match: Match

    def at_start_s(self) -> float:
        span = self.match.span
        assert span is not None
        return span.start_s if self.match.speed > 0 else span.end_s

    def at_end_s(self) -> float:
        span = self.match.span
        assert span is not None
        return span.end_s if self.match.speed > 0 else span.start_s


def _anchored(clip: Track, film: Track, stretch: _Stretch, matcher: Matcher) -> Hit | None:
    """A stretch with exact ends, or None if no piece of it is matched there."""

    def matched(start_s: float) -> _Piece | None:
        return _piece(clip, film, stretch.line, float(start_s), matcher)

    length_s = stretch.end_s - stretch.start_s
    # From either end inwards: where nothing moves, nobody can tell when.
    offsets_s = np.unique(np.minimum(np.arange(_TRIES) * _PIECE_S, max(length_s - _PIECE_S, 0.0)))
    firsts = (stretch.start_s + offset for offset in offsets_s.tolist())
    lasts = (stretch.end_s - offset - _PIECE_S for offset in offsets_s.tolist())
    pieces = [
        next(
            filter(None, (_piece(clip, film, stretch.line, start, matcher) for start in starts)),
            None,
        )
        for starts in (firsts, lasts)
    ]
    first, last = pieces
    if first is None or last is None or last.end_s <= first.start_s:
        return None
    speed = (last.at_end_s() - first.at_start_s()) / (last.end_s - first.start_s)
    if speed * first.match.speed <= 0.0:
        return None
    start_s = first.at_start_s() + speed * (stretch.start_s - first.start_s)
    end_s = first.at_start_s() + speed * (stretch.end_s - first.start_s)
    span = to_span(film, max(min(start_s, end_s), 0.0), min(max(start_s, end_s), film.end_s))
    least = min(first.match, last.match, key=lambda match: match.confidence)
    return Hit(
        clip_start_s=stretch.start_s,
        clip_end_s=stretch.end_s,
        match=replace(least, span=span, speed=speed),
    )


def _piece(clip: Track, film: Track, line: Vote, start_s: float, matcher: Matcher) -> _Piece | None:
    """Some seconds of the clip, if they are matched where the line says."""
    first, last = clip.shown_at(np.array([max(start_s, 0.0), start_s + _PIECE_S])).tolist()
    stop = len(clip) if start_s + _PIECE_S >= clip.end_s - 1e-6 else max(last, first + 1)
    piece = clip.part(first, stop)
    begin_s = float(clip.pts_s[first])
    low_s, high_s = sorted((line.at(begin_s), line.at(begin_s + piece.end_s)))
    found = matcher(piece, film, (low_s - _AROUND_S, high_s + _AROUND_S), pace=SLOW)
    if found.status != "matched" or found.span is None or found.speed * line.speed <= 0.0:
        return None
    off_s = max(abs(found.span.start_s - low_s), abs(found.span.end_s - high_s))
    return _Piece(begin_s, begin_s + piece.end_s, found) if off_s < _OFF_S else None
