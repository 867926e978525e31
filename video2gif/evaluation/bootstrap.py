"""Bootstrap intervals over videos: how far a mean might move with other videos of the same kind.

Whole videos are drawn, not GIFs or frames, because two GIFs of one video are not independent
(Efron, Bootstrap methods, 1979; percentile intervals).
"""

from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]
"""Lower and upper end; (nan, nan) when there is nothing to resample."""


def mean_interval(
    values: Sequence[float], *, samples: int, seed: int, level: float = 0.95
) -> Interval:
    """Interval of the mean of `values`, one value a video.

    `samples` times as many videos are drawn with replacement; the interval holds the middle
    `level` of the means. The same seed draws the same videos.
    """
    array = np.asarray(values, np.float64)
    if not len(array):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    # All draws at once, one a row.
    means = array[rng.integers(len(array), size=(samples, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_interval(
    a: Sequence[float], b: Sequence[float], *, samples: int, seed: int, level: float = 0.95
) -> Interval:
    """Interval of mean(a − b) over the same videos in the same order.

    How hard a video is cancels out, so it is narrower than two separate intervals suggest.
    """
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return mean_interval(difference.tolist(), samples=samples, seed=seed, level=level)
