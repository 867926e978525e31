"""Many clips against many films: `video2gif match CLIPS… --in LIBRARY…`.

Everything is an item of the store: a file's fingerprint, and the hits of one clip in one film. So a
new film costs its own fingerprint and its own comparisons, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, Counts, compute
from video2gif.core.types import Kind
from video2gif.core.work import Item
from video2gif.fingerprint.decode import fingerprinting
from video2gif.fingerprint.panels import looking, panels_item, read_boxes
from video2gif.fingerprint.phash import Window
from video2gif.make.analysis import fingerprint_item
from video2gif.make.inputs import Admitted, admit_all
from video2gif.matching.confidence import Match
from video2gif.matching.finder import finding, read_hits
from video2gif.matching.stretches import Hit

_MOST_PANELLED_S = 60.0  # Longer clips are not looked at in their panels.


@dataclass(frozen=True)
class FilmHit:
    """A hit and the film it is in."""

    film: Path
    hit: Hit

    @property
    def match(self) -> Match:
        """Where, and how sure."""
        return self.hit.match

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "film": str(self.film),
            "clip_start_s": self.hit.clip_start_s,
            "clip_end_s": self.hit.clip_end_s,
            **self.match.for_json(),
            "box": self.hit.box and list(self.hit.box),
        }


@dataclass(frozen=True)
class ClipHits:
    """A clip and where it was found; `failure` says why it could not be looked for."""

    clip: Path
    hits: tuple[FilmHit, ...]
    """All that are matched, in the clip's order; if none is, the surest ambiguous one."""
    failure: str = ""

    @property
    def status(self) -> str:
        """`matched`, `ambiguous`, `unmatched`, or `quarantined` for a bad file."""
        if self.failure:
            return "quarantined"
        return self.hits[0].hit.match.status if self.hits else "unmatched"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "clip": str(self.clip),
            "status": self.status,
            "reason": self.failure,
            "hits": [hit.as_dict() for hit in self.hits],
        }


@dataclass(frozen=True)
class LibrarySearch:
    """What became of all clips in all films."""

    clips: tuple[ClipHits, ...]
    failed_films: tuple[tuple[Path, str], ...]
    """Films that could not be searched, for one clip or at all, and why."""
    decoded: Counts
    compared: Counts
    """Files that were fingerprinted, pairs of a clip and a film that were compared."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every clip with every film, as far as their files can be read."""

    clips: dict[Path, ItemError | None]
    """In the order given; why one cannot be looked for."""
    films: dict[Path, ItemError | None]
    hits: dict[tuple[Path, Path], list[Hit]]
    """By clip and film; the last resort is one that is unmatched and says why."""
    failed: dict[tuple[Path, Path], ItemError]
    """Why a clip could not be compared with a film; there are no hits then."""
    decoded: Counts
    compared: Counts


@dataclass(frozen=True, eq=False)
class _Print:
    """A file, or a panel of a clip, and the key of its fingerprint."""

    file: Admitted
    key: str
    box: Window | None = None


def compare(
    clips: Sequence[Path], films: Sequence[Path], params: Params, context: Context
) -> Pairs:
    """Look for every clip in every film; what was compared before is not compared again.

    A clip that is in none of them is looked at once more in its panels.
    """
    clips, films = list(dict.fromkeys(clips)), list(dict.fromkeys(films))
    bad: dict[Path, ItemError] = {}
    wanted, clip_counts = _fingerprinted(clips, "gif", bad, params, context)
    library, film_counts = _fingerprinted(films, "video", bad, params, context)
    hits, failed, compared = _compared(wanted, library, params, context)
    found = {clip for (clip, _), some in hits.items() if any(map(_is_sure, some))}
    lost = [one for one in wanted if one.file.path not in found] if library else []
    panels, panel_counts = _panels_of(lost, params, context)
    more, failed_more, compared_more = _compared(panels, library, params, context)
    for pair, some in more.items():
        # What is told of a whole picture that is nowhere stays, unless a panel is somewhere.
        hits[pair] = [hit for hit in some if _is_sure(hit)] or hits.get(pair, [])
    failed |= failed_more
    unsure = {pair for pair in failed if not any(map(_is_sure, hits.get(pair, [])))}
    return Pairs(
        {clip: bad.get(clip) for clip in clips},
        {film: bad.get(film) for film in films},
        {pair: some for pair, some in hits.items() if pair not in unsure},
        {pair: error for pair, error in failed.items() if pair in unsure},
        clip_counts + film_counts + panel_counts,
        compared + compared_more,
    )


def _is_sure(hit: Hit) -> bool:
    return hit.match.status == "matched"


