"""Rankings without training."""

import numpy as np

from video2gif.fingerprint.cues import NAMES
from video2gif.ranking import baselines
from video2gif.ranking.baselines import CUES

SPANS = np.array([[0, 3], [3, 6], [6, 7]])
CONTENT = np.array(
    [[0, 0, 0], [1, 2, 3], [3, 2, 1], [90, 90, 90], [6, 6, 6], [9, 9, 9], [50, 50, 50]], float
)


def test_random_depends_on_the_video_and_the_seed_only() -> None:
    one = baselines.random("a", 5, seed=0)
    np.testing.assert_array_equal(one, baselines.random("a", 5, seed=0))
    assert (one != baselines.random("b", 5, seed=0)).all()
    assert (one != baselines.random("a", 5, seed=1)).all()


def test_random_is_uniform() -> None:
    values = baselines.random("a", 10_000, seed=0)
    assert 0 <= values.min() < values.max() < 1
    assert abs(values.mean() - 0.5) < 0.02


def test_motion_is_the_mean_change_inside_a_segment_without_its_cut() -> None:
    # The 90 at frame 3 is the cut; the segment of one frame has nothing left to move.
    np.testing.assert_allclose(baselines.motion(CONTENT, SPANS), [2.0, 7.5, 0.0])


def test_motion_colour_is_the_mean_rank_of_both() -> None:
    colourful = np.array([0.1, 0.2, 0.9])
    np.testing.assert_allclose(
        baselines.motion_colour(CONTENT, SPANS, colourful), [(0.5 + 0) / 2, (1 + 0.5) / 2, 0.5]
    )


def test_motion_colour_without_colour_uses_the_change_of_colour() -> None:
    np.testing.assert_allclose(baselines.motion_colour(CONTENT, SPANS), [0.5, 1.0, 0.0])


def test_equal_segments_share_a_rank() -> None:
    scores = baselines.motion_colour(np.ones((9, 3)), np.array([[0, 3], [3, 6], [6, 9]]))
    np.testing.assert_allclose(scores, 0.5)
    assert np.isfinite(baselines.motion_colour(np.ones((3, 3)), np.array([[0, 3]]))).all()


def test_cues_of_a_segment_are_means_without_its_first_frame() -> None:
    cues = np.zeros((7, len(NAMES)))
    cues[:, NAMES.index("motion")] = [99, 2, 4, 99, 6, 8, 99]
    cues[:, NAMES.index("bars")] = 0.5  # No part of the ranking.
    found = dict(zip(CUES, baselines.segment_cues(CONTENT, cues, SPANS).T, strict=True))
    np.testing.assert_allclose(found.pop("moved"), [3, 7, 0])
    np.testing.assert_array_equal(found.pop("motion"), baselines.motion(CONTENT, SPANS))
    np.testing.assert_allclose(found.pop("colour"), [2, 7.5, 0])
    assert not np.any([*found.values()])
