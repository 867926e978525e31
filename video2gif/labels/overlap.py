"""Which segments people chose for a GIF, which they did not, and what to compare with what.

The paper (section 3): a segment is positive when a GIF covers at least 66 % of it, negative when
no GIF touches it, and left out in between; pairs stay within one video. What the 66 % is a share
of is not stated there: both readings are offered (`OverlapOf`). All overlaps are counted in
frames, so that nothing hangs on the rounding of seconds.
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

_NEUTRAL_POPULARITY = 0.5
_YEAR_DAYS = 365.0


@dataclass(frozen=True)
class Placed:
    """A GIF's frames [start_frame, end_frame) in its video."""

    gif_id: str
    start_frame: int
    end_frame: int
    certain: bool = True
    """False for a candidate that the matcher could not tell from others: its frames are neither
    called chosen nor called left out."""


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
    """By GIF, the segment numbers that are positive for it; several GIFs may share one."""

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

    A quotient of small integers is the double nearest to the true share, as 0.66 is to 66/100:
    `share >= 0.66` therefore holds for exactly 66 of 100 frames. (66 >= 0.66 * 100 might not.)
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

    Without any certain GIF nothing is known about what people would have chosen: all ignored.
    """
    certain = sorted((gif for gif in gifs if gif.certain), key=lambda gif: gif.gif_id)
    share = overlap_share(segments, _spans(certain), of=overlap_of)
    touched = shared_frames(segments, _spans(gifs)).any(axis=1)
    positive = share >= positive_overlap
    label = np.full(len(segments), "ignored", dtype=object)
    if certain:
        label[~touched] = "negative"
        label[positive.any(axis=1)] = "positive"
    largest = share.max(axis=1, initial=0.0)
    names = np.array([*(gif.gif_id for gif in certain), ""], dtype=object)
    # Index len(certain) is the name "".
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
    """(gif_id, positive, negative) of one video: all of them, or `max_pairs` drawn evenly.

    The draw depends on the video's id alone, so other videos of the corpus change nothing.
    """
    chosen = [
        (gif_id, int(segment))
        for gif_id, segments in sorted(labels.positive_of.items())
        for segment in segments
    ]
    negative = labels.negative.tolist()
    n_pairs = len(chosen) * len(negative)
    drawn = np.arange(n_pairs)
    if n_pairs > max_pairs:
        source = np.random.default_rng(_hash64(f"pairs:{seed}:{video_id}"))
        drawn = np.sort(source.choice(n_pairs, size=max_pairs, replace=False))
    return [(*chosen[n // len(negative)], negative[n % len(negative)]) for n in drawn.tolist()]


def popularity(views: float, age_days: float, *, saturation_views: float) -> float:
    """How far to trust a GIF, in [0, 1]: log(1 + views), 1 from `saturation_views` on.

    Views of a GIF older than a year count per year, since old ones had longer to gather them; a
    younger one is not extrapolated. Unknown views give 0.5: neither trusted nor distrusted.
    The paper normalises views in a way our sources do not state; this one is ours.
    """
    if not math.isfinite(views) or views < 0:
        return _NEUTRAL_POPULARITY
    if math.isfinite(age_days) and age_days > _YEAR_DAYS:
        views *= _YEAR_DAYS / age_days
    return min(1.0, math.log1p(views) / math.log1p(saturation_views))


def split_of(
    video_id: str, *, seed: int, validation_fraction: float, test_fraction: float
) -> Split:
    """The split of a video, a pure hash of its id: adding videos moves none.

    Shares are kept only on average: a corpus of ten may well have an empty split.
    """
    position = _hash64(f"{seed}:{video_id}") / 2**64
    if position < test_fraction:
        return "test"
    if position < test_fraction + validation_fraction:
        return "validation"
    return "train"


def group_split(fixed: Collection[str], first: Split) -> Split:
    """The one split of videos that show the same pictures.

    `fixed`: what the data sets say of any of them; the word furthest from training wins, so that
    nothing held out is ever trained on. Else they follow the video that stood first in the
    manifest: a copy that is added later moves none that was there.
    """
    return next((split for split in reversed(SPLITS) if split in fixed), first)


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
