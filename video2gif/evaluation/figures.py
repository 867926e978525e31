"""Sum up the metrics of many videos: means, intervals, groups, calibration. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from video2gif.core.types import Span
from video2gif.evaluation.bootstrap import mean_interval, paired_interval
from video2gif.evaluation.videos import VideoMetrics

METRICS = {
    "nmsd": "nmsd",
    "nmsd_best": "nmsd_best",
    "map": "average_precision",
    "recall_at_5": "recall_at_5",
}
"""Names in eval.json and the fields of `VideoMetrics` they are means of."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One video: the scores of its segments, its true GIFs and the metrics of that ranking."""

    video_id: str
    category: str
    duration_s: float
    gifs: tuple[Span, ...]
    spans: np.ndarray
    """(n, 2) frames of the segments; they tile the video."""
    scores: np.ndarray
    """(n,), NaN: unscored."""
    metrics: VideoMetrics


def figures(metrics: Sequence[VideoMetrics], *, samples: int, seed: int) -> dict[str, Any]:
    """Means over videos with bootstrap 95 % intervals; nulls without videos."""
    found: dict[str, Any] = {}
    for name, field in METRICS.items():
        values = [getattr(one, field) for one in metrics]
        found[name] = float(np.mean(values)) if values else None
        # The same seed everywhere: all rankers are resampled with the same videos.
        interval = mean_interval(values, samples=samples, seed=seed)
        found[f"{name}_ci"] = list(interval) if values else None
    return found


def difference(
    ours: Sequence[VideoMetrics], theirs: Sequence[VideoMetrics], *, samples: int, seed: int
) -> dict[str, Any]:
    """Our mean minus theirs over the same videos, for each metric, with a paired interval."""
    found: dict[str, Any] = {}
    for name, field in METRICS.items():
        a, b = ([getattr(one, field) for one in side] for side in (ours, theirs))
        found[name] = float(np.mean(a) - np.mean(b)) if a else None
        interval = paired_interval(a, b, samples=samples, seed=seed)
        found[f"{name}_ci"] = list(interval) if a else None
    return found


def by_category(videos: Sequence[Scored], *, samples: int, seed: int) -> dict[str, Any]:
    """The figures of each category."""
    names = sorted({one.category for one in videos})
    groups = {name: [one for one in videos if one.category == name] for name in names}
    return {name: _group(group, samples=samples, seed=seed) for name, group in groups.items()}


def by_length(videos: Sequence[Scored], *, samples: int, seed: int) -> list[dict[str, Any]]:
    """The figures of each tenth of the videos, shortest first (fewer groups for under ten)."""
    # Of equal length by id: else the groups would depend on the order of the table.
    ordered = sorted(videos, key=lambda one: (one.duration_s, one.video_id))
    # Without videos there is no part, but numpy wants one.
    parts = np.array_split(np.arange(len(ordered)), min(10, len(ordered)) or 1)
    groups = [[ordered[place] for place in part] for part in parts if len(part)]
    return [
        {
            "from_s": group[0].duration_s,
            "to_s": group[-1].duration_s,
            **_group(group, samples=samples, seed=seed),
        }
        for group in groups
    ]


def _group(group: Sequence[Scored], *, samples: int, seed: int) -> dict[str, Any]:
    return {
        **figures([one.metrics for one in group], samples=samples, seed=seed),
        "n_videos": len(group),
        "n_gifs": sum(len(one.gifs) for one in group),
    }


def coverage(videos: Sequence[Scored]) -> dict[str, Any]:
    """How much of the videos has no score of its own, or shares one with other segments.

    Unscored segments rank last, tied with the video's worst (`frame_scores`), so a GIF in them can
    hardly be found. Tied segments all count as watched in nMSD.
    """
    unscored = [np.isnan(one.scores) for one in videos]
    lengths = [one.spans[:, 1] - one.spans[:, 0] for one in videos]
    n_frames = sum(int(part.sum()) for part in lengths)
    lost = sum(int(part[gone].sum()) for part, gone in zip(lengths, unscored, strict=True))
    return {
        "n_segments": sum(len(gone) for gone in unscored),
        "n_unscored_segments": sum(int(gone.sum()) for gone in unscored),
        "unscored_frames_share": lost / n_frames if n_frames else None,
        "n_gifs_mostly_unscored": sum(_gifs_lost(one) for one in videos),
        "n_tied_segments": sum(_tied(one.scores) for one in videos),
    }


def _gifs_lost(one: Scored) -> int:
    """GIFs of which more than half of the frames have no score."""
    gone = one.spans[np.isnan(one.scores)]
    shared = [
        np.minimum(gone[:, 1], end) - np.maximum(gone[:, 0], start) for start, end in one.gifs
    ]
    return sum(
        # Whole numbers, so that exactly half is never more than half.
        2 * int(part.clip(0).sum()) > end - start
        for part, (start, end) in zip(shared, one.gifs, strict=True)
    )


def _tied(scores: np.ndarray) -> int:
    """Segments whose score another segment of the video has as well."""
    _, counts = np.unique(scores[~np.isnan(scores)], return_counts=True)
    return int(counts[counts > 1].sum())


def calibration(videos: Sequence[Scored], n_bins: int = 10) -> list[dict[str, Any]]:
    """How much of each tenth of the ranking lies in GIFs, the best tenth first.

    A score only orders the segments of its own video. It is no probability, so the rank is
    calibrated instead: `gif_share`, the share of the bin's frames inside a GIF, should fall from
    bin to bin.
    """
    inside, total = np.zeros(n_bins), np.zeros(n_bins)
    for one in videos:
        scored = ~np.isnan(one.scores)
        scores, spans = one.scores[scored], one.spans[scored]
        # Strictly better ones: segments of equal scores share a bin.
        above = (scores[None, :] > scores[:, None]).mean(axis=1)
        place = np.minimum((above * n_bins).astype(int), n_bins - 1)
        # Not `+=`: several segments may fall into one bin, and it would add one of them only.
        np.add.at(total, place, spans[:, 1] - spans[:, 0])
        np.add.at(inside, place, frames_inside(spans, one.gifs))
    return [
        {"best_share": (bin_ + 1) / n_bins, "n_frames": int(n), "gif_share": float(hit / n)}
        for bin_, (hit, n) in enumerate(zip(inside, total, strict=True))
        if n
    ]


def frames_inside(spans: np.ndarray, gifs: Sequence[Span]) -> np.ndarray:
    """How many frames of each span (n, 2) lie inside any GIF, (n,)."""
    # One running sum over the frames: a frame in two GIFs counts once, and each span is a
    # difference.
    mask = np.zeros(int(spans.max(initial=0)) + 1)
    for start, end in gifs:
        mask[max(start, 0) : max(end, 0)] = 1
    total = np.concatenate([[0], np.cumsum(mask)])
    return total[spans[:, 1]] - total[spans[:, 0]]


def full(videos: Sequence[Scored], *, samples: int, seed: int) -> Mapping[str, Any]:
    """Everything that metrics/eval.json says about one ranker."""
    return {
        **figures([one.metrics for one in videos], samples=samples, seed=seed),
        "n_videos": len(videos),
        "n_gifs": sum(len(one.gifs) for one in videos),
        **coverage(videos),
        "per_category": by_category(videos, samples=samples, seed=seed),
        "per_length": by_length(videos, samples=samples, seed=seed),
        "calibration": calibration(videos),
    }
