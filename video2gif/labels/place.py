"""Decide where each GIF lies in its video: the match if it is certain, else the declared span.

Reads rows of MATCHES and SOURCES; makes the rows of SPANS.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.config import LabelParams
from video2gif.core.errors import ItemError
from video2gif.fingerprint.track import nearest_frame
from video2gif.labels.overlap import Placed, popularity

# Declared seconds are rounded, and containers differ in how they count a duration. A span that ends
# up to half a second after its video is cut; one that ends later is a wrong label.
_TOLERANCE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Clue:
    """All that is known about where one GIF lies: what was matched and what was declared."""

    video_id: str
    gif_id: str
    status: str
    """Status of the match: matched, ambiguous, unmatched; "" without a row in MATCHES."""
    reason: str
    frames: tuple[int, int] | None
    """The matched span [start, end), None if there is none."""
    alternatives: tuple[tuple[int, int], ...]
    """Other spans of an ambiguous match."""
    seconds: tuple[float, float] | None
    declared_s: tuple[float, float] | None
    """The manifest's span; an end that is not given is NaN; None if neither is given."""
    popularity: float


@dataclass(frozen=True)
class Placement:
    """The places that the labels use, and the row of SPANS."""

    gifs: list[Placed]
    row: dict[str, Any]


def place(clue: Clue, times_s: Callable[[], np.ndarray]) -> Placement:
    """Decide where a GIF lies: the match if it is certain, else the declared span.

    `times_s()` returns the (n + 1,) times of the video's frames and of its end. It is called only
    for a declared span. A declared span is taken as true unless a certain match says otherwise. The
    spans of an ambiguous match stay in `gifs` as uncertain, so that they make no negatives.
    """
    if clue.status == "matched" and clue.frames and clue.seconds:
        start, end = clue.frames
        row = _row(clue, "placed", "match", _disagreement(clue), clue.frames, clue.seconds)
        return Placement([Placed(clue.gif_id, start, end)], row)
    candidates = []
    if clue.status == "ambiguous" and clue.frames:
        spans = (clue.frames, *clue.alternatives)
        candidates = [Placed(clue.gif_id, *span, certain=False) for span in spans]
    if clue.declared_s is None:
        status = "ambiguous" if candidates else "unplaced"
        return Placement(candidates, _row(clue, status, "", clue.reason or "no span is known"))
    try:
        times = times_s()
        start, end = declared_frames(clue.declared_s, times)
    except ItemError as error:
        return Placement(candidates, _row(clue, "quarantined", "", error.reason))
    seconds = (float(times[start]), float(times[end]))
    row = _row(clue, "placed", "declared", "", (start, end), seconds)
    return Placement([*candidates, Placed(clue.gif_id, start, end)], row)


def declared_frames(declared_s: tuple[float, float], times_s: np.ndarray) -> tuple[int, int]:
    """Frames [start, end) nearest to a span in seconds, at least one frame.

    `times_s` (n + 1,): times of the frames, and of the end. Raises `ItemError` (label) for a span
    that is incomplete, empty, negative, or ends more than half a second after the video.
    """
    start_s, end_s = declared_s
    duration_s = float(times_s[-1])
    shown = f"span {start_s:g}–{end_s:g} s"
    if not (math.isfinite(start_s) and math.isfinite(end_s)):
        raise ItemError("label", f"{shown}: start_s and end_s must both be given")
    if start_s < 0 or end_s <= start_s:
        raise ItemError("label", f"{shown}: must be 0 <= start_s < end_s")
    if end_s > duration_s + _TOLERANCE_S or start_s >= duration_s:
        raise ItemError("label", f"{shown}: overruns the video, which is {duration_s:g} s long")
    # `times_s` has one more entry than there are frames.
    start = min(nearest_frame(start_s, times_s), len(times_s) - 2)
    return start, max(nearest_frame(end_s, times_s), start + 1)


def _disagreement(clue: Clue) -> str:
    if clue.declared_s is None or clue.seconds is None:
        return ""
    differences = [abs(a - b) for a, b in zip(clue.declared_s, clue.seconds, strict=True)]
    if max(differences) <= _TOLERANCE_S:
        return ""
    declared, measured = (f"{a:g}–{b:g} s" for a, b in (clue.declared_s, clue.seconds))
    return f"label: declared {declared}, measured {measured}; the measured span is used"


def _row(
    clue: Clue,
    status: str,
    origin: str,
    reason: str,
    frames: tuple[int, int] | tuple[None, None] = (None, None),
    seconds: tuple[float, float] = (math.nan, math.nan),
) -> dict[str, Any]:
    return {
        "video_id": clue.video_id,
        "gif_id": clue.gif_id,
        "start_frame": frames[0],
        "end_frame": frames[1],
        "start_s": seconds[0],
        "end_s": seconds[1],
        "origin": origin,
        "popularity": clue.popularity,
        "status": status,
        "reason": reason,
    }


def clues_of(sources: pd.DataFrame, matches: pd.DataFrame, params: LabelParams) -> list[Clue]:
    """One clue for each (video, GIF) that the manifest or the matcher names, sorted by key."""
    declared, measured = _by_key(sources[sources.gif_id != ""]), _by_key(matches)
    return [
        _clue(key, source=declared.get(key), match=measured.get(key), params=params)
        for key in sorted(declared.keys() | measured.keys())
    ]


def _by_key(table: pd.DataFrame) -> dict[tuple[str, str], Any]:
    return {(row.video_id, row.gif_id): row for row in table.itertuples(index=False)}


def _clue(key: tuple[str, str], *, source: Any, match: Any, params: LabelParams) -> Clue:
    """From a row of SOURCES and one of MATCHES; either may be None."""
    views, age_days = (source.views, source.age_days) if source else (math.nan, math.nan)
    return Clue(
        video_id=key[0],
        gif_id=key[1],
        status=match.status if match else "",
        reason=match.reason if match else "",
        frames=_frames(match.start_frame, match.end_frame) if match else None,
        alternatives=_spans(match.alternatives) if match else (),
        seconds=_pair(match.start_s, match.end_s) if match else None,
        declared_s=_pair(source.start_s, source.end_s) if source else None,
        popularity=popularity(views, age_days, saturation_views=params.popularity_views),
    )


def _pair(start: float, end: float) -> tuple[float, float] | None:
    return None if math.isnan(start) and math.isnan(end) else (float(start), float(end))


def _spans(listed: Sequence[Sequence[int]] | None) -> tuple[tuple[int, int], ...]:
    """From a list column, which is null where nothing was written."""
    return tuple((int(start), int(end)) for start, end in (() if listed is None else listed))


def _frames(start: float, end: float) -> tuple[int, int] | None:
    if math.isnan(start) or math.isnan(end) or not 0 <= start < end:
        return None
    return int(start), int(end)
