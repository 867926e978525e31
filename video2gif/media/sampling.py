"""Single pixels of a 4:2:0 picture as BGR, with libswscale's own arithmetic.

libswscale converts whole pictures; where one pixel in 25 or 49 is looked at, this takes a quarter
of the time. Formula: libswscale/x86/yuv_2_rgb.asm (16-bit products of which the upper half is
kept) with the coefficients of libswscale/yuv2rgb.c. Builds of libav for other processors round
otherwise: `coefficients` compares, and says when there are none.
"""

from collections.abc import Callable
from functools import cache

import numba
import numpy as np

# sws_getCoefficients: V to red, U to blue, U to green, V to green; of 2**16.
_TABLES = (
    (104597, 132201, 25675, 53279),  # BT.601, and what is not declared
    (117489, 138438, 13975, 34925),  # BT.709
    (104448, 132798, 24759, 53109),  # FCC
    (117579, 136230, 16907, 35559),  # SMPTE 240M
    (110013, 140363, 12277, 42626),  # BT.2020
)
_SIDE = 64

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Y (h, w), U and V (h/2, w/2), uint8."""


def coefficients(convert: Callable[[Planes], np.ndarray]) -> np.ndarray | None:
    """Those (int32) with which `sampled` gives what `convert` does, or None if none do.

    `convert`: Y, U, V to uint8 (h, w, 3 or more) BGR, by libswscale.
    """
    planes = _noise()
    expected = convert(planes)[..., :3]
    found = np.empty((_SIDE, _SIDE, 3), np.uint8)
    for table in _TABLES:
        for full in (False, True):
            candidate = _coefficients(table, full=full)
            sampled(*planes, 1, candidate, found)
            if np.array_equal(found, expected):
                return candidate
    return None


@cache
def _noise() -> Planes:
    rng = np.random.default_rng(0)
    half = _SIDE // 2
    sizes = ((_SIDE, _SIDE), (half, half), (half, half))
    y, u, v = (rng.integers(0, 256, size, dtype=np.uint8) for size in sizes)
    return y, u, v


def _coefficients(table: tuple[int, int, int, int], *, full: bool) -> np.ndarray:
    """What is taken off 8 · Y; factors of Y, V to red, U to blue, U and V to green."""
    red, blue, green_u, green_v = table
    luma, black = (1 << 16) * 255 // 219, 16 << 16
    if full:
        red, blue, green_u, green_v = (part * 224 // 255 for part in table)
        luma, black = 1 << 16, 0
    factors = [luma, red, blue, -green_u, -green_v]
    scaled = [8 * black, *(factor << 13 for factor in factors)]
    return np.array([(value + (1 << 15)) >> 16 for value in scaled], np.int32)


@numba.njit(nogil=True, cache=True)
def sampled(y, u, v, step, factors, out):  # type: ignore[no-untyped-def]
    """Fill out uint8 (h, w, 3) with the pixels at step // 2 + step · (row, column).

    y, u, v: uint8 planes; factors: of `coefficients`.
    """
    height, width = out.shape[:2]
    # 32-bit numbers throughout, row by row: the loop with the products then runs on vectors.
    luma, cb, cr = np.empty((3, width), np.int32)
    blue, green, red = np.empty((3, width), np.uint8)
    black, by_luma, v_red, u_blue, u_green, v_green = factors
    eight, middle, sixteen = np.int32(8), np.int32(1024), np.int32(16)
    least, most = np.int32(0), np.int32(255)
    for i in range(height):
        row = i * step + step // 2
        y_row, u_row, v_row = y[row], u[row >> 1], v[row >> 1]
        for j in range(width):
            column = j * step + step // 2
            luma[j], cb[j], cr[j] = y_row[column], u_row[column >> 1], v_row[column >> 1]
        for j in range(width):
            light = np.int32((luma[j] * eight - black) * by_luma) >> sixteen
            a, b = np.int32(cb[j] * eight - middle), np.int32(cr[j] * eight - middle)
            green_part = (np.int32(a * u_green) >> sixteen) + (np.int32(b * v_green) >> sixteen)
            blue[j] = min(max(np.int32(light + (np.int32(a * u_blue) >> sixteen)), least), most)
            green[j] = min(max(np.int32(light + green_part), least), most)
            red[j] = min(max(np.int32(light + (np.int32(b * v_red) >> sixteen)), least), most)
        for j in range(width):
            out[i, j, 0], out[i, j, 1], out[i, j, 2] = blue[j], green[j], red[j]
