"""The measures of YouTube Highlights and TVSum against the definitions written out clip by clip."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from video2gif.evaluation.highlights import (
    average_precision_of_order,
    kendall_tau,
    mean_kendall_tau,
    mean_of_domains,
    tvsum_top5_precision,
    youtube_average_precision,
)

# A few distinct scores, so that ties come often.
SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=12)


def brute_polygon(hits: list[bool]) -> float:
    """One trapezoid after the other, as the papers' code walks along the ranks."""
    area, precision, recall, found = 0.0, 1.0, 0.0, 0
    if not any(hits):
        return 0.0
    for rank, hit in enumerate(hits, start=1):
        found += hit
        now, reached = found / rank, found / sum(hits)
        area += (reached - recall) * (precision + now) / 2
        precision, recall = now, reached
    return area


def brute_order(score: list[int]) -> list[int]:
    return sorted(range(len(score)), key=lambda place: (-score[place], place))


@given(SCORES, st.randoms(use_true_random=False))
def test_youtube_is_the_area_under_the_polygon_of_all_clips(score, random):
    truth = [random.random() < 0.4 for _ in score]
    expected = brute_polygon([truth[place] for place in brute_order(score)])
    found = youtube_average_precision(truth=np.array(truth), score=np.array(score))
    assert found == pytest.approx(expected, abs=1e-12)  # the order of the sum differs


@given(SCORES, st.integers(1, 4), st.randoms(use_true_random=False))
def test_tvsum_looks_at_five_clips_and_each_annotators_lower_median(score, n_people, random):
    grades = [[random.randint(1, 5) for _ in range(n_people)] for _ in score]
    best = brute_order(score)[:5]
    expected = statistics.fmean(
        brute_polygon([grades[place][who] > statistics.median_low(own) for place in best])
        for who, own in enumerate(zip(*grades, strict=True))
    )
    found = tvsum_top5_precision(grades=np.array(grades), score=np.array(score))
    assert found == pytest.approx(expected, abs=1e-12)


@given(SCORES.filter(lambda score: len(score) > 1), st.randoms(use_true_random=False))
def test_tau_is_scipys_tau_b(score, random):
    other = [random.randint(1, 5) for _ in score]
    expected = stats.kendalltau(score, other).statistic
    found = kendall_tau(np.array(score), np.array(other))
    assert found == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-12)


def test_the_truth_scores_100_and_a_video_without_a_true_clip_0():
    truth = np.array([0, 1, 1, 0, 1], bool)
    assert youtube_average_precision(truth=truth, score=truth) == 1.0
    assert youtube_average_precision(truth=~truth & truth, score=truth) == 0.0


def test_a_first_clip_that_is_wrong_costs_half_a_step_more_than_its_rank_says():
    # Corners (0, 1), (0, 0), (1, 1/2): the one trapezoid with a width is (0 + 1/2) / 2.
    assert average_precision_of_order(np.array([False, True])) == 0.25


def test_tau_is_1_for_the_grades_themselves_and_counts_every_annotator():
    grades = np.array([[1, 3], [2, 2], [3, 1]])
    assert mean_kendall_tau(grades=grades[:, :1], score=grades[:, 0]) == 1.0
    assert mean_kendall_tau(grades=grades, score=grades[:, 0]) == 0.0


def test_a_domain_of_many_videos_weighs_as_much_as_one_of_few():
    mean, by_domain = mean_of_domains([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"])
    assert mean == 0.5
    assert by_domain == {"a": 1.0, "b": 0.0}
