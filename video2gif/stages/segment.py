"""Cut videos into segments. Reads data/fingerprints/; writes data/segments.parquet.

No decode and no item store: from stored differences a video takes milliseconds, so a new
threshold re-cuts a corpus in seconds. Videos pass one by one; only their segments stay in memory.
"""

from collections.abc import Iterator
from typing import Any

from video2gif.config import Params
from video2gif.fingerprint import Fingerprint, Fingerprints
from video2gif.items import Context, Counts
from video2gif.layout import SEGMENTS, Layout
from video2gif.shots.segments import segment_video


def rows_of(
    video_id: str, fingerprint: Fingerprint, spans: list[tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    """SEGMENTS rows: a span ends in time where the next frame begins."""
    for number, (start, end) in enumerate(spans):
        is_last = end == len(fingerprint.pts_s)
        yield {
            "video_id": video_id,
            "segment_id": number,
            "start_frame": start,
            "end_frame": end,
            "start_s": float(fingerprint.pts_s[start]),
            "end_s": float(fingerprint.end_s if is_last else fingerprint.pts_s[end]),
        }


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Segment every fingerprinted video."""
    fingerprints = Fingerprints.open(layout)
    index = fingerprints.index
    video_ids = sorted(index.loc[(index.kind == "video") & (index.status == "ok"), "id"])
    rows: list[dict[str, Any]] = []
    for done, video_id in enumerate(video_ids, start=1):
        fingerprint = fingerprints.get("video", video_id)
        spans = segment_video(fingerprint, params.segment)
        rows.extend(rows_of(video_id, fingerprint, spans))
        context.progress("segment", done, len(video_ids))
    SEGMENTS.write(layout.segments, rows)
    return Counts(computed=len(video_ids))
