"""Thumbnails at another size: the best guess of what a crop would have been shrunk to."""

import numpy as np
import pytest

from video2gif.fingerprint.track import THUMB_SIDE
from video2gif.matching.refine import resampler


def test_the_whole_picture_stays_as_it_is() -> None:
    # Weights are float32.
    np.testing.assert_allclose(resampler(0.0, 1.0, THUMB_SIDE), np.eye(THUMB_SIDE), atol=1e-6)


@pytest.mark.parametrize("box", [(0.1, 0.9), (0.0, 0.5), (-1 / 6, 7 / 6)])
def test_an_even_picture_stays_even(box: tuple[float, float]) -> None:
    np.testing.assert_allclose(resampler(*box, 32).sum(axis=1), 1.0, atol=1e-5)


def test_pixels_of_half_the_size_average_to_the_old_ones() -> None:
    pairs = resampler(0.0, 1.0, 2 * THUMB_SIDE).reshape(THUMB_SIDE, 2, THUMB_SIDE).mean(axis=1)
    np.testing.assert_allclose(pairs, np.eye(THUMB_SIDE), atol=1e-6)


def test_no_linear_guess_of_a_random_walk_is_better() -> None:
    """Weights fitted to simulated walks, and interpolation, err more on other walks."""
    rng, fine = np.random.default_rng(0), 12  # steps of the walk a pixel
    start, stop = 2.5 / THUMB_SIDE, 14.5 / THUMB_SIDE  # Twelve pixels, each between two old ones.
    walks = rng.normal(size=(40_000, THUMB_SIDE * fine)).cumsum(axis=1)
    pixels = walks.reshape(len(walks), THUMB_SIDE, fine).mean(axis=2)
    inside = slice(round(2.5 * fine), round(14.5 * fine))
    wanted = walks[:, inside].reshape(len(walks), 12, fine).mean(axis=2)
    half = len(walks) // 2

    def error(weights: np.ndarray) -> float:
        return float(((pixels[half:] @ weights.T - wanted[half:]) ** 2).mean())

    ours = error(resampler(start, stop, 12))
    fitted = np.linalg.lstsq(pixels[:half], wanted[:half], rcond=None)[0].T
    between = (np.eye(12, THUMB_SIDE, 2) + np.eye(12, THUMB_SIDE, 3)) / 2
    assert ours == pytest.approx(error(fitted), rel=0.02)  # Walks have steps; ours has none.
    assert ours < 0.9 * error(between)
