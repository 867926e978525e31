"""Label segments and choose pairs by the GIFs people made.

Reads data/matches.parquet, data/segments.parquet, data/sources.parquet and, for the frames of
declared spans, data/fingerprints/. Writes data/labels.parquet (every segment once),
data/pairs.parquet and data/spans.parquet (every GIF once: where it lies, or why that is unknown).
Section 3 of the paper.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

from video2gif.config import Label, Params
from video2gif.datasets import published_test_ids
from video2gif.errors import ItemError
from video2gif.fingerprint import Fingerprints
from video2gif.items import Context, Counts
from video2gif.labels import (
    Placed,
    Split,
    group_split,
    label_segments,
    popularity,
    sample_pairs,
    split_of,
)
from video2gif.layout import LABELS, MATCHES, PAIRS, SEGMENTS, SOURCES, SPANS, Layout
from video2gif.matching.duplicates import near_duplicates, pictures
from video2gif.shots.segments import nearest_frame

# Declared seconds are rounded, and durations differ between containers: up to half a second over
# the end is clipped, more is a wrong label.
_TOLERANCE_S = 0.5

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Clue:
    """All that is known of where one GIF lies: what was measured and what was declared."""

    video_id: str
    gif_id: str
    status: str
    """Of the match: matched, ambiguous, unmatched, or "" without a row in MATCHES."""
    reason: str
    frames: tuple[int, int] | None
    """The matcher's span, None when it has none."""
    alternatives: tuple[tuple[int, int], ...]
    """Other spans of an ambiguous match."""
    seconds: tuple[float, float] | None
    declared_s: tuple[float, float] | None
    """The manifest's span, one end NaN when it gives only the other; None without any."""
    popularity: float


@dataclass(frozen=True)
class Placement:
    """What the labels take from a clue, and its SPANS row."""

    gifs: list[Placed]
    row: dict[str, Any]


