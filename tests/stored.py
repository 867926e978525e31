"""A project's fingerprints as the fingerprint stage leaves them, without any media."""

from collections.abc import Mapping

import numpy as np

from video2gif.core.layout import Layout
from video2gif.core.shards import ShardWriter
from video2gif.core.tables import FINGERPRINTS
from video2gif.fingerprint.cues import NAMES


def store_fingerprints(
    layout: Layout, videos: Mapping[str, tuple[np.ndarray, np.ndarray, float]]
) -> None:
    """`videos`: by id, content (n, 3), pts_s (n,) and end_s; the hashes are noise of their own."""
    shards = ShardWriter(layout.fingerprints)
    rows = []
    for video_id, (content, pts_s, end_s) in sorted(videos.items()):
        n_frames = len(pts_s)
        noise = np.random.default_rng(int.from_bytes(video_id.encode()))
        columns = {
            "pts_s": pts_s,
            "content": content,
            "phash": noise.integers(0, 2**64, n_frames, np.uint64),
            "windows": np.zeros((n_frames, 1), np.uint64),
            "quality": np.ones(n_frames, np.float32),
            "thumbs": np.zeros((n_frames, 16, 16), np.uint8),
            "cues": np.zeros((n_frames, len(NAMES)), np.float32),
        }
        shard, row = shards.add(video_id, columns)
        rows.append(
            {
                "kind": "video",
                "id": video_id,
                "status": "ok",
                "reason": "",
                "shard": shard,
                "row": row,
                "n_frames": n_frames,
                "duration_s": end_s,
                "width": 64,
                "height": 36,
                "bad_packets": 0,
                "digest": "",
            }
        )
    shards.close()
    FINGERPRINTS.write(layout.fingerprints / "index.parquet", rows)
