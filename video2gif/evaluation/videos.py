"""From the scores of segments to the metrics of videos.

The metrics count frames (docs/paper.md, Metrics); every frame takes the score of its segment.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from video2gif.core.types import Span
from video2gif.evaluation.metrics import average_precision, recall_at_k, span_mask, video_nmsd


@dataclass(frozen=True)
class VideoMetrics:
    """How well one ranking of a video's segments finds its GIFs."""

    nmsd: float
    """The mean over the video's GIFs."""
    nmsd_best: float
    """The smallest over its GIFs (the reference's 'best' mode)."""
    average_precision: float
    recall_at_5: float


def frame_scores(*, spans: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The score of each frame, (n_frames,), from those of the segments (n,) that tile the video.

    A segment without a score (NaN, because it is shorter than one clip) takes the lowest score of
    the video: it ranks last, tied with the worst. Raises `ValueError` if no segment has a score.
    """
    if np.isnan(scores).all():
        raise ValueError("no segment of the video has a score")
    filled = np.where(np.isnan(scores), np.nanmin(scores), scores)
    return np.repeat(filled, spans[:, 1] - spans[:, 0])


def usable_gifs(gifs: Sequence[Span], n_frames: int) -> list[Span]:
    """The GIFs cut to the video's frames, without those that hold none or all of the frames.

    nMSD says nothing about either (the authors' package raises an error for them).
    """
    inside = [(max(start, 0), min(end, n_frames)) for start, end in gifs]
    return [(start, end) for start, end in inside if 0 < end - start < n_frames]


def video_metrics(*, gifs: Sequence[Span], spans: np.ndarray, scores: np.ndarray) -> VideoMetrics:
    """All metrics of one video. `gifs` as `usable_gifs` gives them, `scores` (n,), NaN: none."""
    frames = frame_scores(spans=spans, scores=scores)
    # Average precision asks for the frames of any GIF, nMSD for those of each.
    truth = np.any([span_mask(gif, len(frames)) for gif in gifs], axis=0)
    return VideoMetrics(
        nmsd=video_nmsd(gifs=gifs, score=frames),
        nmsd_best=video_nmsd(gifs=gifs, score=frames, mode="best"),
        average_precision=average_precision(truth=truth, score=frames),
        recall_at_5=recall_at_k(gifs=gifs, spans=spans, scores=scores, k=5),
    )


def mean_metrics(metrics: Sequence[VideoMetrics]) -> VideoMetrics:
    """The mean over several rankings of one video, or over videos."""
    return VideoMetrics(*np.mean([astuple(one) for one in metrics], axis=0).tolist())
