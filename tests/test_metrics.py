"""nMSD, average precision and recall at k against brute-force definitions."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from video2gif.evaluation.metrics import (
    average_precision,
    nmsd,
    precision_recall_curve,
    recall_at_k,
    span_mask,
    top_segments,
    video_nmsd,
)
from video2gif.evaluation.videos import (
    VideoMetrics,
    frame_scores,
    mean_metrics,
    usable_gifs,
    video_metrics,
)

# Oracles: the definitions written out frame by frame, sharing no code with the functions.


def brute_nmsd(mask: list[bool], score: list[float]) -> float:
    inside = [s for m, s in zip(mask, score, strict=True) if m]
    threshold = statistics.median(inside)  # numpy's 50th percentile, linear
    watched = len([s for s in score if s >= threshold])
    half = len(inside) / 2
    return (watched - half) / (len(score) - half)


def reference_ap(truth: np.ndarray, score: np.ndarray) -> float:
    """The reference package's steps on scikit-learn's curve, in its own loops."""
    precision, recall, _ = sklearn_metrics.precision_recall_curve(truth, score)
    recall = recall.astype(np.float32)
    for i in range(1, len(precision)):
        precision[i] = max(precision[i - 1], precision[i])
    changes = [i for i in range(len(recall) - 1) if recall[i] != recall[i + 1]]
    return sum(precision[i] for i in changes) / len(changes)


def random_case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n_frames = int(rng.integers(2, 60))
    mask = rng.random(n_frames) < rng.uniform(0.05, 0.95)
    mask[rng.integers(n_frames)] = True
    mask[rng.choice(np.flatnonzero(mask) if mask.all() else [0])] &= not mask.all()
    # Few distinct values in two of three cases: ties are the rule, since frames share a score.
    levels = rng.choice([2, 5, 10**6])
    return mask, rng.integers(levels, size=n_frames) / levels


@st.composite
def cases(draw: st.DrawFn, *, odd_gif: bool = False) -> tuple[np.ndarray, np.ndarray]:
    n_frames = draw(st.integers(3, 40))
    n_gif = draw(st.integers(1, n_frames - 1).filter(lambda g: g % 2 == 1 or not odd_gif))
    start = draw(st.integers(0, n_frames - n_gif))
    score = draw(st.lists(st.integers(-9, 9), min_size=n_frames, max_size=n_frames))
    return span_mask((start, start + n_gif), n_frames), np.array(score, float)


def bend(score: np.ndarray, steps: list[float]) -> np.ndarray:
    """A strictly increasing function of scores in −9 … 9: the sum of positive steps up to each."""
    return np.cumsum(steps)[score.astype(int) + 9]


STEPS = st.lists(st.floats(1e-3, 1e3), min_size=19, max_size=19)


# nMSD


def test_nmsd_equals_brute_force_on_random_cases_with_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        mask, score = random_case(rng)
        assert nmsd(gif_mask=mask, score=score) == pytest.approx(
            brute_nmsd(mask.tolist(), score.tolist()), abs=1e-12
        )


def test_nmsd_is_zero_for_a_perfect_ranking() -> None:
    score = np.arange(100.0)  # the GIF is the last ten frames: half of them are watched, no other
    assert nmsd(gif_mask=span_mask((90, 100), 100), score=score) == 0


def test_nmsd_of_a_constant_score_is_one() -> None:
    assert nmsd(gif_mask=span_mask((3, 8), 50), score=np.zeros(50)) == 1


def test_nmsd_counts_all_that_scores_above_half_of_the_gif() -> None:
    # The GIF scores lowest: the 90 other frames and half of its own are watched.
    assert nmsd(gif_mask=span_mask((0, 10), 100), score=np.arange(100.0)) == 90 / 95


@pytest.mark.parametrize("truth", [np.zeros(9, bool), np.ones(9, bool)], ids=["none", "all"])
def test_nmsd_of_all_equal_truth_raises(truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not defined"):
        nmsd(gif_mask=truth, score=np.arange(9.0))


def test_scores_that_are_not_finite_raise() -> None:
    with pytest.raises(ValueError, match="finite"):
        nmsd(gif_mask=span_mask((0, 1), 3), score=np.array([0, np.nan, 1]))


@given(case=cases(odd_gif=True), steps=STEPS)
def test_nmsd_of_a_gif_of_odd_length_keeps_under_any_monotone_transform(
    case: tuple[np.ndarray, np.ndarray], steps: list[float]
) -> None:
    mask, score = case
    assert nmsd(gif_mask=mask, score=bend(score, steps)) == nmsd(gif_mask=mask, score=score)


@given(case=cases(), scale=st.integers(1, 1000), shift=st.integers(-1000, 1000))
def test_nmsd_keeps_under_scaling_and_shifting(
    case: tuple[np.ndarray, np.ndarray], scale: int, shift: int
) -> None:
    mask, score = case
    assert nmsd(gif_mask=mask, score=scale * score + shift) == nmsd(gif_mask=mask, score=score)


def test_nmsd_of_a_gif_of_even_length_can_change_under_a_bent_scale() -> None:
    # The published measure takes the linear median, here half way between 0 and 1.
    mask, score = np.array([True, True, False]), np.array([0.0, 1.0, 0.4])
    assert nmsd(gif_mask=mask, score=score) == 0
    assert nmsd(gif_mask=mask, score=score**0.5) == 0.5


def test_video_nmsd_is_the_mean_over_its_gifs_and_best_the_smallest() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        n_frames = int(rng.integers(10, 80))
        score = rng.integers(5, size=n_frames).astype(float)
        gifs = [(int(s), int(s) + 5) for s in rng.integers(n_frames - 5, size=rng.integers(1, 5))]
        each = [
            brute_nmsd([start <= f < end for f in range(n_frames)], score.tolist())
            for start, end in gifs
        ]
        assert video_nmsd(gifs=gifs, score=score) == pytest.approx(statistics.mean(each))
        assert video_nmsd(gifs=gifs, score=score, mode="best") == pytest.approx(min(each))


# Average precision


def test_ap_equals_the_reference_on_random_cases_with_ties() -> None:
    rng = np.random.default_rng(2)
    for _ in range(2000):
        truth, score = random_case(rng)
        assert average_precision(truth=truth, score=score) == pytest.approx(
            reference_ap(truth, score), abs=1e-12
        )


def test_the_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        truth, score = random_case(rng)
        expected = sklearn_metrics.precision_recall_curve(truth, score)
        ours = precision_recall_curve(truth=truth, score=score)
        np.testing.assert_array_equal(ours[0], expected[0])
        np.testing.assert_array_equal(ours[1], expected[1])


def test_ap_by_hand() -> None:
    # From the best score down: hit, miss, hit. Precision 1 at recall ½ and ⅔ at recall 1.
    truth = np.array([True, False, True, False])
    assert average_precision(truth=truth, score=np.array([4.0, 3, 2, 1])) == pytest.approx(5 / 6)


def test_ap_of_a_perfect_ranking_is_one() -> None:
    assert average_precision(truth=span_mask((5, 9), 20), score=span_mask((5, 9), 20) * 1.0) == 1


def test_ap_of_all_true_is_one_and_of_all_false_raises() -> None:
    assert average_precision(truth=np.ones(5, bool), score=np.arange(5.0)) == 1
    with pytest.raises(ValueError, match="no frame is true"):
        average_precision(truth=np.zeros(5, bool), score=np.arange(5.0))


def test_ap_of_a_constant_score_is_the_share_of_true_frames() -> None:
    assert average_precision(truth=span_mask((0, 3), 12), score=np.ones(12)) == 0.25


@given(case=cases(), steps=STEPS)
def test_ap_keeps_under_any_monotone_transform(
    case: tuple[np.ndarray, np.ndarray], steps: list[float]
) -> None:
    truth, score = case
    assert average_precision(truth=truth, score=bend(score, steps)) == average_precision(
        truth=truth, score=score
    )


# Recall at k


def test_recall_counts_gifs_half_covered_by_the_top_segments() -> None:
    spans = np.array([[0, 10], [10, 20], [20, 30], [30, 40]])
    scores = np.array([3.0, 2.0, 1.0, 0.0])
    gifs = [(5, 15), (16, 24), (17, 25), (30, 40)]  # covered fully, ½, ⅜, not at all
    assert recall_at_k(gifs=gifs, spans=spans, scores=scores, k=2) == 0.5


def test_recall_equals_brute_force() -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        bounds = np.cumsum(rng.integers(1, 9, size=rng.integers(2, 12)))
        spans = np.stack([np.append(0, bounds[:-1]), bounds], axis=1)
        scores = np.where(rng.random(len(spans)) < 0.2, np.nan, rng.integers(3, size=len(spans)))
        start = int(rng.integers(bounds[-1] - 1))
        gif = (start, int(rng.integers(start + 1, bounds[-1] + 1)))
        ranked = sorted((-s, i) for i, s in enumerate(scores) if not math.isnan(s))
        chosen = {f for _, i in ranked[:3] for f in range(*spans[i])}
        expected = 2 * len(chosen & set(range(*gif))) >= gif[1] - gif[0]
        assert recall_at_k(gifs=[gif], spans=spans, scores=scores, k=3) == expected


def test_top_segments_leave_out_the_unscored_and_take_the_earlier_of_equals() -> None:
    assert top_segments(np.array([1.0, np.nan, 2.0, 1.0]), 3).tolist() == [2, 0, 3]
    assert top_segments(np.array([np.nan, 5.0]), 5).tolist() == [1]


# From segments to videos


def test_unscored_segments_take_the_lowest_score_of_their_video() -> None:
    spans = np.array([[0, 2], [2, 3], [3, 5]])
    scores = np.array([1.0, np.nan, -4.0])
    assert frame_scores(spans=spans, scores=scores).tolist() == [1, 1, -4, -4, -4]


def test_a_video_without_any_score_raises() -> None:
    with pytest.raises(ValueError, match="no segment"):
        frame_scores(spans=np.array([[0, 2]]), scores=np.array([np.nan]))


def test_gifs_are_cut_to_the_video_and_those_of_all_or_no_frames_left_out() -> None:
    assert usable_gifs([(-2, 3), (8, 12), (0, 10), (10, 12), (4, 4)], 10) == [(0, 3), (8, 10)]


def test_video_metrics_are_those_of_its_frames() -> None:
    spans = np.array([[0, 10], [10, 20], [20, 30]])
    found = video_metrics(gifs=[(10, 20)], spans=spans, scores=np.array([0.0, 1, 0]))
    # Ties inside the segment count: all ten frames are watched for half of the GIF.
    assert found == VideoMetrics(
        nmsd=5 / 25, nmsd_best=5 / 25, average_precision=1.0, recall_at_5=1.0
    )
    assert mean_metrics([found, found]) == found


# Whole videos


def brute_video(
    gifs: list[tuple[int, int]], spans: np.ndarray, scores: np.ndarray
) -> tuple[float, float, float, float]:
    """nMSD (mean, best), AP and recall at 5 of a video, frame by frame in plain Python."""
    lowest = min(s for s in scores.tolist() if s == s)
    frames: list[float] = []
    for (start, end), score in zip(spans.tolist(), scores.tolist(), strict=True):
        frames += [score if score == score else lowest] * (end - start)
    inside = [[start <= f < end for f in range(len(frames))] for start, end in gifs]
    values = [brute_nmsd(mask, frames) for mask in inside]
    truth = [any(column) for column in zip(*inside, strict=True)]
    order = sorted(
        (place for place in range(len(scores)) if scores[place] == scores[place]),
        key=lambda place: (-scores[place], place),
    )
    top = {f for place in order[:5] for f in range(*spans[place].tolist())}
    found = [sum(start <= f < end for f in top) * 2 >= end - start for start, end in gifs]
    return (
        sum(values) / len(values),
        min(values),
        brute_ap(truth, frames),
        sum(found) / len(found),
    )


def brute_ap(truth: list[bool], score: list[float]) -> float:
    """Interpolated precision, averaged over the distinct scores that add true frames."""
    if all(truth):
        return 1.0
    points = []  # (true frames, precision) at every distinct score, highest first
    for level in sorted(set(score), reverse=True):
        chosen = [t for t, s in zip(truth, score, strict=True) if s >= level]
        points.append((sum(chosen), sum(chosen) / len(chosen)))
    best, values = 0.0, []
    hits_above = [0, *(hits for hits, _ in points[:-1])]
    for (hits, precision), above in zip(points[::-1], hits_above[::-1], strict=True):
        best = max(best, precision)
        if hits > above:
            values.append(best)
    return sum(values) / len(values)


def test_10000_videos_with_ties_several_gifs_and_unscored_segments_equal_brute_force() -> None:
    rng = np.random.default_rng(6)
    for _ in range(10_000):
        lengths = rng.integers(1, 5, size=int(rng.integers(2, 9)))
        ends = np.cumsum(lengths)
        spans = np.stack([ends - lengths, ends], axis=1)
        scores = rng.integers(rng.choice([1, 2, 4, 10**6]), size=len(spans)).astype(float)
        scores[rng.random(len(spans)) < 0.15] = np.nan
        starts = rng.integers(0, ends[-1], size=int(rng.integers(1, 4)))
        wanted = [(int(s), int(s + rng.integers(1, 7))) for s in starts]
        gifs = usable_gifs(wanted, int(ends[-1]))
        if not gifs or np.isnan(scores).all():
            continue
        found = video_metrics(gifs=gifs, spans=spans, scores=scores)
        expected = brute_video(gifs, spans, scores)
        measured = (found.nmsd, found.nmsd_best, found.average_precision, found.recall_at_5)
        assert measured == pytest.approx(expected, abs=1e-9), (gifs, spans, scores)


@given(
    scores=st.lists(st.integers(-9, 9), min_size=3, max_size=8),
    steps=STEPS,
    at=st.integers(0, 6),
)
def test_no_metric_of_a_video_depends_on_the_scale_of_the_scores(
    scores: list[int], steps: list[float], at: int
) -> None:
    spans = np.stack([np.arange(len(scores)) * 3, np.arange(1, len(scores) + 1) * 3], axis=1)
    gif = (at % len(scores) * 3, at % len(scores) * 3 + 3)  # one whole segment: an odd length
    values = np.array(scores, float)
    expected = video_metrics(gifs=[gif], spans=spans, scores=values)
    assert video_metrics(gifs=[gif], spans=spans, scores=bend(values, steps)) == expected
