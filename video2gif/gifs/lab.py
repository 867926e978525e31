"""CIELAB in whole numbers, for choosing the colours of a GIF.

In RGB a palette spends too much on bright colours: an error of three levels is seen in a dark green
and not in a light one. In CIELAB equal distances look about equally different (CIE 15:2004).

Everything is in integers, so that the same pixels get the same palette on every processor. They are
small enough that sums of their products are exact in float32, in whatever order they are added.
"""

import numpy as np

CHROMA = 0.5
"""What a difference of hue or chroma counts beside one of lightness. The eye sees less detail in
colour than in light. Chosen on real clips: docs/benchmarks/gif.md, "Colours"."""
PARTS = 4
"""A level of RGB is given in quarters."""

# Fits into the processor's cache. OpenBLAS divides larger products among threads, which wait for
# each other longer than they calculate.
_AT_ONCE = 256

_BITS = 14  # Of light, as part of white. The darkest step is then 0.06 of lightness.
_WHITE = 1 << _BITS
_F_BITS = 16
# From linear sRGB to XYZ, each row divided by the white point D65 (IEC 61966-2-1).
_TO_XYZ = np.array(
    [
        [0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
    ]
)


def _light_of_levels() -> np.ndarray:
    """Linear light of quarter levels, int64 (1021,), 0 to 2^14 (IEC 61966-2-1)."""
    share = np.arange(255 * PARTS + 1) / (255 * PARTS)
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.rint(light * _WHITE).astype(np.int64)


def _f_of_light() -> np.ndarray:
    """CIELAB's f in 65536ths, int64 (2^14 + 1,)."""
    light = np.arange(_WHITE + 1) / _WHITE
    small = light <= (6 / 29) ** 3
    f = np.where(small, light * (29 / 6) ** 2 / 3 + 4 / 29, light ** (1 / 3))
    return np.rint(f * (1 << _F_BITS)).astype(np.int64)


_LIGHT, _F = _light_of_levels(), _f_of_light()
_SUMS = np.rint(_TO_XYZ * _WHITE).astype(np.int64)
_SUMS[:, 1] += _WHITE - _SUMS.sum(axis=1)  # White is white.


def lab_of(quarters_N3: np.ndarray) -> np.ndarray:
    """Tenths of L*, and of a* and b* times `CHROMA`, float32 (n, 3) of whole numbers.

    `quarters_N3`: int (n, 3), red, green and blue in quarter levels, 0 to 1020.
    """
    light = _LIGHT[quarters_N3]
    x, y, z = (_F[(light @ row) >> _BITS] for row in _SUMS)
    found = np.empty(quarters_N3.shape, np.float32)
    found[:, 0] = (1160 * y >> _F_BITS) - 160
    found[:, 1] = round(5000 * CHROMA) * (x - y) >> _F_BITS
    found[:, 2] = round(2000 * CHROMA) * (y - z) >> _F_BITS
    return found


def nearest(points_N3: np.ndarray, colours_M3: np.ndarray) -> np.ndarray:
    """For each point the nearest colour, the first of several; int64 (n,). Both as by `lab_of`."""
    # |p - c|² without |p|², which is the same for all colours. Below 2^24, so exact.
    squares = (colours_M3 * colours_M3).sum(axis=1)
    slopes = np.ascontiguousarray(-2 * colours_M3.T)
    found = np.empty(len(points_N3), np.int64)
    for start in range(0, len(points_N3), _AT_ONCE):
        part = points_N3[start : start + _AT_ONCE] @ slopes
        part += squares
        found[start : start + _AT_ONCE] = part.argmin(axis=1)
    return found
