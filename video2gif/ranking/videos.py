"""What the ranker sees of each video, gathered from the tables of the earlier stages.

Reads segments, labels, pairs, spans, sources, features and fingerprints; training and evaluation
both start from the `Video`s made here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from video2gif.core.layout import Layout
from video2gif.core.shards import ShardReader
from video2gif.core.tables import FEATURES, LABELS, PAIRS, SEGMENTS, SOURCES, SPANS
from video2gif.core.types import Span
from video2gif.fingerprint.read import Fingerprints
from video2gif.ranking.baselines import segment_change

N_FEATURES = 4096
"""Width of fc6."""


@dataclass(frozen=True, kw_only=True)
class Video:
    """One video with its n segments, in order; they tile its frames."""

    video_id: str
    split: str
    """train, validation or test; "" when the label stage gave none."""
    category: str
    """"" if unknown."""
    tags: tuple[str, ...]
    title: str = ""
    segment_ids: np.ndarray
    """(n,) int64, as in the tables."""
    spans: np.ndarray
    """(n, 2) int64, frames [start, end) of each segment."""
    spans_s: np.ndarray
    """(n, 2) float64, the same in seconds."""
    n_clips: np.ndarray
    """(n,) int64; 0 for a segment without features."""
    clips: np.ndarray
    """(sum of n_clips, 4096) float16: fc6 of the segments' clips, one after the other."""
    change: np.ndarray
    """(n, 3) float64: how much hue, saturation and value change from frame to frame."""
    gifs: tuple[Span, ...] = ()
    """Frames [start, end) of the GIFs whose place in it is known (SPANS, placed)."""
    pairs: np.ndarray
    """(P, 2) int64: rows of a positive and a negative segment."""
    popularity: np.ndarray
    """(P,) float64 in [0, 1], of the pair's GIF."""

    @property
    def n_frames(self) -> int:
        return int(self.spans[-1, 1])

    @property
    def duration_s(self) -> float:
        return float(self.spans_s[-1, 1])

    @property
    def fc6(self) -> list[np.ndarray]:
        """The clips of each segment, (n_clips, 4096) each."""
        return np.split(self.clips, np.cumsum(self.n_clips)[:-1])


def load_videos(layout: Layout) -> list[Video]:
    """Every video that has segments, sorted by id."""
    segments = _by_video(SEGMENTS.read(layout.segments))
    features = _by_video(FEATURES.read(layout.features / "index.parquet"))
    pairs = _by_video(PAIRS.read(layout.pairs))
    spans = SPANS.read(layout.spans)
    placed = _by_video(spans[spans["status"] == "placed"])
    sources = _by_video(SOURCES.read(layout.sources))
    split = LABELS.read(layout.labels).groupby("video_id")["split"].first().to_dict()
    shards = ShardReader(layout.features)
    fingerprints = Fingerprints.open(layout)
    return [
        _video(
            video_id,
            split=split.get(video_id, ""),
            segments=rows,
            source=sources.get(video_id),
            placed=placed.get(video_id),
            pairs=pairs.get(video_id),
            clips=_clips(features.get(video_id), rows["segment_id"].to_numpy(), shards),
            content=fingerprints.get("video", video_id).content,
        )
        for video_id, rows in sorted(segments.items())
    ]


def _by_video(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(video_id): rows for video_id, rows in table.groupby("video_id", sort=True)}


def _video(
    video_id: str,
    *,
    split: str,
    segments: pd.DataFrame,
    source: pd.DataFrame | None,
    placed: pd.DataFrame | None,
    pairs: pd.DataFrame | None,
    clips: tuple[np.ndarray, np.ndarray],
    content: np.ndarray,
) -> Video:
    row_of = {segment: row for row, segment in enumerate(segments["segment_id"])}
    n_clips, fc6 = clips
    category, tags, title = (
        ("", "", "") if source is None else source.iloc[0][["category", "tags", "title"]]
    )
    spans = segments[["start_frame", "end_frame"]].to_numpy(np.int64)
    gifs = [] if placed is None else placed[["start_frame", "end_frame"]].to_numpy().tolist()
    return Video(
        video_id=video_id,
        split=split,
        category=category or "",
        tags=tuple(tag for tag in (tags or "").split("|") if tag),
        title=title or "",
        segment_ids=segments["segment_id"].to_numpy(np.int64),
        spans=spans,
        spans_s=segments[["start_s", "end_s"]].to_numpy(np.float64),
        n_clips=n_clips,
        clips=fc6,
        change=segment_change(content, spans),
        gifs=tuple((int(start), int(end)) for start, end in gifs),
        pairs=_pair_rows(pairs, row_of),
        popularity=np.zeros(0) if pairs is None else pairs["popularity"].to_numpy(np.float64),
    )


def _pair_rows(pairs: pd.DataFrame | None, row_of: Mapping[int, int]) -> np.ndarray:
    if pairs is None:
        return np.zeros((0, 2), np.int64)
    columns = [pairs[name].map(row_of).to_numpy(np.int64) for name in ("positive", "negative")]
    return np.stack(columns, axis=1)


def _clips(
    index: pd.DataFrame | None, segment_ids: np.ndarray, shards: ShardReader
) -> tuple[np.ndarray, np.ndarray]:
    """Clips a segment, and all their fc6 in the order of the segments."""
    parts: list[np.ndarray] = []
    counts = np.zeros(len(segment_ids), np.int64)
    rows = {} if index is None else {row.segment_id: row for row in index.itertuples()}
    for place, segment_id in enumerate(segment_ids):
        row = rows.get(segment_id)
        if row is not None and row.n_clips:
            counts[place] = row.n_clips
            parts.append(shards.rows(row.shard, "fc6", row.row, row.n_clips))
    return counts, np.concatenate(parts) if parts else np.zeros((0, N_FEATURES), np.float16)