def place(clue: Clue, times_s: Callable[[], np.ndarray]) -> Placement:
    """Decide where a GIF lies: the match if it is certain, else the declared span.

    `times_s()` gives the (n + 1,) times of the video's frames and its end; it is called only for
    a declared span, which is held to be true where no certain match says otherwise. The spans of
    an ambiguous match stay in `gifs` as candidates, so that they make no negatives.
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

    `times_s` (n + 1,): the frames' times and the end. Raises `ItemError` (label) for a span that
    is incomplete, empty, negative, or ends more than half a second after the video.
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


def clues_of(sources: pd.DataFrame, matches: pd.DataFrame, params: Label) -> list[Clue]:
    """One clue for each (video, GIF) that the manifest or the matcher names, sorted by key."""
    declared, measured = _by_key(sources[sources.gif_id != ""]), _by_key(matches)
    return [
        _clue(key, source=declared.get(key), match=measured.get(key), params=params)
        for key in sorted(declared.keys() | measured.keys())
    ]


def _by_key(table: pd.DataFrame) -> dict[tuple[str, str], Any]:
    return {(row.video_id, row.gif_id): row for row in table.itertuples(index=False)}


def _clue(key: tuple[str, str], *, source: Any, match: Any, params: Label) -> Clue:
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


@dataclass(frozen=True)
class Assigned:
    """The split of a video."""

    split: Split
    duplicate_of: str = ""
    """The near-duplicate that stands before it in the manifest, whose split it takes."""


def splits_of(
    video_ids: Sequence[str],
    sources: pd.DataFrame,
    duplicates: Sequence[Sequence[str]],
    params: Label,
) -> dict[str, Assigned]:
    """The split of each video, the same for near-duplicates (`duplicates`: groups of ids)."""
    fixed: dict[str, set[str]] = {}
    for video_id, split in zip(sources.video_id, sources.split, strict=True):
        fixed.setdefault(video_id, set()).add(split)
    for video_id in published_test_ids():
        fixed.setdefault(video_id, set()).add("test")
    line = sources.groupby("video_id").line.min().fillna(math.inf).to_dict()
    grouped = {video_id for group in duplicates for video_id in group}
    found: dict[str, Assigned] = {}
    for group in [*duplicates, *([one] for one in video_ids if one not in grouped)]:
        first = min(group, key=lambda video_id: (line.get(video_id, math.inf), video_id))
        words = {word for video_id in group for word in fixed.get(video_id, ())}
        split = group_split(words, _own_split(first, params))
        found |= {one: Assigned(split, "" if one == first else first) for one in group}
    return found


def _own_split(video_id: str, params: Label) -> Split:
    return split_of(
        video_id,
        seed=params.split_seed,
        validation_fraction=params.validation_fraction,
        test_fraction=params.test_fraction,
    )


def _duplicates(
    video_ids: Sequence[str], fingerprints: Fingerprints, params: Label
) -> list[list[str]]:
    def pictures_of(video_id: str) -> np.ndarray:
        fingerprint = fingerprints.get("video", video_id)
        return pictures(fingerprint.phash, fingerprint.quality)

    return near_duplicates(video_ids, pictures_of, min_share=params.duplicate_share)


def label_video(
    segments: pd.DataFrame, placements: Sequence[Placement], *, assigned: Assigned, params: Label
) -> tuple[Rows, Rows]:
    """LABELS and PAIRS rows of one video, from its SEGMENTS rows and its GIFs."""
    video_id = str(segments.video_id.iloc[0])
    segment_ids = segments.segment_id.to_numpy()
    labels = label_segments(
        segments[["start_frame", "end_frame"]].to_numpy(),
        [gif for placement in placements for gif in placement.gifs],
        positive_overlap=params.positive_overlap,
        overlap_of=params.overlap_of,
    )
    columns = zip(segment_ids, labels.label, labels.overlap, labels.gif_id, strict=True)
    label_rows = [
        {
            "split": assigned.split,
            "video_id": video_id,
            "segment_id": segment_id,
            "label": label,
            "overlap": overlap,
            "gif_id": gif_id,
            "duplicate_of": assigned.duplicate_of,
        }
        for segment_id, label, overlap, gif_id in columns
    ]
    trust = {placement.row["gif_id"]: placement.row["popularity"] for placement in placements}
    sampled = sample_pairs(
        labels, video_id=video_id, max_pairs=params.max_pairs_per_video, seed=params.split_seed
    )
    pair_rows = [
        {
            "split": assigned.split,
            "video_id": video_id,
            "gif_id": gif_id,
            "positive": segment_ids[positive],
            "negative": segment_ids[negative],
            "popularity": trust[gif_id],
        }
        for gif_id, positive, negative in sampled
    ]
    return label_rows, pair_rows


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Label every segmented video; a GIF whose declared span is wrong counts as quarantined."""
    sources = SOURCES.read(layout.sources)
    segments = SEGMENTS.read(layout.segments)
    fingerprints = Fingerprints.open(layout)
    by_video: dict[str, list[Clue]] = {}
    for clue in clues_of(sources, MATCHES.read(layout.matches), params.label):
        by_video.setdefault(clue.video_id, []).append(clue)
    video_ids = sorted(segments.video_id.unique())
    splits = splits_of(
        video_ids, sources, _duplicates(video_ids, fingerprints, params.label), params.label
    )

    def times_of(video_id: str) -> np.ndarray:
        fingerprint = fingerprints.get("video", video_id)
        return np.append(fingerprint.pts_s, fingerprint.end_s)

    span_rows: Rows = []
    label_rows: Rows = []
    pair_rows: Rows = []
    for done, (key, group) in enumerate(segments.groupby("video_id", sort=True), start=1):
        video_id = cast(str, key)
        clues = by_video.pop(video_id, [])
        placements = [place(clue, partial(times_of, video_id)) for clue in clues]
        labels, pairs = label_video(
            group, placements, assigned=splits[video_id], params=params.label
        )
        span_rows += [placement.row for placement in placements]
        label_rows += labels
        pair_rows += pairs
        context.progress("label", done, len(splits))
    for clue in (clue for clues in by_video.values() for clue in clues):
        span_rows.append(_row(clue, "unplaced", "", "missing: its video has no segments"))
    SPANS.write(layout.spans, span_rows)
    LABELS.write(layout.labels, label_rows)
    PAIRS.write(layout.pairs, pair_rows)
    faulty = sum(row["status"] == "quarantined" for row in span_rows)
    return Counts(computed=len(splits), quarantined=faulty)
