"""Re-rank by a handful of marks: a Gaussian process whose prior is the ranking itself.

A mark says that a segment should stand `_STRENGTH` standard deviations or more above (good) or
below (bad) the video's middle. The difference from the ranking spreads to segments that look alike,
by an RBF kernel on their features; where nothing is alike the ranking stays. Closed form:
Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), equations 2.25 and 2.38.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STRENGTH = 1.5
_NOISE = 0.3  # variance of a mark, in the prior's: people are not always of one mind


@dataclass(frozen=True)
class Marked:
    """What was marked in one video."""

    features: np.ndarray
    """float64 (m, d), standardised within the video."""
    prior: np.ndarray
    """float64 (m,), the ranking's standardised scores."""
    good: np.ndarray
    """bool (m,)."""


@dataclass(frozen=True)
class Taste:
    """Marks of any number of videos."""

    features: np.ndarray
    wanted: np.ndarray
    """float64 (m,): what the marks ask for beyond the prior."""

    @classmethod
    def of(cls, marked: Sequence[Marked]) -> "Taste":
        """From the marks of each video; features must be of one kind."""
        features = np.concatenate([one.features for one in marked])
        prior = np.concatenate([one.prior for one in marked])
        good = np.concatenate([one.good for one in marked])
        # A good one that stands higher already is not to be lowered, nor a bad one raised.
        wanted = np.where(good, np.maximum(prior, _STRENGTH), np.minimum(prior, -_STRENGTH))
        return cls(features, wanted - prior)

    def rerank(self, features: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Scores (n,) of segments with these features; NaN where the prior is NaN."""
        if not len(self.wanted):
            return prior
        kernel = _alike(self.features, self.features) + _NOISE * np.eye(len(self.wanted))
        return prior + _alike(features, self.features) @ np.linalg.solve(kernel, self.wanted)


def standardised(values: np.ndarray) -> np.ndarray:
    """Columns (or one vector) with mean 0 and deviation 1 over a video; constant ones are 0.

    NaN is passed over and stays.
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    if not known.any():
        return values
    deviation = np.nanstd(values, axis=0)
    return (values - np.nanmean(values, axis=0)) / np.where(deviation > 1e-9, deviation, 1.0)


def look(content: np.ndarray, thumbs: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """What a fingerprint tells of segments (n, 2) of frames: float64 (n, d), standardised.

    `content` (frames, 3) frame differences, `thumbs` uint8 (frames, s, s): motion in hue,
    saturation and brightness and how it varies, the mean picture at 4×4, contrast and length.
    """
    rows = [_look_of(content[a:b], thumbs[a:b]) for a, b in np.asarray(spans).tolist()]
    return standardised(np.array(rows))


def _look_of(content: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    change = np.log1p(content[1:] if len(content) > 1 else np.zeros((1, 3)))
    mean = thumbs.astype(np.float64).mean(axis=0)
    side = mean.shape[0] // 4
    coarse = mean.reshape(4, side, 4, side).mean(axis=(1, 3))
    # Eight numbers of motion and eighteen of looks: scaled so that neither drowns the other.
    motion = [*change.mean(axis=0), *change.std(axis=0), change.max(), np.log(len(content))]
    picture = [*(coarse - coarse.mean()).ravel() / 2, coarse.mean(), thumbs.std(axis=(1, 2)).mean()]
    return np.array([*motion, *picture])


def _alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """RBF kernel (n, m) in [0, 1]; its squared length scale is half the number of features.

    Standardised features of unlike segments are about 2 d apart (squared): their kernel is e⁻².
    """
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.exp(-np.maximum(squared, 0) / a.shape[1])
