"""pHash against imagehash, and what its windows promise."""

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from video2gif.fingerprint import phash as ph

RNG = np.random.default_rng(7)


def as_int(image: np.ndarray) -> int:
    return int(str(imagehash.phash(Image.fromarray(image))), 16)


def smooth(n: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Images with most energy in low frequencies, as pictures have."""
    spectrum = rng.normal(size=(n, side, side)) + 1j * rng.normal(size=(n, side, side))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    picture = np.fft.ifft2(spectrum / (frequency + 1 / side) ** 1.5).real
    low, high = picture.min((1, 2), keepdims=True), picture.max((1, 2), keepdims=True)
    return ((picture - low) / (high - low) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "images",
    [
        pytest.param(RNG.integers(0, 256, (200, 32, 32), np.uint8), id="noise"),
        pytest.param(smooth(200, 32, RNG), id="pictures"),
        pytest.param(RNG.integers(0, 2, (200, 32, 32), np.uint8), id="almost-flat"),
        pytest.param(
            np.repeat(np.arange(256, dtype=np.uint8), 1024).reshape(256, 32, 32), id="flat"
        ),
        pytest.param(np.zeros((0, 32, 32), np.uint8), id="none"),
    ],
)
def test_phash_equals_imagehash_on_the_same_image(images: np.ndarray) -> None:
    assert ph.phash(images).tolist() == [as_int(image) for image in images]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_a_hash_does_not_depend_on_the_batch(seed: int, n: int) -> None:
    images = smooth(n, 32, np.random.default_rng(seed))
    assert ph.phash(images).tolist() == [int(ph.phash(images[i : i + 1])[0]) for i in range(n)]


def test_a_window_hashes_like_the_window_cut_out() -> None:
    luma = smooth(60, 64, RNG)
    hashes = ph.window_hashes(luma)
    column = ph.WINDOWS.index(ph.UPPER)
    cut = luma[:, :48].reshape(60, 48, 32, 2).mean(axis=3)  # upper three quarters, half as wide
    rows = np.repeat(np.arange(48), 2).reshape(32, 3)  # 32 bins of 1.5 pixels
    oracle = cut[:, rows].mean(axis=2)
    rounded = ph.phash(np.round(oracle).astype(np.uint8))
    # Rounding to whole levels moves a few coefficients past the median.
    assert np.bitwise_count(rounded ^ hashes[:, column]).mean() < 2


def test_window_hashes_are_those_of_double_precision() -> None:
    luma = np.concatenate([smooth(100, 64, RNG), RNG.integers(0, 256, (100, 64, 64), np.uint8)])
    hashes = ph.window_hashes(luma)
    apart = 0
    for column, window in enumerate(ph.WINDOWS):
        down = ph._transform(window.y0, window.y1)
        across = ph._transform(window.x0, window.x1)
        low = down @ luma.astype(np.float64) @ across.T
        apart += int(np.bitwise_count(ph._bits(low) ^ hashes[:, column]).sum())
    # Of 307,200 bits; coefficients that nearly equal the median may fall on its other side.
    assert apart < 10


def test_the_mirrored_hash_is_close_to_the_hash_of_the_mirror_image() -> None:
    luma = smooth(200, 64, RNG)
    small = luma[:, ::2, ::2]
    off = np.bitwise_count(ph.mirrored(ph.phash(small)) ^ ph.phash(small[:, :, ::-1]))
    assert off.mean() < 4
    upper = ph.WINDOWS.index(ph.UPPER)
    mirrored = ph.mirrored(ph.window_hashes(luma)[:, upper])
    windows = np.bitwise_count(mirrored ^ ph.window_hashes(luma[:, :, ::-1])[:, upper])
    assert windows.mean() < 4
    assert (ph.mirrored(ph.mirrored(ph.phash(small))) == ph.phash(small)).all()


def test_windows_lie_inside_the_frame_and_gif_parts_are_symmetric() -> None:
    for window in ph.WINDOWS:
        assert -1e-9 <= window.x0 < window.x1 <= 1 + 1e-9
        assert -1e-9 <= window.y0 < window.y1 <= 1 + 1e-9
    assert ph.WHOLE not in ph.WINDOWS
    for part in (*ph.PARTS, ph.BAND):
        assert part.x0 == pytest.approx(1 - part.x1)


def test_flat_frames_carry_no_evidence_and_flat_windows_hash_alike() -> None:
    flat = np.repeat(np.arange(256, dtype=np.uint8), 64 * 64).reshape(256, 64, 64)
    assert not ph.quality(flat[:, :32, :32]).any()
    assert len(np.unique(ph.window_hashes(flat[1:]))) == 1
    assert ph.quality(smooth(5, 32, RNG)).min() == 1
