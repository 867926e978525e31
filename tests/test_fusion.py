"""Fusion: weights against scikit-learn's, ranks, and what it does on a planted corpus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranking_project import small_params, write_project
from sklearn.linear_model import LogisticRegression

from video2gif.ranking import fusion
from video2gif.ranking.fusion import Fusion
from video2gif.ranking.loading import load_videos
from video2gif.ranking.training import train


def test_the_weights_are_those_of_logistic_regression_on_both_signs() -> None:
    rng = np.random.default_rng(0)
    differences = [rng.normal(np.linspace(0.5, -0.2, 10), 1, (n, 10)) for n in (5, 40, 1)]
    rows = np.concatenate(differences)
    weight = np.concatenate([np.full(len(part), 1 / len(part)) for part in differences])
    # Both signs of each pair, each with half of the weight that `fit` gives a pair.
    oracle = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10).fit(
        np.concatenate([rows, -rows]), np.repeat([1, 0], len(rows)), np.tile(weight, 2)
    )
    np.testing.assert_allclose(fusion.fit(differences).weights, oracle.coef_[0], atol=1e-6)


def test_without_pairs_the_network_stands_alone() -> None:
    assert fusion.fit([]).weights == (1, *[0] * 9)
    assert fusion.fit([np.zeros((0, 10))]).weights == (1, *[0] * 9)


def test_what_orders_every_pair_gets_the_weight() -> None:
    pairs = np.zeros((2, 10))
    pairs[:, 2] = 1.0, 0.5
    network, linear, motion, *others = fusion.fit([pairs] * 20).weights
    assert motion > 1
    assert not any((network, linear, *others))


@given(
    scores=st.lists(st.integers(-1000, 1000), min_size=1, max_size=8, unique=True),
    scale=st.sampled_from([0.5, 2.0, 1024.0]),
)
def test_only_the_order_of_the_networks_scores_counts(scores: list[int], scale: float) -> None:
    network = np.array(scores, float)
    cues = np.arange(8.0 * len(scores)).reshape(-1, 8)
    fused = Fusion((1.0, 0.75, *[0.5] * 8))
    expected = fused.score(network, -network, cues)
    np.testing.assert_array_equal(fused.score(network * scale, -network, cues), expected)
    np.testing.assert_array_equal(fused.score(network, -network * scale, cues), expected)


def test_an_unscored_segment_stays_unscored_and_moves_no_other() -> None:
    fused, cues = Fusion((1.0, 0.5, *[1.0] * 8)), np.outer([1.0, 9.0, 3.0], np.ones(8))
    scores = np.array([0.2, np.nan, 0.1])
    with_gap = fused.score(scores, scores, cues)
    assert np.isnan(with_gap[1])
    alone = fused.score(scores[[0, 2]], scores[[0, 2]], cues[[0, 2]])
    np.testing.assert_array_equal(with_gap[[0, 2]], alone)


def test_rankers_that_know_are_trusted_over_noise(tmp_path) -> None:
    videos = load_videos(write_project(tmp_path, n_videos=20))
    found = train(videos, small_params(fusion=True, ensemble=1).train).model.fusion
    assert found is not None
    network, linear, *others = found.weights
    assert network + linear > 2 * max(map(abs, others))


def test_one_training_video_leaves_the_network_alone(tmp_path) -> None:
    videos = load_videos(write_project(tmp_path, n_videos=1, splits=("train",)))
    found = train(videos, small_params(fusion=True, ensemble=1, epochs=2).train).model.fusion
    assert found == Fusion((1.0, *[0.0] * 9))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_ranks_lie_in_minus_one_to_one(n: int) -> None:
    rows = fusion.ranks(np.arange(float(n)), -np.arange(float(n)), np.zeros((n, 8)))
    assert rows.shape == (n, 10)
    assert np.abs(rows).max() <= 1
    if n > 1:
        np.testing.assert_allclose(rows[:, 0], np.linspace(-1, 1, n))
        np.testing.assert_allclose(rows[:, 1], np.linspace(1, -1, n))
        np.testing.assert_allclose(rows[:, 2:], 0)
