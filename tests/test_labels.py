"""Overlaps, labels, pairs, popularity and splits, against oracles that count one by one."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2gif.labels.overlap import (
    OverlapOf,
    Placed,
    label_segments,
    overlap_share,
    popularity,
    sample_pairs,
    shared_frames,
    split_of,
)

N_FRAMES = 60


@st.composite
def tilings(draw: st.DrawFn) -> np.ndarray:
    """Segments (n, 2) that tile N_FRAMES frames."""
    inner = draw(st.sets(st.integers(1, N_FRAMES - 1), max_size=12))
    bounds = [0, *sorted(inner), N_FRAMES]
    return np.array([bounds[:-1], bounds[1:]]).T


spans = st.lists(
    st.tuples(st.integers(0, N_FRAMES - 1), st.integers(1, N_FRAMES)).filter(
        lambda span: span[0] < span[1]
    ),
    max_size=4,
)


def gifs_of(found: list[tuple[int, int]], *, certain: bool = True) -> list[Placed]:
    return [Placed(f"g{n}", *span, certain=certain) for n, span in enumerate(found)]


@given(tilings(), spans)
def test_shared_frames_are_the_frames_in_both(
    segments: np.ndarray, found: list[tuple[int, int]]
) -> None:
    counted = [
        [len(set(range(*segment)) & set(range(*span))) for span in found] for segment in segments
    ]
    shared = shared_frames(segments, np.array(found, dtype=int).reshape(-1, 2))
    np.testing.assert_array_equal(shared, np.array(counted).reshape(len(segments), -1))


@pytest.mark.parametrize(
    ("of", "expected"), [("segment", 30 / 100), ("gif", 30 / 40)], ids=["segment", "gif"]
)
def test_the_two_readings_of_overlap(of: OverlapOf, expected: float) -> None:
    # segment 100–200, GIF 170–210: 30 frames in common.
    share = overlap_share(np.array([[100, 200]]), np.array([[170, 210]]), of=of)
    assert share.item() == expected


@given(st.integers(1, 100), st.integers(1, 400).map(lambda n: n * 50))
def test_exactly_the_threshold_is_positive_and_one_frame_less_is_not(
    percent: int, length: int
) -> None:
    threshold = float(f"{percent / 100:.2f}")
    enough = math.ceil(Fraction(percent, 100) * length)
    for covered, expected in [(enough, True), (enough - 1, False)]:
        if covered == 0:
            continue
        labels = label_segments(
            np.array([[7, 7 + length]]),
            [Placed("g", 7, 7 + covered)],
            positive_overlap=threshold,
            overlap_of="segment",
        )
        assert (labels.label[0] == "positive") is expected


@given(tilings(), spans, spans, st.sampled_from(["segment", "gif"]))
def test_labels_equal_those_counted_frame_by_frame(
    segments: np.ndarray,
    certain: list[tuple[int, int]],
    doubtful: list[tuple[int, int]],
    of: OverlapOf,
) -> None:
    gifs = gifs_of(certain) + [
        Placed(f"d{n}", *span, certain=False) for n, span in enumerate(doubtful)
    ]
    labels = label_segments(segments, gifs, positive_overlap=0.66, overlap_of=of)
    for number, segment in enumerate(segments):
        own = set(range(*segment))
        shares = {
            f"g{n}": Fraction(
                len(own & set(range(*span))), len(own) if of == "segment" else span[1] - span[0]
            )
            for n, span in enumerate(certain)
        }
        largest = max(shares.values(), default=Fraction(0))
        is_touched = any(own & set(range(*span)) for span in certain + doubtful)
        if largest >= Fraction(66, 100):
            expected = "positive"
        elif certain and not is_touched:
            expected = "negative"
        else:
            expected = "ignored"
        assert labels.label[number] == expected
        assert labels.overlap[number] == float(largest)
        owner = min((g for g, s in shares.items() if s == largest), default="") if largest else ""
        assert labels.gif_id[number] == owner
        for gif_id, share in shares.items():
            assert (number in labels.positive_of[gif_id]) == (share >= Fraction(66, 100))


def test_a_touching_segment_is_negative_since_spans_are_half_open() -> None:
    segments = np.array([[0, 20], [20, 40], [40, 60]])
    labels = label_segments(
        segments, [Placed("g", 20, 40)], positive_overlap=0.66, overlap_of="segment"
    )
    assert labels.label.tolist() == ["negative", "positive", "negative"]


def test_one_shared_frame_is_neither_positive_nor_negative() -> None:
    segments = np.array([[0, 20], [20, 40]])
    labels = label_segments(
        segments, [Placed("g", 20, 41)], positive_overlap=0.66, overlap_of="segment"
    )
    shifted = label_segments(
        segments, [Placed("g", 19, 40)], positive_overlap=0.66, overlap_of="segment"
    )
    assert labels.label.tolist() == ["negative", "positive"]
    assert shifted.label.tolist() == ["ignored", "positive"]


def test_an_ambiguous_candidate_makes_no_negative_and_no_positive() -> None:
    segments = np.array([[0, 20], [20, 40], [40, 60]])
    gifs = [Placed("g", 0, 20), Placed("doubtful", 20, 40, certain=False)]
    labels = label_segments(segments, gifs, positive_overlap=0.66, overlap_of="segment")
    assert labels.label.tolist() == ["positive", "ignored", "negative"]


def test_a_video_without_a_placed_gif_says_nothing_about_its_segments() -> None:
    segments = np.array([[0, 20], [20, 40]])
    for gifs in ([], gifs_of([(0, 20)], certain=False)):
        labels = label_segments(segments, gifs, positive_overlap=0.66, overlap_of="segment")
        assert labels.label.tolist() == ["ignored", "ignored"]
        assert sample_pairs(labels, video_id="v", max_pairs=10, seed=0) == []


def many_labels():
    segments = np.arange(100)[:, None] * 20 + np.array([0, 20])
    gifs = [Placed("a", 0, 40), Placed("b", 20, 60)]  # segment 1 belongs to both
    return label_segments(segments, gifs, positive_overlap=0.66, overlap_of="segment")


def test_pairs_under_the_cap_are_all_pairs_of_each_gif_with_all_negatives() -> None:
    labels = many_labels()
    expected = {
        (gif, positive, negative)
        for gif, positives in [("a", (0, 1)), ("b", (1, 2))]
        for positive in positives
        for negative in range(3, 100)
    }
    found = sample_pairs(labels, video_id="v", max_pairs=1000, seed=0)
    assert len(found) == len(expected)
    assert set(found) == expected


def test_capped_pairs_are_distinct_pairs_drawn_by_video_id() -> None:
    labels = many_labels()
    everything = set(sample_pairs(labels, video_id="v", max_pairs=1000, seed=0))
    found = sample_pairs(labels, video_id="v", max_pairs=50, seed=0)
    assert len(set(found)) == 50
    assert set(found) < everything
    assert found == sample_pairs(labels, video_id="v", max_pairs=50, seed=0)
    assert found != sample_pairs(labels, video_id="w", max_pairs=50, seed=0)
    assert found != sample_pairs(labels, video_id="v", max_pairs=50, seed=1)


@given(
    st.one_of(st.floats(), st.integers(0, 10**9).map(float)),
    st.one_of(st.floats(), st.integers(0, 9999).map(float)),
)
def test_popularity_is_in_the_unit_interval(views: float, age_days: float) -> None:
    assert 0 <= popularity(views, age_days, saturation_views=1e5) <= 1


@pytest.mark.parametrize(
    ("views", "age_days", "expected"),
    [
        pytest.param(0.0, math.nan, 0.0, id="nobody"),
        pytest.param(1e5, math.nan, 1.0, id="saturated"),
        pytest.param(1e30, math.nan, 1.0, id="absurd"),
        pytest.param(999.0, math.nan, math.log(1000) / math.log(100_001), id="log"),
        pytest.param(999.0, 30.0, math.log(1000) / math.log(100_001), id="young-as-it-is"),
        pytest.param(1998.0, 730.0, math.log(1000) / math.log(100_001), id="old-per-year"),
        pytest.param(math.nan, 10.0, 0.5, id="unknown"),
        pytest.param(-1.0, 10.0, 0.5, id="negative-is-unknown"),
    ],
)
def test_popularity_values(views: float, age_days: float, expected: float) -> None:
    assert popularity(views, age_days, saturation_views=1e5) == pytest.approx(expected, abs=1e-15)


def test_split_is_the_hash_of_seed_and_id() -> None:
    digest = hashlib.sha256(b"7:some id").digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    expected = "test" if position < 0.35 else "validation" if position < 0.5 else "train"
    found = split_of("some id", seed=7, validation_fraction=0.15, test_fraction=0.35)
    assert found == expected


def test_splits_have_the_asked_shares_on_average() -> None:
    found = [
        split_of(f"v{n}", seed=0, validation_fraction=0.15, test_fraction=0.35)
        for n in range(20_000)
    ]
    # Five standard deviations of a binomial share: 5 × sqrt(0.35 × 0.65 / 20000) = 0.017.
    assert found.count("test") / len(found) == pytest.approx(0.35, abs=0.017)
    assert found.count("validation") / len(found) == pytest.approx(0.15, abs=0.013)
