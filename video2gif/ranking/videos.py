"""What the ranker sees of a video: training, evaluation and a single film all start from this."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from video2gif.core.types import Span
from video2gif.ranking.baselines import CUES


@dataclass(frozen=True, kw_only=True)
class Video:
    """One video with its n segments, in order; they tile its frames."""

    video_id: str
    split: str
    """train, validation or test; "" when the label stage gave none."""
    category: str
    """"" if unknown."""
    tags: tuple[str, ...]
    tags_are_seen: bool = False
    """Whether they are classes that a network sees in it, for want of any in the manifest."""
    title: str = ""
    segment_ids: np.ndarray
    """(n,) int64, as in the tables."""
    spans: np.ndarray
    """(n, 2) int64, frames [start, end) of each segment."""
    spans_s: np.ndarray
    """(n, 2) float64, the same in seconds."""
    n_clips: np.ndarray
    """(n,) int64; 0 for a segment without features."""
    clips: np.ndarray
    """(sum of n_clips, width) float16: features of the segments' clips, one after the other."""
    cues: np.ndarray
    """(n, 8) float64: `baselines.CUES`, what the fingerprint says of each segment."""
    gifs: tuple[Span, ...] = ()
    """Frames [start, end) of the GIFs whose place in it is known (SPANS, placed)."""
    pairs: np.ndarray
    """(P, 2) int64: rows of a positive and a negative segment."""
    popularity: np.ndarray
    """(P,) float64 in [0, 1], of the pair's GIF."""

    @property
    def n_frames(self) -> int:
        return int(self.spans[-1, 1])

    @property
    def duration_s(self) -> float:
        return float(self.spans_s[-1, 1])

    @property
    def motion(self) -> np.ndarray:
        """(n,) float64: the baseline of that name."""
        return self.cues[:, CUES.index("motion")]

    @property
    def colour(self) -> np.ndarray:
        """(n,) float64: how much hue and saturation change."""
        return self.cues[:, CUES.index("colour")]

    @property
    def features(self) -> list[np.ndarray]:
        """The clips of each segment, (n_clips, width) each."""
        return np.split(self.clips, np.cumsum(self.n_clips)[:-1])


def side_by_side(networks: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """What a segment shows of one network: its rows. Of several: one row, their means in a line.

    Networks look at other moments of a segment, so their rows have no partners. A segment that one
    of them has nothing of shows nothing. `networks`: for each the rows of every segment.
    """
    if len(networks) == 1:
        return list(networks[0])
    width = sum(rows[0].shape[1] for rows in networks if rows)
    found = []
    for parts in zip(*networks, strict=True):
        is_whole = all(len(part) for part in parts)
        # Summed in float32: float16 has three digits.
        means = [part.mean(axis=0, dtype=np.float32) for part in parts] if is_whole else []
        row = np.concatenate(means).astype(np.float16)[None] if is_whole else None
        found.append(np.zeros((0, width), np.float16) if row is None else row)
    return found
