"""Where in a film a clip comes from, whatever their lengths: votes propose, pictures decide.

1. Frames of the clip vote for places and speeds in the film (`votes`); where the film is short, all
   of it is looked at instead, but for the places of fast clips.
2. A *short* clip is matched in the film around each place (`confidence.match`), at speeds up to
   16. One that holds a picture is also matched without the hold (`holds`).
3. A *long* clip may show several parts of the film, or other things in between (`stretches`).

Nothing is a hit that `confidence.match` did not call matched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from video2gif.core.store import ItemStore, read_arrays, write_arrays
from video2gif.core.work import Work
from video2gif.fingerprint.phash import Window
from video2gif.fingerprint.read import read_fingerprint
from video2gif.fingerprint.track import Track
from video2gif.matching.align import SpeedRange
from video2gif.matching.confidence import Match, match_of_notes, too_short
from video2gif.matching.corpus.placing import match_part
from video2gif.matching.corpus.queries import chosen, queries
from video2gif.matching.holds import filled, without_holds
from video2gif.matching.stretches import Hit, Matcher, find_stretches
from video2gif.matching.votes import ANY, FAST, SLOW, SearchedFilm, near_frames, voted

_SHORT_FILM_S = 150.0  # Up to here all of a film is looked at.
_SHORT_CLIP_S = 20.0  # Up to here a clip is one piece.
_CLIP_FRAMES = 32  # That vote.
_MOST_PLACES = 4
_LEAST_SHARE = 0.3  # Of the best line's score.
_AROUND_S = 15.0  # Of the film, on either side of a place.
_BETTER_SHARE = 0.02  # Of the movement explained: a film that stands still is no hold.
# A hold that is cut at the wrong place leaves more unexplained, and moves an end.
_HELD_EXPLAINED = 0.9

_Part = tuple[float, float]
"""From when to when in the film, seconds."""


def find(clip: Track, film: SearchedFilm, *, min_confidence: float, min_frames: int) -> list[Hit]:
    """The parts of the clip that the film shows, in the clip's order, of equals the surest first.

    Without any, the surest ambiguous place; without that, one hit that is unmatched and says why.
    """
    reason = too_short(clip, min_frames)
    matcher = partial(match_part, min_confidence=min_confidence, min_frames=min_frames)
    found: list[Hit] = []
    if not reason:
        is_short = clip.end_s <= _SHORT_CLIP_S
        found = (_find_short if is_short else find_stretches)(clip, film, matcher)
    sure = _distinct([hit for hit in found if hit.match.status == "matched"])
    if sure:
        return sure
    nowhere = Match(status="unmatched", reason=reason or "distance: no part of the film is close")
    found.append(Hit(clip_start_s=0.0, clip_end_s=clip.end_s, match=nowhere))
    return sorted(found, key=lambda hit: (hit.match.status != "ambiguous", -hit.match.confidence))[
        :1
    ]


def _distinct(found: Sequence[Hit]) -> list[Hit]:
    """Of hits that say the same part of the film of the same part of the clip, the surest."""
    kept: list[Hit] = []
    for hit in sorted(found, key=lambda hit: -hit.match.confidence):
        if not any(_overlap(hit, other) for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: (hit.clip_start_s, -hit.match.confidence))


def _overlap(hit: Hit, other: Hit) -> bool:
    a, b = hit.match.span, other.match.span
    if a is None or b is None:
        return False
    in_clip = hit.clip_start_s < other.clip_end_s and other.clip_start_s < hit.clip_end_s
    return in_clip and a.start_s < b.end_s and b.start_s < a.end_s


def _find_short(clip: Track, film: SearchedFilm, matcher: Matcher) -> list[Hit]:
    cut = without_holds(clip)
    ways = [clip] if cut is None else [filled(clip), cut]
    if film.track.end_s > _SHORT_FILM_S:
        found = [_best_way(ways, film, matcher, *place) for place in _places(ways, film)]
    else:
        whole = (0.0, film.track.end_s)
        found = [_best_way(ways, film, matcher, whole, SLOW)]
        if found[0].status != "matched":
            fast = [place for place in _places(ways, film) if place[1] == FAST]
            found += [_best_way(ways, film, matcher, *place) for place in fast]
    return [Hit(clip_start_s=0.0, clip_end_s=clip.end_s, match=match) for match in found]


def _best_way(
    ways: Sequence[Track], film: SearchedFilm, matcher: Matcher, part: _Part, pace: SpeedRange
) -> Match:
    """A clip with its holds, or without them if the film explains it better that way."""
    best, *others = (matcher(way, film.track, part, pace=pace) for way in ways)
    for other in others:
        better = other.explained > best.explained + _BETTER_SHARE
        if other.status == "matched" and (best.status != "matched" or better):
            best = other
    if others and best.status == "matched" and best.explained < _HELD_EXPLAINED:
        reason = f"ambiguous: a picture is held, {best.explained:.0%} of the movement explained"
        return replace(best, status="ambiguous", reason=reason)
    return best


def _places(ways: Sequence[Track], film: SearchedFilm) -> list[tuple[_Part, SpeedRange]]:
    """Parts of the film that may show the clip, and at which speeds; the best first."""
    found = []
    for way in ways:
        frames = chosen(way, _CLIP_FRAMES)
        looked = list(queries(way, frames))
        near = [near_frames(film, query) for query in looked]
        found += [(vote, way) for vote in voted(way, frames, film, looked, near, ANY)]
    found.sort(key=lambda pair: -pair[0].score)
    places: list[tuple[_Part, SpeedRange]] = []
    for vote, way in found:
        if vote.score < _LEAST_SHARE * found[0][0].score or len(places) == _MOST_PLACES:
            break
        start_s, end_s = sorted((vote.at(0.0), vote.at(way.end_s)))
        pace = SLOW if abs(vote.speed) < SLOW.most / 1.2 else FAST
        if not any(pace == p and s <= start_s and end_s <= e for (s, e), p in places):
            places.append(((start_s - _AROUND_S, end_s + _AROUND_S), pace))
    return places


def finding(*, min_confidence: float, min_frames: int) -> Work:
    """The work of an item whose inputs are the keys of two fingerprints."""
    return Work(
        function=f"{__name__}:work",
        params={"min_confidence": min_confidence, "min_frames": min_frames},
        libraries=("numpy",),
    )


def work(*, out: Path, params: Mapping[str, Any], store: str, clip: str, film: str) -> None:
    """Write the hits of two fingerprints, given by their keys in an item store."""
    found = find(_track(store, clip), _film(store, film), **params)
    write_arrays(out, {}, {"hits": [asdict(hit) for hit in found]})


def read_hits(payload: bytes, box: Window | None) -> list[Hit]:
    """From the item that `work` wrote of a panel of a clip, or of all of its picture."""
    notes = read_arrays(payload)[1]["hits"]
    return [Hit(**{**hit, "match": match_of_notes(hit["match"]), "box": box}) for hit in notes]


# A child does one pair after the other, film by film: it reads a film once, not once for each clip.
@lru_cache(maxsize=1)
def _film(store: str, key: str) -> SearchedFilm:
    return SearchedFilm.of(_track(store, key))


def _track(store: str, key: str) -> Track:
    return read_fingerprint(ItemStore(Path(store)).read(key)).track
