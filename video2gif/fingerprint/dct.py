"""The DCT-II of 32 numbers as `scipy.fft.dct` computes it, to the last bit, without SciPy.

A perceptual hash compares coefficients with their median. In flat or symmetric pictures both are
rounding errors, so another way to compute the same numbers gives other hashes. This is pocketfft's:
pairs are added and subtracted, numpy's `irfft` (pocketfft too) does the work, and each output is
turned by a twiddle factor. SciPy would be 140 MB for this one function.

Source: pocketfft (Martin Reinecke), `T_dcst23` and `sincos_2pibyn`. A test compares with SciPy.
"""

import math
from functools import cache

import numpy as np

LENGTH = 32
_HALF = LENGTH // 2


def dct(x_ND: np.ndarray, n_low: int) -> np.ndarray:
    """The `n_low` (at most 16) lowest coefficients along the last axis of float64 (…, 32)."""
    twiddle = _twiddles()
    odd, even = x_ND[..., 1:-1:2], x_ND[..., 2:-1:2]
    half = np.zeros((*x_ND.shape[:-1], _HALF + 1), np.complex128)
    half.real[..., 0], half.real[..., _HALF] = x_ND[..., 0] * 2, x_ND[..., -1] * 2
    half.real[..., 1:_HALF], half.imag[..., 1:_HALF] = odd + even, even - odd
    turned = np.fft.irfft(half, LENGTH, norm="forward")
    k = np.arange(1, n_low)
    low, high = turned[..., k], turned[..., LENGTH - k]
    found = turned[..., :n_low].copy()
    found[..., k] = 0.5 * (
        (twiddle[k] * high + twiddle[LENGTH - k] * low)
        + (twiddle[k] * low - twiddle[LENGTH - k] * high)
    )
    return found


@cache
def _twiddles() -> np.ndarray:
    """cos(2π i / 128) of i = 0 … 31. From 16 on by the addition theorem, as pocketfft has it.

    `math.cos` and not `np.cos`: the latter may differ in the last bit.
    """
    angles = [2 * math.pi * i / (4 * LENGTH) for i in range(_HALF)]
    cosines, sines = (np.array([f(angle) for angle in angles]) for f in (math.cos, math.sin))
    # Both of π / 4: pocketfft takes each from the other's octant, which decides the last bit.
    cosine, sine = math.sin(math.pi / 4), math.cos(math.pi / 4)
    return np.concatenate([cosines, cosines * cosine - sines * sine])
