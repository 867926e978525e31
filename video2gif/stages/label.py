"""Label the segments of each video by the GIFs that people made of it, and choose pairs.

Reads data/matches.parquet, data/segments.parquet, data/sources.parquet and, for the frames of
declared spans, data/fingerprints/. Writes data/labels.parquet (every segment once),
data/pairs.parquet and data/spans.parquet (every GIF once: where it lies, or why that is unknown).
Section 3 of the paper.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd

from video2gif.core.config import LabelParams, Params
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout
from video2gif.core.tables import LABELS, MATCHES, PAIRS, SEGMENTS, SOURCES, SPANS
from video2gif.fingerprint.read import Fingerprints
from video2gif.labels.overlap import label_segments, sample_pairs
from video2gif.labels.place import Clue, Placement, _row, clues_of, place
from video2gif.labels.splits import Assigned, _duplicates, splits_of

Rows = list[dict[str, Any]]


def label_video(
    segments: pd.DataFrame,
    placements: Sequence[Placement],
    *,
    assigned: Assigned,
    params: LabelParams,
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
    # A GIF's popularity says how far its pairs are trusted.
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
    """Label every video that has segments. A GIF with a wrong declared span is quarantined."""
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
    # What is left in `by_video` are GIFs of videos without segments: they keep a row as well.
    for clue in (clue for clues in by_video.values() for clue in clues):
        span_rows.append(_row(clue, "unplaced", "", "missing: its video has no segments"))
    SPANS.write(layout.spans, span_rows)
    LABELS.write(layout.labels, label_rows)
    PAIRS.write(layout.pairs, pair_rows)
    faulty = sum(row["status"] == "quarantined" for row in span_rows)
    return Counts(computed=len(splits), quarantined=faulty)