def _fingerprinted(
    paths: Sequence[Path],
    kind: Kind,
    bad: dict[Path, ItemError],
    params: Params,
    context: Context,
) -> tuple[list[_Print], Counts]:
    """Those of whole files; into `bad` goes why others have none."""
    files = []
    for path, file in zip(paths, admit_all(paths, kind, params, context), strict=True):
        if isinstance(file, ItemError):
            bad[path] = file
        else:
            files.append(file)
    items = [fingerprint_item(file, kind) for file in files]
    outcomes = compute("decode", fingerprinting(params.fingerprint), items, context)
    bad |= {f.path: o.error for f, o in zip(files, outcomes, strict=True) if not o.ok}
    prints = [_Print(f, o.key) for f, o in zip(files, outcomes, strict=True) if o.ok]
    return prints, Counts.of(outcomes) + Counts(quarantined=len(paths) - len(files))


def _panels_of(
    clips: Sequence[_Print], params: Params, context: Context
) -> tuple[list[_Print], Counts]:
    """The panels of short clips; a panel that cannot be fingerprinted is left out."""
    short = [one.file for one in clips if one.file.probed.duration_s <= _MOST_PANELLED_S]
    items = [panels_item(file.path.name, file.path, sha256=file.sha256) for file in short]
    outcomes = compute("panels", looking(), items, context)
    wanted = [
        (file, box)
        for file, outcome in zip(short, outcomes, strict=True)
        if outcome.ok
        for box in read_boxes(context.store.read(outcome.key))
    ]
    boxed = [fingerprint_item(file, "gif", box) for file, box in wanted]
    done = compute("decode", fingerprinting(params.fingerprint), boxed, context)
    prints = [_Print(f, o.key, box) for (f, box), o in zip(wanted, done, strict=True) if o.ok]
    return prints, Counts.of(done)


def _compared(
    clips: Sequence[_Print], films: Sequence[_Print], params: Params, context: Context
) -> tuple[dict[tuple[Path, Path], list[Hit]], dict[tuple[Path, Path], ItemError], Counts]:
    """Hits by clip and film, and why a pair could not be compared."""
    limits = params.match
    work = finding(min_confidence=limits.min_confidence, min_frames=limits.min_frames)
    # Film by film: a child that has read one does all clips with it.
    pairs = [(clip, film) for film in films for clip in clips]
    items = [
        Item(
            id=f"match:{clip.file.path.name} in {film.file.path.name}",
            inputs=(clip.key, film.key),
            args={"store": str(context.store.root), "clip": clip.key, "film": film.key},
        )
        for clip, film in pairs
    ]
    outcomes = compute("match", work, items, context)
    hits: dict[tuple[Path, Path], list[Hit]] = {}
    failed: dict[tuple[Path, Path], ItemError] = {}
    for (clip, film), outcome in zip(pairs, outcomes, strict=True):
        pair = clip.file.path, film.file.path
        if outcome.ok:
            found = read_hits(context.store.read(outcome.key), clip.box)
            hits.setdefault(pair, []).extend(found)
        else:
            failed[pair] = outcome.error
    return hits, failed, Counts.of(outcomes)


def search(
    clips: Sequence[Path],
    films: Sequence[Path],
    params: Params,
    context: Context,
    *,
    most: int | None = None,
) -> LibrarySearch:
    """Where in the films each clip is found, at most `most` places a clip, the surest.

    A bad file has its reason, and the others are searched all the same.
    """
    pairs = compare(clips, films, params, context)
    failed = [(film, error.reason) for film, error in pairs.films.items() if error]
    failed += [(film, f"{clip}: {error.reason}") for (clip, film), error in pairs.failed.items()]
    found = []
    for clip, error in pairs.clips.items():
        if error:
            found.append(ClipHits(clip, (), error.reason))
            continue
        hits = [
            FilmHit(film, hit) for film in pairs.films for hit in pairs.hits.get((clip, film), [])
        ]
        found.append(ClipHits(clip, _surest(hits, most)))
    return LibrarySearch(tuple(found), tuple(failed), pairs.decoded, pairs.compared)


def _surest(hits: Sequence[FilmHit], most: int | None) -> tuple[FilmHit, ...]:
    ranked = sorted(hits, key=lambda one: (-one.hit.match.confidence, str(one.film)))
    sure = [one for one in ranked if one.hit.match.status == "matched"][:most]
    unsure = [one for one in ranked if one.hit.match.status == "ambiguous"][:1]
    return tuple(sorted(sure, key=_in_clip)) or tuple(unsure)


def _in_clip(one: FilmHit) -> tuple[float, float, str]:
    return one.hit.clip_start_s, -one.hit.match.confidence, str(one.film)
