"""Segments tile the video, whatever the cuts and the timing."""

import dataclasses
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video2gif.core.config import Params
from video2gif.fingerprint.track import nearest_frame
from video2gif.shots.cuts import cuts_between
from video2gif.shots.segments import segment_video, segments

FPS = 25.0


def constant_rate(n_frames: int, fps: float = FPS) -> tuple[np.ndarray, float]:
    return np.arange(n_frames) / fps, n_frames / fps


@st.composite
def timed_cuts(draw: st.DrawFn) -> tuple[list[int], np.ndarray, float]:
    """Cuts and times of a video of variable rate, with frames that share a time."""
    durations = draw(
        st.lists(st.sampled_from([0.0, 0.02, 0.033, 0.04, 0.1, 2.0]), min_size=1, max_size=300)
    )
    ends = np.cumsum(durations)
    n_frames = len(durations)
    cuts = draw(st.sets(st.integers(1, n_frames - 1))) if n_frames > 1 else set()
    return sorted(cuts), np.append(0.0, ends[:-1]), float(ends[-1])


@given(timed_cuts(), st.sampled_from([0.05, 0.5, 3.0, 1000.0]), st.integers(0, 40))
def test_segments_tile_the_video_and_none_is_short(
    video: tuple[list[int], np.ndarray, float], max_len_s: float, min_len_frames: int
) -> None:
    cuts, pts_s, end_s = video
    found = segments(cuts, pts_s, end_s, max_len_s=max_len_s, min_len_frames=min_len_frames)
    assert found[0][0] == 0
    assert found[-1][1] == len(pts_s)
    assert all(left[1] == right[0] for left, right in pairwise(found))
    # A frame that stands for long ends a segment, whatever is left on either side.
    pauses = np.diff(np.append(pts_s, end_s)) > 5 * max_len_s
    long_enough = [
        end - start >= max(1, min_len_frames) or pauses[end - 1] or (start and pauses[start - 1])
        for start, end in found
    ]
    assert all(long_enough) or len(found) == 1


@given(
    st.integers(1, 2000),
    st.sampled_from([12.5, 23.976, 25.0, 29.97, 60.0]),
    st.sampled_from([1.5, 2.0, 3.0, 5.0]),
)
def test_parts_of_a_shot_are_equal_to_a_frame_and_no_longer_than_the_limit(
    n_frames: int, fps: float, max_len_s: float
) -> None:
    pts_s, end_s = constant_rate(n_frames, fps)
    found = segments([], pts_s, end_s, max_len_s=max_len_s, min_len_frames=16)
    lengths = [end - start for start, end in found]
    assert max(lengths) - min(lengths) <= 1
    wanted = math.ceil(n_frames / fps / max_len_s - 1e-9)
    assert len(found) == max(1, min(wanted, n_frames // 16))
    if len(found) == wanted:
        # Both ends are moved to the nearest frame, by half a frame at most.
        assert max(lengths) / fps <= max_len_s + 1 / fps + 1e-6


@pytest.mark.parametrize("n_seconds", [3, 6, 9, 30, 3000])
def test_a_shot_of_whole_multiples_of_the_limit_has_no_extra_part(n_seconds: int) -> None:
    pts_s, end_s = constant_rate(n_seconds * 30, fps=30.0)
    found = segments([], pts_s, end_s, max_len_s=3.0, min_len_frames=16)
    assert len(found) == n_seconds // 3


def test_a_long_shot_is_divided_by_time_not_by_frame_count() -> None:
    # 100 frames in the first 4 s, 20 in the last 2 s: halves end at 3 s = frame 75.
    pts_s = np.concatenate([np.arange(100) * 0.04, 4 + np.arange(20) * 0.1])
    assert segments([], pts_s, 6.0, max_len_s=3.0, min_len_frames=16) == [(0, 75), (75, 120)]


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        pytest.param([30, 40], [(0, 30), (30, 60)], id="right-neighbour-shorter"),
        pytest.param([20, 30], [(0, 30), (30, 60)], id="left-neighbour-shorter"),
        pytest.param([25, 35], [(0, 35), (35, 60)], id="tie-goes-left"),
        pytest.param([5], [(0, 60)], id="first"),
        pytest.param([55], [(0, 60)], id="last"),
        pytest.param([10, 20, 30, 40, 50], [(0, 20), (20, 40), (40, 60)], id="all-short"),
    ],
)
def test_a_short_shot_joins_its_shorter_neighbour(
    cuts: list[int], expected: list[tuple[int, int]]
) -> None:
    pts_s, end_s = constant_rate(60)
    assert segments(cuts, pts_s, end_s, max_len_s=10.0, min_len_frames=16) == expected


