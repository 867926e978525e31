"""nMSD, average precision and recall of the top segments, by numpy alone.

Source of the first two: the authors' evaluation package (docs/paper.md, Metrics). All work on one
video; means over videos are the caller's. Scores are one number a frame, higher is better.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from video2gif.core.types import Span


def span_mask(span: Span, n_frames: int) -> np.ndarray:
    """A bool mask (n_frames,) that is true inside [start, end)."""
    mask = np.zeros(n_frames, bool)
    mask[slice(*span)] = True
    return mask


def nmsd(*, gif_mask: np.ndarray, score: np.ndarray) -> float:
    """Normalised meaningful summary duration of one GIF: 0 is perfect, a constant score gives 1.

    How much of the video one must watch, best frames first, to have seen half of the GIF:
    D frames score at least τ, the median of the scores inside the GIF (numpy's linear
    interpolation), and nMSD = (D − g/2) / (N − g/2) with g frames in the GIF and N in the video.

    `gif_mask` (N,) bool, `score` (N,) finite. Raises `ValueError` for a GIF of none or all of
    the frames, where the measure says nothing.

    Only the order of the scores counts when g is odd. When g is even, τ may lie between two
    scores, and a transform that bends the scale there can move it past a frame outside.
    """
    inside = _checked(gif_mask, score)
    n_gif, n_frames = int(inside.sum()), len(inside)
    if n_gif in (0, n_frames):
        raise ValueError(f"nMSD is not defined for a GIF of {n_gif} of {n_frames} frames")
    values = np.asarray(score, np.float64)
    threshold = np.percentile(values[inside], 50)
    # Ties count as watched, as in the reference: >= threshold.
    n_watched = int((values >= threshold).sum())
    return (n_watched - 0.5 * n_gif) / (n_frames - 0.5 * n_gif)


def video_nmsd(
    *, gifs: Sequence[Span], score: np.ndarray, mode: Literal["mean", "best"] = "mean"
) -> float:
    """nMSD of a video: the mean over its GIFs, or ('best') the smallest. `score` (N,)."""
    values = [nmsd(gif_mask=span_mask(gif, len(score)), score=score) for gif in gifs]
    if not values:
        raise ValueError("a video without GIFs has no nMSD")
    return float(np.mean(values)) if mode == "mean" else min(values)


def average_precision(*, truth: np.ndarray, score: np.ndarray) -> float:
    """Frame-level average precision, interpolated, as the reference computes it.

    The mean of the interpolated precision over the distinct scores at which recall changes (not
    weighted by how much it changes: frames that share a score count once).

    `truth` (N,) bool: frames of any GIF of the video; `score` (N,) finite. All frames true gives
    1; none raises `ValueError`.
    """
    truth = _checked(truth, score)
    if not truth.any():
        raise ValueError("average precision is not defined where no frame is true")
    if truth.all():
        return 1.0
    precision, recall = precision_recall_curve(truth=truth, score=score)
    # The reference compares recalls as float32: a change below its resolution is no change.
    changes = np.flatnonzero(np.diff(recall.astype(np.float32)))
    # The curve begins at recall 1: this is the highest precision at this recall or more.
    return float(np.maximum.accumulate(precision)[changes].mean())


def precision_recall_curve(
    *, truth: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall at every distinct score, lowest score first, then the end (1, 0).

    As `sklearn.metrics.precision_recall_curve`, whose order and end point this keeps.
    """
    # By falling score, one point where the score changes: how many frames, how many of them true.
    order = np.argsort(-np.asarray(score, np.float64), kind="stable")
    falling = np.asarray(score, np.float64)[order]
    ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    n_true = np.cumsum(truth[order])[ends]
    precision = n_true / (ends + 1)
    recall = n_true / n_true[-1]
    return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0)


def top_segments(scores: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k best scored segments, best first; NaN is never chosen, ties: earlier."""
    ranked = np.argsort(-np.asarray(scores, np.float64), kind="stable")  # NaN sorts last
    return ranked[~np.isnan(scores[ranked])][:k]


def recall_at_k(
    *, gifs: Sequence[Span], spans: np.ndarray, scores: np.ndarray, k: int = 5
) -> float:
    """Share of a video's GIFs found by its k best segments (R@5 with k = 5).

    This project's definition, close to R@5 of PHD-GIFs: a GIF is found when at least half of its
    frames lie in the k segments with the highest scores, taken together (a GIF that spans two
    shots is found by both). Segments without a score (NaN) are never among them; of equal scores
    the earlier segment goes first.

    `spans` (n, 2) frames [start, end) of the segments, `scores` (n,).
    """
    if not gifs:
        raise ValueError("a video without GIFs has no recall")
    chosen = spans[top_segments(scores, k)]
    found = 0
    for start, end in gifs:
        shared = np.minimum(chosen[:, 1], end) - np.maximum(chosen[:, 0], start)
        # Whole numbers: exactly half counts as found.
        found += 2 * int(shared.clip(0).sum()) >= end - start
    return found / len(gifs)


def _checked(mask: np.ndarray, score: np.ndarray) -> np.ndarray:
    if mask.shape != score.shape or mask.ndim != 1 or not len(mask):
        raise ValueError(f"truth {mask.shape} and score {score.shape} must be equal, (n_frames,)")
    if not np.isfinite(score).all():
        raise ValueError("scores must be finite; give unscored frames the video's minimum")
    return mask.astype(bool)
