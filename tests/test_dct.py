"""The DCT of perceptual hashes: SciPy's, bit for bit, so that hashes of flat pictures agree."""

import numpy as np
import pytest
import scipy.fft

from video2gif.fingerprint.dct import LENGTH, dct

_RANDOM = np.random.default_rng(5)
_GREYS = np.repeat(np.arange(256.0), LENGTH).reshape(256, LENGTH)
_HALF = _RANDOM.integers(0, 256, (500, LENGTH // 2)).astype(np.float64)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(_RANDOM.integers(0, 256, (2000, LENGTH)).astype(np.float64), id="bytes"),
        pytest.param(_RANDOM.standard_normal((2000, LENGTH)), id="reals"),
        pytest.param(_GREYS, id="flat"),
        pytest.param(np.hstack([_HALF, _HALF[:, ::-1]]), id="symmetric"),
        pytest.param(np.hstack([_HALF, -_HALF[:, ::-1]]), id="antisymmetric"),
        pytest.param(np.eye(LENGTH), id="one-pixel"),
    ],
)
def test_the_low_coefficients_are_scipys_to_the_last_bit(rows: np.ndarray):
    for n_low in (1, 8, 16):
        assert np.array_equal(dct(rows, n_low), scipy.fft.dct(rows, axis=-1)[:, :n_low])


def test_leading_axes_are_kept():
    pictures = _RANDOM.integers(0, 256, (3, 5, LENGTH)).astype(np.float64)
    assert np.array_equal(dct(pictures, 8), scipy.fft.dct(pictures, axis=-1)[..., :8])
