"""Enlarge and look at pictures with the same bytes on every processor.

OpenCV's own float resizing and its warp round as the processor likes. Here sums are of multiples
of small units, which are exact in any order, and pixels lie on OpenCV's grid of 1/32.
"""

from functools import cache

import cv2
import numpy as np

from video2gif.core.exact import grid

_VALUE_BITS, _WEIGHT_BITS = 20, 14  # Of |values| < 16, twice weighed: 4 + 20 + 2 · 14 bits of 53.
_VIEW_BITS = 20
_CUBIC = -0.75  # OpenCV's slope.


def enlarged(values_HW: np.ndarray, size: tuple[int, int], *, cubic: bool) -> np.ndarray:
    """float64 (height, width) of values with |value| < 16, by cubic or linear interpolation.

    `size` is (width, height), as in `cv2.resize`, whose centres of pixels these are.
    """
    width, height = size
    down = _weights(values_HW.shape[0], height, cubic)
    across = _weights(values_HW.shape[1], width, cubic)
    return down @ grid(values_HW, _VALUE_BITS) @ across.T


@cache
def _weights(n_from: int, n_to: int, cubic: bool) -> np.ndarray:
    """(n_to, n_from): how much each old pixel counts for each new one; edges repeat."""
    centre = (np.arange(n_to) + 0.5) * (n_from / n_to) - 0.5
    left = np.floor(centre).astype(int)
    reach = range(-1, 3) if cubic else range(2)
    weights = np.zeros((n_to, n_from))
    for offset in reach:
        pixel = np.clip(left + offset, 0, n_from - 1)
        apart = np.abs(centre - (left + offset))
        # Not `+=`: at an edge several offsets fall on one pixel, and all of them count.
        np.add.at(weights, (np.arange(n_to), pixel), _kernel(apart, cubic))
    return grid(weights, _WEIGHT_BITS)


def _kernel(x: np.ndarray, cubic: bool) -> np.ndarray:
    if not cubic:
        return 1.0 - x
    # The cubic convolution kernel of Keys (1981), |x| up to 1 and up to 2.
    near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
    far = ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC
    return np.where(x <= 1, near, far)


def view(picture: np.ndarray, map_23: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What an affine map (from the view to the picture) shows of it; edges are mirrored."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    a, b = grid(map_23, _VIEW_BITS)
    maps = np.stack([a[0] * x + a[1] * y + a[2], b[0] * x + b[1] * y + b[2]])
    steps = np.floor(maps * cv2.INTER_TAB_SIZE + 0.5).astype(int)
    whole, part = np.divmod(steps, cv2.INTER_TAB_SIZE)
    # In OpenCV's fixed-point form: whole pixels, and which of 32 × 32 tables of weights is between
    # them.
    return cv2.remap(
        picture,
        whole.transpose(1, 2, 0).astype(np.int16),
        (part[1] * cv2.INTER_TAB_SIZE + part[0]).astype(np.uint16),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
