"""Cut videos into segments. Reads data/fingerprints/; writes data/segments.parquet.

Nothing is decoded and nothing is stored as an item: from a fingerprint, a video takes milliseconds,
so a new threshold costs seconds for a whole corpus. Videos are read one after the other, and only
their segments stay in memory. The method transnetv2 is the exception: it also reads data/media/ and
data/downloads.parquet, and its network runs once for each video, as an item.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from video2gif.core.config import Params, SegmentParams
from video2gif.core.items import Context, Counts, compute
from video2gif.core.layout import Layout
from video2gif.core.tables import DOWNLOADS, SEGMENTS
from video2gif.core.work import Outcome
from video2gif.fingerprint.read import Fingerprint, Fingerprints
from video2gif.shots import transnet
from video2gif.shots.segments import segment_video


def rows_of(
    video_id: str, fingerprint: Fingerprint, spans: list[tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    """SEGMENTS rows of one video. A segment's end in seconds is where the next frame begins."""
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
    """Segment every video with a fingerprint. If its network run fails, it gets no segments."""
    fingerprints = Fingerprints.open(layout)
    index = fingerprints.index
    video_ids = sorted(index.loc[(index.kind == "video") & (index.status == "ok"), "id"])
    # Given features have no width, and no pictures for a network to look at.
    shown = sorted(index.loc[(index.kind == "video") & (index.width > 0), "id"])
    outcomes = _network_runs(shown, layout, params.segment, context)
    rows: list[dict[str, Any]] = []
    failed = 0
    for done, video_id in enumerate(video_ids, start=1):
        fingerprint = fingerprints.get("video", video_id)
        outcome = outcomes.get(video_id)
        if outcome is not None and not outcome.ok:
            failed += 1
            continue
        spans = _spans(fingerprint, params.segment, _transitions(outcome, context))
        rows.extend(rows_of(video_id, fingerprint, spans))
        context.progress("segment", done, len(video_ids))
    SEGMENTS.write(layout.segments, rows)
    return Counts(computed=len(video_ids) - failed, quarantined=failed)


def _spans(
    fingerprint: Fingerprint, params: SegmentParams, transitions: np.ndarray | None
) -> list[tuple[int, int]]:
    """Given clips are segments already: there is nothing to cut."""
    if not fingerprint.has_pictures:
        return [(place, place + 1) for place in range(len(fingerprint.pts_s))]
    return segment_video(fingerprint, params, transitions=transitions)


def _network_runs(
    video_ids: list[str], layout: Layout, params: SegmentParams, context: Context
) -> dict[str, Outcome]:
    """TransNetV2's items by video; none for the other methods."""
    if params.method != "transnetv2":
        return {}
    media = DOWNLOADS.read(layout.downloads).query("kind == 'video'").set_index("id")
    items = [
        transnet.item(
            f"video:{video_id}",
            sha256=media.sha256[video_id],
            path=layout.media_file(media.path[video_id]),
        )
        for video_id in video_ids
    ]
    outcomes = compute("segment", transnet.detection(), items, context)
    return dict(zip(video_ids, outcomes, strict=True))


def _transitions(outcome: Outcome | None, context: Context) -> np.ndarray | None:
    return transnet.read_transitions(context.store.read(outcome.key)) if outcome else None
