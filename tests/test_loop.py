"""Where a GIF begins and ends so that it loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import panning, swinging

from video2gif.gifs import loop as seam
from video2gif.gifs.pace import pace_of


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_a_seam_is_perfect_when_the_jump_is_a_usual_step():
    frames = np.stack([np.full((4, 4), 10 * i, np.uint8) for i in (0, 1, 2, 1)])
    found = seam.seam_of(frames)
    assert (found.jump, found.step, found.score) == (10.0, 10.0, 1.0)
    broken = seam.seam_of(frames[:3])
    assert broken.score == pytest.approx((10 + 1) / (20 + 1))


def test_the_chosen_loop_of_a_swing_is_a_whole_period():
    frames = swinging(60, period=20)
    spans = [(a, b) for a in range(0, 8) for b in range(25, 45)]
    found = seam.close_loop(frames, spans=spans, moment=(0, 27), fps=20, wish="auto")
    assert found.mode == "cut"
    assert found.seam.is_good
    assert found.plain.jump > 2 * found.seam.jump


@pytest.mark.parametrize(("wish", "mode"), [("auto", "fade"), ("pingpong", "pingpong")])
def test_a_pan_is_mended(wish: seam.Wish, mode: str):
    frames = panning(40)
    found = seam.close_loop(frames, spans=[(0, 40)], moment=(0, 40), fps=20, wish=wish)
    assert found.mode == mode
    shown = seam.joined(frames, found)
    assert difference(shown[-1], shown[0]) < difference(frames[-1], frames[0]) / 2
    steps = [difference(a, b) for a, b in zip(shown, [*shown[1:], shown[0]], strict=True)]
    assert max(steps) < 4 * np.median(steps)


def test_a_short_pan_is_played_back():
    frames = panning(18)
    found = seam.close_loop(frames, spans=[(0, 18)], moment=(0, 18), fps=20, wish="auto")
    assert found.mode == "pingpong"
    shown = seam.joined(frames, found)
    assert len(shown) == 2 * 18 - 2
    np.testing.assert_array_equal(shown[-1], shown[1])


def test_without_a_wish_for_loops_the_moment_stays_as_it_was_ranked():
    frames = panning(30)
    found = seam.close_loop(frames, spans=[(2, 20)], moment=(5, 25), fps=20, wish="none")
    assert (found.span, found.mode, found.seam) == ((5, 25), "cut", found.plain)


@given(
    st.integers(0, 60),
    st.integers(4, 40),
    st.integers(1, 30),
    st.integers(0, 12),
    st.integers(0, 2**32),
)
def test_shortlisted_spans_stay_inside_the_room(
    start: int, length: int, least: int, slack: int, seed: int
):
    n = 100
    rng = np.random.default_rng(seed)
    moment = start, min(start + length, n)
    room = max(0, start - 5), min(n, start + length + 5)
    least = min(least, room[1] - room[0])
    most = least + 10
    found = seam.shortlist(
        moment=moment,
        room=room,
        min_frames=least,
        max_frames=most,
        slack_frames=slack,
        hold=math.inf,
        pace=pace_of(np.arange(n + 1) / 25, (0, n)),
        hashes=rng.integers(0, 2**63, n, np.uint64),
        thumbs=rng.integers(0, 255, (n, 4, 4), np.uint8),
        content=rng.random((n, 3)),
    )
    assert found
    for a, b in found:
        assert room[0] <= a < b <= room[1]
        assert least <= b - a <= most


def test_a_fade_rounds_to_the_nearest_whole_level():
    rng = np.random.default_rng(5)
    frames = list(rng.integers(0, 256, (9, 4, 6, 3), np.uint8))
    found = seam.joined(frames, seam.Loop((0, 9), "fade", 3, 0.0, 0.0))
    assert len(found) == 6
    for i in range(3):
        wanted = (frames[i] * (i + 1.0) + frames[6 + i] * (3.0 - i)) / 4
        np.testing.assert_array_equal(found[i], np.floor(wanted + 0.5))
    np.testing.assert_array_equal(found[3:], frames[3:6])
