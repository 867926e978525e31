"""Bootstrap intervals of means over videos."""

import math

import numpy as np

from video2gif.evaluation.bootstrap import mean_interval, paired_interval


def test_the_interval_is_close_to_the_normal_one_for_many_videos() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.2, size=400)
    low, high = mean_interval(values.tolist(), samples=4000, seed=1)
    half = 1.96 * values.std() / math.sqrt(400)
    # 4000 resamples leave about 3 % of noise in the ends.
    np.testing.assert_allclose([low, high], [values.mean() - half, values.mean() + half], atol=2e-3)


def test_about_95_of_100_intervals_hold_the_true_mean() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(300):
        low, high = mean_interval(rng.random(60).tolist(), samples=400, seed=trial)
        hits += low <= 0.5 <= high
    assert 0.90 <= hits / 300 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    values = [0.1, 0.5, 0.3]
    once, again = (mean_interval(values, samples=50, seed=3) for _ in range(2))
    assert once == again


def test_nothing_gives_nan_and_one_video_gives_a_point() -> None:
    assert all(math.isnan(end) for end in mean_interval([], samples=10, seed=0))
    assert mean_interval([0.25], samples=10, seed=0) == (0.25, 0.25)


def test_a_constant_difference_has_no_width_when_paired() -> None:
    a = np.random.default_rng(4).random(30)
    low, high = paired_interval(a.tolist(), (a - 0.1).tolist(), samples=200, seed=0)
    np.testing.assert_allclose([low, high], 0.1)
