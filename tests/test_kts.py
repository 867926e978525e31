"""Kernel temporal segmentation, against trying every division."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video2gif.shots.kts import best_cuts, change_points, descriptors


def scatter(part: np.ndarray) -> float:
    return float(((part - part.mean(axis=0)) ** 2).sum())


def cost(samples: np.ndarray, cuts: tuple[int, ...], penalty: float) -> float:
    n, m = len(samples), len(cuts)
    whole = sum(scatter(samples[a:b]) for a, b in pairwise([0, *cuts, n]))
    growth = m / (2 * n) * (np.log(n / m) + 1) if m else 0.0
    return whole / n + penalty * growth


def allowed(n: int, cuts: tuple[int, ...], shortest: int, longest: int) -> bool:
    return all(shortest <= b - a <= longest for a, b in pairwise([0, *cuts, n]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 6),
    st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    st.integers(0, 2**31),
)
def test_no_division_is_better(n: int, shortest: int, more: int, penalty: float, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(size=(n, 3))
    longest = shortest + more
    every = [
        cuts
        for m in range(n)
        for cuts in combinations(range(1, n), m)
        if allowed(n, cuts, shortest, longest)
    ]
    found = tuple(best_cuts(samples, shortest=shortest, longest=longest, penalty=penalty))
    if not every:
        assert found == ()
        return
    assert allowed(n, found, shortest, longest) or n < shortest
    least = min(cost(samples, cuts, penalty) for cuts in every)
    assert cost(samples, found, penalty) == pytest.approx(least)


def scene(seed: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    phash = np.full(n_frames, rng.integers(0, 2**64, dtype=np.uint64))
    picture = rng.integers(0, 256, (16, 16), np.uint8)
    noise = rng.integers(0, 3, (n_frames, 16, 16), np.uint8)
    return phash, np.tile(picture // 2, (n_frames, 1, 1)) + noise


def test_the_content_of_a_shot_decides_where_it_is_divided() -> None:
    first, second = scene(1, 100), scene(2, 60)
    found = change_points(
        phash=np.concatenate([first[0], second[0]]),
        thumbs=np.concatenate([first[1], second[1]]),
        pts_s=np.arange(160) / 25,
        end_s=6.4,
        min_len_frames=16,
        max_len_s=10.0,
        penalty=1.0,
    )
    assert found == [100]


@pytest.mark.parametrize("n_frames", [1, 15, 31])
def test_a_shot_too_short_for_two_parts_stays_whole(n_frames: int) -> None:
    phash, thumbs = scene(1, n_frames)
    found = change_points(
        phash=phash,
        thumbs=thumbs,
        pts_s=np.arange(n_frames) / 25,
        end_s=n_frames / 25,
        min_len_frames=16,
        max_len_s=3.0,
        penalty=1.0,
    )
    assert found == []


def test_descriptors_are_means_of_signs_and_of_normalised_pictures() -> None:
    phash, thumbs = scene(3, 25)
    found = descriptors(phash, thumbs, step=10)
    assert found.shape == (3, 64 + 256)
    bits = np.array([int(bit) for bit in f"{int(phash[0]):064b}"])
    np.testing.assert_allclose(found[:, :64], np.tile((2 * bits - 1) / np.sqrt(128), (3, 1)))
    picture = thumbs[20:25].astype(float).reshape(5, -1)
    picture -= picture.mean(axis=1, keepdims=True)
    picture /= np.linalg.norm(picture, axis=1, keepdims=True)
    np.testing.assert_allclose(found[2, 64:], picture.mean(axis=0) / np.sqrt(2))


def test_flat_frames_are_no_content() -> None:
    flat = descriptors(np.zeros(10, np.uint64), np.full((10, 16, 16), 7, np.uint8), step=5)
    assert np.isfinite(flat).all()
    assert not flat[:, 64:].any()


def test_an_hour_in_one_shot_takes_seconds() -> None:
    phash, thumbs = scene(1, 90_000)
    found = change_points(
        phash=phash,
        thumbs=thumbs,
        pts_s=np.arange(90_000) / 25,
        end_s=3600.0,
        min_len_frames=16,
        max_len_s=3.0,
        penalty=1.0,
    )
    lengths = np.diff([0, *found, 90_000])
    assert lengths.min() >= 16
    assert lengths.max() <= 3.0 * 25 + 5