@pytest.mark.parametrize("n_frames", [1, 2, 15])
def test_A22_a_video_under_sixteen_frames_is_one_segment(n_frames: int) -> None:
    pts_s, end_s = constant_rate(n_frames)
    cuts = [1] if n_frames > 1 else []
    assert segments(cuts, pts_s, end_s, max_len_s=0.01, min_len_frames=16) == [(0, n_frames)]


def test_an_empty_video_has_no_segments() -> None:
    assert segments([], np.empty(0), 0.0, max_len_s=3.0, min_len_frames=16) == []


def test_a_low_frame_rate_keeps_sixteen_frames_rather_than_the_longest_duration() -> None:
    pts_s, end_s = constant_rate(64, fps=4.0)  # 16 s; 3 s would be 12 frames
    found = segments([], pts_s, end_s, max_len_s=3.0, min_len_frames=16)
    assert found == [(0, 16), (16, 32), (32, 48), (48, 64)]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40).map(sorted), st.floats(-10.0, 110.0))
def test_nearest_frame_is_at_the_least_distance(times_s: list[float], time_s: float) -> None:
    found = nearest_frame(time_s, np.array(times_s))
    assert abs(times_s[found] - time_s) == min(abs(t - time_s) for t in times_s)


@dataclass(frozen=True, eq=False)
class Video:
    """Frames as a fingerprint holds them."""

    pts_s: np.ndarray
    end_s: float
    content: np.ndarray
    phash: np.ndarray
    thumbs: np.ndarray


def still(n_frames: int) -> Video:
    pts_s, end_s = constant_rate(n_frames)
    thumbs = np.tile(np.arange(256, dtype=np.uint8).reshape(16, 16), (n_frames, 1, 1))
    return Video(pts_s, end_s, np.zeros((n_frames, 3)), np.zeros(n_frames, np.uint64), thumbs)


SEGMENT = Params.load(Path(__file__).parents[1] / "params.yaml").segment


@pytest.mark.parametrize("method", ["shots", "kts"])
def test_a_cut_in_the_differences_becomes_a_segment_boundary(method: str) -> None:
    video = still(100)
    video.content[40] = 80.0
    params = dataclasses.replace(SEGMENT, method=method)
    assert segment_video(video, params) == [(0, 40), (40, 100)]


@pytest.mark.parametrize("method", ["shots", "transnetv2", "kts"])
def test_every_method_tiles_the_video_within_the_limits(method: str) -> None:
    rng = np.random.default_rng(0)
    n_frames = 700
    pts_s, end_s = constant_rate(n_frames)
    video = Video(
        pts_s,
        end_s,
        rng.gamma(1.5, 8, (n_frames, 3)),
        rng.integers(0, 2**64, n_frames, np.uint64),
        rng.integers(0, 256, (n_frames, 16, 16), np.uint8),
    )
    params = dataclasses.replace(SEGMENT, method=method)
    found = segment_video(video, params, transitions=rng.random(n_frames))
    assert [start for start, _ in found[1:]] == [end for _, end in found[:-1]]
    assert (found[0][0], found[-1][1]) == (0, n_frames)
    lengths = [end - start for start, end in found]
    assert min(lengths) >= params.min_len_frames
    # Half a frame at either end.
    assert max(lengths) <= params.max_len_s * FPS + 1


def test_the_network_is_asked_for_and_never_replaced_in_silence() -> None:
    with pytest.raises(ValueError, match="transnetv2"):
        segment_video(still(100), dataclasses.replace(SEGMENT, method="transnetv2"))


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        pytest.param([9], [10], id="hard-cut-marks-the-last-old-frame"),
        pytest.param([10, 11, 12, 13], [12], id="long-transition-in-its-middle"),
        pytest.param([0, 1, 2], [], id="fade-in-at-the-start"),
        pytest.param([18, 19], [], id="fade-out-at-the-end"),
        pytest.param([4, 9], [5, 10], id="two"),
        pytest.param([], [], id="none"),
    ],
)
def test_probabilities_become_cuts(marked: list[int], expected: list[int]) -> None:
    probability = np.zeros(20)
    probability[marked] = 0.9
    assert cuts_between(probability, threshold=0.5) == expected


def test_a_hundred_thousand_short_shots_take_no_quadratic_time() -> None:
    pts_s, end_s = constant_rate(300_000)
    found = segments(list(range(3, 300_000, 3)), pts_s, end_s, max_len_s=3.0, min_len_frames=16)
    assert found[-1][1] == 300_000
