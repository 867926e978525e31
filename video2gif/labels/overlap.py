"""Label segments as positive or negative, and pair them.

After the paper (docs/paper.md, Segments and pairs): a segment is positive if it overlaps a GIF by
at least 66 %, negative if it overlaps none, and not used otherwise. Pairs stay inside one video.
Our sources do not say whether the 66 % is a share of the segment or of the GIF, so both are offered
(`OverlapOf`). Overlaps are counted in frames, so that rounded seconds decide nothing.
"""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

OverlapOf = Literal["segment", "gif"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# For unknown views: neither trusted nor mistrusted.
_NEUTRAL_POPULARITY = 0.5
_YEAR_DAYS = 365.0


@dataclass(frozen=True)
class Placed:
    """A GIF's frames [start_frame, end_frame) in its video."""

    gif_id: str
    start_frame: int
    end_frame: int
    certain: bool = True
    """False for one of several places between which the matcher could not decide. Segments that it
    touches become neither positive nor negative."""


@dataclass(frozen=True)
class SegmentLabels:
    """The labels of one video's n segments."""

    label: np.ndarray
    """(n,) of "positive", "negative", "ignored"."""
    overlap: np.ndarray
    """(n,) f64: the largest share over the video's certain GIFs."""
    gif_id: np.ndarray
    """(n,) the GIF with that share (the first by id on a tie), "" where the share is 0."""
    positive_of: dict[str, np.ndarray]
    """For each GIF its positive segments, by number. A segment may be positive for several GIFs."""

    @property
    def negative(self) -> np.ndarray:
        """Segment numbers that no GIF touches."""
        return np.flatnonzero(self.label == "negative")


def shared_frames(segments: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Frames common to each of n segments and m spans, both (·, 2) half-open: int (n, m)."""
    start = np.maximum(segments[:, None, 0], spans[None, :, 0])
    end = np.minimum(segments[:, None, 1], spans[None, :, 1])
    return np.maximum(end - start, 0)


def overlap_share(segments: np.ndarray, spans: np.ndarray, *, of: OverlapOf) -> np.ndarray:
    """Shared frames as a share of each segment, or of each GIF: f64 (n, m) in [0, 1].

    A quotient of small integers is the double nearest to the true share, as the literal 0.66 is to
    66/100. So `share >= 0.66` holds for exactly 66 of 100 frames; `66 >= 0.66 * 100` might not.
    """
    whole = segments[:, None] if of == "segment" else spans[None, :]
    return shared_frames(segments, spans) / (whole[..., 1] - whole[..., 0])


def label_segments(
    segments: np.ndarray,
    gifs: Sequence[Placed],
    *,
    positive_overlap: float,
    overlap_of: OverlapOf,
) -> SegmentLabels:
    """Label the segments (n, 2) of one video by all of its GIFs.

    Without a certain GIF all segments are ignored, because nobody knows what people would choose.
    """
    # By id, so that of GIFs with equal shares the first id stands in the table.
    certain = sorted((gif for gif in gifs if gif.certain), key=lambda gif: gif.gif_id)
    share = overlap_share(segments, _spans(certain), of=overlap_of)
    # Uncertain GIFs count here: a segment that one might show is not safely a negative.
    touched = shared_frames(segments, _spans(gifs)).any(axis=1)
    positive = share >= positive_overlap
    label = np.full(len(segments), "ignored", dtype=object)
    if certain:
        label[~touched] = "negative"
        label[positive.any(axis=1)] = "positive"
    largest = share.max(axis=1, initial=0.0)
    names = np.array([*(gif.gif_id for gif in certain), ""], dtype=object)
    # Index len(certain) stands for "no GIF": the last name, "".
    first = np.where(largest > 0, share.argmax(axis=1) if certain else 0, len(certain))
    return SegmentLabels(
        label=label,
        overlap=largest,
        gif_id=names[first],
        positive_of={
            gif.gif_id: np.flatnonzero(positive[:, column]) for column, gif in enumerate(certain)
        },
    )


def _spans(gifs: Sequence[Placed]) -> np.ndarray:
    spans = [(gif.start_frame, gif.end_frame) for gif in gifs]
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def sample_pairs(
    labels: SegmentLabels, *, video_id: str, max_pairs: int, seed: int
) -> list[tuple[str, int, int]]:
    """(gif_id, positive, negative) of one video: all of them, or a random `max_pairs` of them.

    The draw depends on the seed and the video's id only, so adding other videos changes nothing.
    """
    chosen = [
        (gif_id, int(segment))
        for gif_id, segments in sorted(labels.positive_of.items())
        for segment in segments
    ]
    negative = labels.negative.tolist()
    n_pairs = len(chosen) * len(negative)
    # Pairs are numbered, positive by positive, so that only the numbers have to be drawn.
    drawn = np.arange(n_pairs)
    if n_pairs > max_pairs:
        source = np.random.default_rng(_hash64(f"pairs:{seed}:{video_id}"))
        # `choice` draws in any order; rows stand in theirs.
        drawn = np.sort(source.choice(n_pairs, size=max_pairs, replace=False))
    return [(*chosen[n // len(negative)], negative[n % len(negative)]) for n in drawn.tolist()]


def popularity(views: float, age_days: float, *, saturation_views: float) -> float:
    """How far to trust a GIF, in [0, 1]: log(1 + views) / log(1 + `saturation_views`), at most 1.

    Views of a GIF older than a year are divided by its age in years, because an old GIF had longer
    to collect them; a younger one is not extrapolated. Unknown views give 0.5. How the paper
    normalises views is not known (docs/paper.md, Loss); this way is ours.
    """
    if not math.isfinite(views) or views < 0:
        return _NEUTRAL_POPULARITY
    if math.isfinite(age_days) and age_days > _YEAR_DAYS:
        views *= _YEAR_DAYS / age_days
    return min(1.0, math.log1p(views) / math.log1p(saturation_views))


def split_of(
    video_id: str, *, seed: int, validation_fraction: float, test_fraction: float
) -> Split:
    """The split of a video, by a hash of its id: adding videos moves no other video.

    The fractions hold on average only; a corpus of ten videos may well have an empty split.
    """
    position = _hash64(f"{seed}:{video_id}") / 2**64
    if position < test_fraction:
        return "test"
    if position < test_fraction + validation_fraction:
        return "validation"
    return "train"


def group_split(fixed: Collection[str], first: Split) -> Split:
    """The one split of all videos that show the same pictures.

    `fixed`: splits that a data set states for any of them. Of several, test beats validation and
    validation beats train, so that nothing held out is ever trained on. If none is stated, all take
    `first`, the split of the video that stands first in the manifest: a copy that is added later
    moves no video that was there before.
    """
    return next((split for split in reversed(SPLITS) if split in fixed), first)


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
