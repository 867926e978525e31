"""C3D features of every segment. Reads media, downloads, sources, segments; writes data/features/.

Videos with GIFs come first. Training and evaluation need those, so a run that is killed half-way
leaves the more useful half in the store.

`features/index.parquet` has a row for every segment: its fc6 are `n_clips` rows of the shard, from
`row` on. `n_clips` is 0 if the segment is shorter than one clip, or if its video failed.
`features/status.parquet` says for each video whether it worked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts, check_failed_fraction, compute
from video2gif.core.layout import Layout, clear_folder
from video2gif.core.shards import ShardWriter
from video2gif.core.tables import DOWNLOADS, FEATURE_STATUS, FEATURES, SEGMENTS, SOURCES
from video2gif.core.work import Item, Outcome
from video2gif.features.extract import Extraction, Features, extraction, read_features

STAGE = "extract"

Segments = Mapping[str, pd.DataFrame]
"""Rows of segments.parquet by video_id, both in order."""


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Features of all videos that have segments, packed into shards."""
    table = SEGMENTS.read(layout.segments)
    segments = {str(video_id): rows for video_id, rows in table.groupby("video_id", sort=True)}
    chosen = extraction(params.extract, root=layout.root, context=context)
    order = _labelled_first(layout, segments)
    on_gpu = chosen.backend.name.startswith("cuda")
    work = replace(chosen.work, resources={"GPU": 1} if on_gpu else {})
    outcomes = compute(STAGE, work, _items(layout, chosen, segments, order), context)
    _pack(layout, chosen, segments, dict(zip(order, outcomes, strict=True)), context)
    counts = Counts.of(outcomes)
    check_failed_fraction(
        STAGE,
        failed=counts.quarantined,
        total=counts.total,
        limit=params.extract.max_failed_fraction,
    )
    return counts


def _labelled_first(layout: Layout, segments: Segments) -> list[str]:
    sources = SOURCES.read(layout.sources)
    labelled = set(sources.loc[sources["gif_id"] != "", "video_id"])
    return sorted(segments, key=lambda video_id: (video_id not in labelled, video_id))


def _items(
    layout: Layout, chosen: Extraction, segments: Segments, order: Sequence[str]
) -> list[Item]:
    downloads = DOWNLOADS.read(layout.downloads)
    videos = downloads[downloads["kind"] == "video"].set_index("id")
    return [
        chosen.item(
            f"video:{video_id}",
            sha256=str(videos.at[video_id, "sha256"]),
            path=layout.media_file(str(videos.at[video_id, "path"])),
            spans=segments[video_id][["start_frame", "end_frame"]].to_numpy(np.int64),
        )
        for video_id in order
    ]


def _pack(
    layout: Layout,
    chosen: Extraction,
    segments: Segments,
    outcomes: Mapping[str, Outcome],
    context: Context,
) -> None:
    clear_folder(layout.features)
    shards = ShardWriter(layout.features)
    index: list[dict[str, Any]] = []
    status: list[dict[str, Any]] = []
    for video_id, rows in segments.items():
        outcome = outcomes[video_id]
        found = _features(outcome, len(rows), context)
        shard, first = shards.add(video_id, {"fc6": found.fc6})
        places = _places(shard, first, found.n_clips)
        index += [
            {"video_id": video_id, "segment_id": segment_id, **place}
            for segment_id, place in zip(rows["segment_id"], places, strict=True)
        ]
        status.append(
            {
                "video_id": video_id,
                "status": "ok" if outcome.ok else "quarantined",
                "reason": outcome.reason,
                "backend": chosen.backend.name if outcome.ok else "",
                "mode": chosen.mode if outcome.ok else "",
                "cosine": chosen.backend.cosine if outcome.ok else None,
            }
        )
    shards.close()
    FEATURES.write(layout.features / "index.parquet", index)
    FEATURE_STATUS.write(layout.features / "status.parquet", status)


def _features(outcome: Outcome, n_segments: int, context: Context) -> Features:
    if outcome.ok:
        return read_features(context.store.read(outcome.key))
    return Features.none(n_segments)


def _places(shard: str, first: int, n_clips: np.ndarray) -> Iterator[dict[str, Any]]:
    """For each segment where its clips are in the shard."""
    # A segment starts after the clips of all segments before it.
    for row, count in zip(first + np.cumsum(n_clips) - n_clips, n_clips, strict=True):
        if count:
            yield {"shard": shard, "row": int(row), "n_clips": int(count)}
        else:
            yield {"shard": "", "row": 0, "n_clips": 0}
