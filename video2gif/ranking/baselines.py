"""Rankings without training: what a trained ranker has to beat.

Each gives one score a segment from frames [start, end) of `spans` (n, 2), higher is better.
"""

import hashlib

import numpy as np

from video2gif.fingerprint.cues import NAMES

_SEEN = {
    "changed": "change",
    "relit": "relit",
    "moved": "motion",
    "brightness": "brightness",
    "sharpness": "sharpness",
    "plain": "plain",
}
CUES = ("motion", "colour", *_SEEN)
"""What a fingerprint says of a segment.

motion: how much hue, saturation and value change (`Fingerprint.content`); colour: the first two.
changed, relit, moved: how much luma changes; what is left of it without the change of light; and
without the camera's own move. Those and brightness, sharpness, plain: `fingerprint.cues.NAMES`.
"""


def random(video_id: str, n_segments: int, *, seed: int) -> np.ndarray:
    """Uniform scores in [0, 1), (n_segments,), seeded by the video's id: the same in any run."""
    # Not `hash()`, which differs from one process to the next.
    digest = hashlib.sha256(f"{seed}:{video_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8])).random(n_segments)


def motion(content: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """How much the picture changes from frame to frame, (n_segments,).

    The mean over a segment's frames of the mean of `content` (n_frames, 3), the absolute
    differences of hue, saturation and value that shot detection measured. A segment's first
    frame is left out: where a shot begins, its difference measures the cut, not the motion.
    A segment of one frame does not move: 0.
    """
    return segment_change(content, spans).mean(axis=1)


def segment_change(content: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """The mean over each segment's frames but its first of `content` (n_frames, 3): (n, 3)."""
    change = np.asarray(content, np.float64)
    return np.array([_mean(change[start + 1 : end]) for start, end in spans]).reshape(-1, 3)


def segment_cues(content: np.ndarray, cues: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """`CUES` of each segment, float64 (n_segments, 8): means over its frames but the first.

    `content` (n_frames, 3) and `cues` (n_frames, 9) as a fingerprint has them.
    """
    change = segment_change(content, spans)
    seen = np.asarray(cues, np.float64)[:, [NAMES.index(name) for name in _SEEN.values()]]
    means = [_mean(seen[start + 1 : end]) for start, end in spans]
    both = [change.mean(axis=1), change[:, :2].mean(axis=1)]
    return np.column_stack([*both, np.array(means).reshape(-1, len(_SEEN))])


def motion_colour(
    content: np.ndarray, spans: np.ndarray, colourfulness: np.ndarray | None = None
) -> np.ndarray:
    """Motion and colour, each as its rank in the video, averaged: (n_segments,) in [0, 1].

    What `video2gif gif` ranks by when there is no model. Ranks, because the two have no common
    unit. `colourfulness` (n_segments,), any scale; without it, the change of hue and saturation
    alone stands for colour.
    """
    change = segment_change(content, spans)
    if colourfulness is None:
        colourfulness = change[:, :2].mean(axis=1)
    return (rank_in_video(change.mean(axis=1)) + rank_in_video(colourfulness)) / 2


def _mean(rows: np.ndarray) -> np.ndarray:
    return rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])


def rank_in_video(values: np.ndarray) -> np.ndarray:
    """Share of the other values that are smaller, ties by half, in [0, 1]."""
    smaller = (values[:, None] > values).sum(axis=1) + 0.5 * (values[:, None] == values).sum(axis=1)
    # Each value equals itself: that half is taken off.
    return (smaller - 0.5) / max(len(values) - 1, 1)
