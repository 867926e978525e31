"""The videos of a project, gathered from the tables of the earlier stages.

Reads segments, labels, pairs, spans, sources, features and fingerprints.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.layout import Layout, read_json
from video2gif.core.shards import ShardReader
from video2gif.core.tables import FEATURES, LABELS, PAIRS, SEGMENTS, SOURCES, SPANS, TAGS
from video2gif.fingerprint.read import Fingerprint, Fingerprints
from video2gif.ranking.baselines import segment_cues
from video2gif.ranking.videos import Video, side_by_side


def load_videos(layout: Layout, inputs: Sequence[str] = ()) -> list[Video]:
    """Every video that has segments, sorted by id, with features of the networks of `inputs`.

    Without `inputs`: of all networks that were run, by name.
    """
    segments = _by_video(SEGMENTS.read(layout.segments))
    folders = [layout.features_of(name) for name in inputs] or layout.feature_folders()
    shown = [_Shown(folder) for folder in folders]
    pairs = _by_video(PAIRS.read(layout.pairs))
    spans = SPANS.read(layout.spans)
    placed = _by_video(spans[spans["status"] == "placed"])
    sources = _by_video(SOURCES.read(layout.sources))
    # Every row of a video has its split.
    split = LABELS.read(layout.labels).groupby("video_id")["split"].first().to_dict()
    fingerprints = Fingerprints.open(layout)
    seen = _seen_tags(layout)
    return [
        _video(
            video_id,
            split=split.get(video_id, ""),
            segments=rows,
            source=sources.get(video_id),
            placed=placed.get(video_id),
            pairs=pairs.get(video_id),
            clips=_clips(shown, video_id, rows["segment_id"].to_numpy()),
            seen_tags=seen.get(video_id, ""),
            fingerprint=fingerprints.get("video", video_id),
        )
        for video_id, rows in sorted(segments.items())
    ]


def feature_sources(layout: Layout, inputs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the features of these networks were made with, as the extract stage wrote it."""
    return {name: read_json(layout.network(name)) for name in inputs}


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
    fingerprint: Fingerprint,
    seen_tags: str,
) -> Video:
    row_of = {segment: row for row, segment in enumerate(segments["segment_id"])}
    n_clips, features = clips
    category, tags, title = (
        ("", "", "") if source is None else source.iloc[0][["category", "tags", "title"]]
    )
    spans = segments[["start_frame", "end_frame"]].to_numpy(np.int64)
    gifs = [] if placed is None else placed[["start_frame", "end_frame"]].to_numpy().tolist()
    return Video(
        video_id=video_id,
        split=split,
        category=category or "",
        # What somebody wrote says more than what a network sees.
        tags=tuple(tag for tag in (tags or seen_tags).split("|") if tag),
        tags_are_seen=not tags and bool(seen_tags),
        title=title or "",
        segment_ids=segments["segment_id"].to_numpy(np.int64),
        spans=spans,
        spans_s=segments[["start_s", "end_s"]].to_numpy(np.float64),
        n_clips=n_clips,
        clips=features,
        cues=segment_cues(fingerprint.content, fingerprint.cues, spans),
        gifs=tuple((int(start), int(end)) for start, end in gifs),
        pairs=_pair_rows(pairs, row_of),
        popularity=np.zeros(0) if pairs is None else pairs["popularity"].to_numpy(np.float64),
    )


def _pair_rows(pairs: pd.DataFrame | None, row_of: Mapping[int, int]) -> np.ndarray:
    if pairs is None:
        return np.zeros((0, 2), np.int64)
    columns = [pairs[name].map(row_of).to_numpy(np.int64) for name in ("positive", "negative")]
    return np.stack(columns, axis=1)


def _seen_tags(layout: Layout) -> dict[str, str]:
    """What the classes of a network say is in each video, where one was run that has classes."""
    if not layout.tags.is_file():
        return {}
    table = TAGS.read(layout.tags)
    return dict(zip(table["video_id"], table["tags"], strict=True))


class _Shown:
    """The features of one network."""

    def __init__(self, folder: Path) -> None:
        table = FEATURES.read(folder / "index.parquet")
        self._index = _by_video(table)
        self._shards = ShardReader(folder)
        some = table[table["n_clips"] > 0].head(1)
        # Without a single row there is no width to be had, and nothing to be learned.
        first = (self._shards.rows(r.shard, "features", r.row, 1) for r in some.itertuples())
        self._width = next((rows.shape[1] for rows in first), 0)

    def clips(self, video_id: str, segment_ids: np.ndarray) -> list[np.ndarray]:
        """Of each segment its rows, float16 (n_clips, width)."""
        found = self._index.get(video_id)
        rows = {} if found is None else {row.segment_id: row for row in found.itertuples()}
        none = np.zeros((0, self._width), np.float16)
        return [self._rows(rows.get(segment_id), none) for segment_id in segment_ids]

    def _rows(self, row: Any, none: np.ndarray) -> np.ndarray:
        if row is None or not row.n_clips:
            return none
        return self._shards.rows(row.shard, "features", row.row, row.n_clips)


def _clips(
    shown: Sequence[_Shown], video_id: str, segment_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Clips a segment, and all their features in the order of the segments."""
    parts = side_by_side([one.clips(video_id, segment_ids) for one in shown])
    return np.array([len(part) for part in parts], np.int64), np.concatenate(parts)
