"""Features of every segment, by each network of `extract.networks`, and tags from its classes.

Reads media, downloads, sources, segments; writes a folder below data/features/ for each network
and data/features/tags.parquet. Videos with GIFs come first. Training and evaluation need those, so
a run that is killed half-way leaves the more useful half in the store.

`NETWORK/index.parquet` has a row for every segment: `n_clips` rows of the shard's `features`, from
`row` on. `n_clips` is 0 if the segment is shorter than one clip, or if its video failed.
`NETWORK/status.parquet` says for each video whether it worked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.config import Params
from video2gif.core.items import Context, Counts, check_failed_fraction
from video2gif.core.layout import Layout, clear_folder, write_json
from video2gif.core.shards import ShardWriter
from video2gif.core.tables import DOWNLOADS, FEATURE_STATUS, FEATURES, SEGMENTS, SOURCES, TAGS
from video2gif.core.work import Outcome
from video2gif.features import classes
from video2gif.features.network import Extraction, Features
from video2gif.features.registry import description, extractions
from video2gif.features.together import WantedVideo, compute_features

STAGE = "extract"

Segments = Mapping[str, pd.DataFrame]
"""Rows of segments.parquet by video_id, both in order."""


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Features of all videos that have segments, packed into shards."""
    table = SEGMENTS.read(layout.segments)
    segments = {str(video_id): rows for video_id, rows in table.groupby("video_id", sort=True)}
    chosen = [
        _placed(one) for one in extractions(params.extract, root=layout.root, context=context)
    ]
    films = _films(layout, segments)
    outcomes = compute_features(STAGE, chosen, films, context)
    clear_folder(layout.features)
    tags: dict[str, dict[str, str]] = {}
    for extraction, own in zip(chosen, outcomes, strict=True):
        # Films are in the order of the work; shards want theirs, by id.
        by_video = {film.id: outcome for film, outcome in zip(films, own, strict=True)}
        # Of several networks that name classes the last one's tags stand.
        tags |= _pack(layout, extraction, segments, by_video, context)
        about = description(extraction.network, params.extract, root=layout.root)
        write_json(layout.network(extraction.network.name), about)
    TAGS.write(layout.tags, list(tags.values()))
    counts = sum((Counts.of(own) for own in outcomes), Counts())
    # After the tables, which say why each one failed.
    check_failed_fraction(
        STAGE,
        failed=counts.quarantined,
        total=counts.total,
        limit=params.extract.max_failed_fraction,
    )
    return counts


def _placed(extraction: Extraction) -> Extraction:
    """Where it is to run: on a GPU if that is its backend."""
    # Not in `params`: where it runs must not change its key.
    resources = {"GPU": 1.0} if extraction.backend.startswith("cuda") else {}
    return replace(extraction, work=replace(extraction.work, resources=resources))


def _labelled_first(layout: Layout, segments: Segments) -> list[str]:
    sources = SOURCES.read(layout.sources)
    labelled = set(sources.loc[sources["gif_id"] != "", "video_id"])
    # False sorts before True.
    return sorted(segments, key=lambda video_id: (video_id not in labelled, video_id))


def _films(layout: Layout, segments: Segments) -> list[WantedVideo]:
    downloads = DOWNLOADS.read(layout.downloads)
    videos = downloads[downloads["kind"] == "video"].set_index("id")
    return [
        WantedVideo(
            video_id,
            str(videos.at[video_id, "sha256"]),
            layout.media_file(str(videos.at[video_id, "path"])),
            _spans(segments[video_id]),
        )
        for video_id in _labelled_first(layout, segments)
    ]


def _spans(rows: pd.DataFrame) -> np.ndarray:
    return rows[["start_frame", "end_frame"]].to_numpy(np.int64)


def _pack(
    layout: Layout,
    extraction: Extraction,
    segments: Segments,
    outcomes: Mapping[str, Outcome],
    context: Context,
) -> dict[str, dict[str, str]]:
    """One network's folder; returns the tags of the videos whose classes it names."""
    network = extraction.network
    folder = layout.features_of(network.name)
    shards = ShardWriter(folder)
    index: list[dict[str, Any]] = []
    status: list[dict[str, Any]] = []
    tags: dict[str, dict[str, str]] = {}
    for video_id, rows in segments.items():
        outcome = outcomes[video_id]
        found = _features(extraction, outcome, _spans(rows), context)
        shard, first = shards.add(video_id, {"features": found.rows})
        index += _index_rows(video_id, rows["segment_id"], _places(shard, first, found.n_clips))
        status.append(_status(video_id, extraction, outcome))
        if network.n_classes:
            seen = "|".join(classes.tags(found.classes))
            tags[video_id] = {"video_id": video_id, "tags": seen, "origin": network.name}
    shards.close()
    FEATURES.write(folder / "index.parquet", index)
    FEATURE_STATUS.write(folder / "status.parquet", status)
    return tags


def _index_rows(
    video_id: str, segment_ids: Sequence[int], places: Iterator[dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {"video_id": video_id, "segment_id": segment_id, **place}
        for segment_id, place in zip(segment_ids, places, strict=True)
    ]


def _status(video_id: str, extraction: Extraction, outcome: Outcome) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "status": "ok" if outcome.ok else "quarantined",
        "reason": outcome.reason,
        "backend": extraction.backend if outcome.ok else "",
        "mode": extraction.mode if outcome.ok else "",
        "cosine": extraction.cosine if outcome.ok else None,
    }


def _features(
    extraction: Extraction, outcome: Outcome, spans: np.ndarray, context: Context
) -> Features:
    if outcome.ok:
        return extraction.read(context.store.read(outcome.key), spans)
    return Features.none(extraction.network, len(spans))


def _places(shard: str, first: int, n_clips: np.ndarray) -> Iterator[dict[str, Any]]:
    """For each segment where its clips are in the shard."""
    # A segment starts after the clips of all segments before it.
    for row, count in zip(first + np.cumsum(n_clips) - n_clips, n_clips, strict=True):
        if count:
            yield {"shard": shard, "row": int(row), "n_clips": int(count)}
        else:
            yield {"shard": "", "row": 0, "n_clips": 0}
