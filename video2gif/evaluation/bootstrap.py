"""Bootstrap intervals over videos: how far a mean could move with other videos of the same kind.

Videos are the unit, not GIFs or frames: two GIFs of one video are not independent.
"""

from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]
"""Lower and upper end; (nan, nan) when there is nothing to resample."""


def mean_interval(
    values: Sequence[float], *, samples: int, seed: int, level: float = 0.95
) -> Interval:
    """Percentile interval of the mean of `values` (one a video), resampled with replacement."""
    array = np.asarray(values, np.float64)
    if not len(array):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = array[rng.integers(len(array), size=(samples, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_interval(
    a: Sequence[float], b: Sequence[float], *, samples: int, seed: int, level: float = 0.95
) -> Interval:
    """Interval of mean(a − b), the same videos in both: narrower than two separate intervals."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return mean_interval(difference.tolist(), samples=samples, seed=seed, level=level)
