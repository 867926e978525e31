"""64-bit perceptual hashes of whole frames, and of windows in them.

`phash` equals `imagehash.phash` bit for bit on the same 32×32 luma image. It takes the 8×8 lowest
frequencies of the image's DCT-II; each gives a bit, which says whether it is above their median.
Bits are numbered row by row, the most significant first, as in `imagehash`'s hexadecimal strings.

GIF makers crop, letterbox and write captions. So every frame also gets the hashes of `WINDOWS`: a
GIF that was cropped by 10 % looks like the central 90 % of its video, and one with a caption agrees
with its video in the window without the caption. The hash of a window is the same hash, of the
window resampled to 32×32. Resampling and DCT are linear, so together they are two small matrix
products (`window_hashes`). They are products of whole numbers, exact on every processor.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from video2gif.core.exact import grid
from video2gif.fingerprint.dct import dct

HASH_SIDE = 32
"""Side of the luma image that a hash is made of, pixels."""
LUMA_SIDE = 64
"""Side of the luma image that windows are cut from, pixels."""

_BITS_SIDE = 8
_ODD_COLUMNS = np.uint64(0x5555_5555_5555_5555)
# In a flat window all coefficients should be 0, but the transforms are rounded to a grid: 0.75 was
# the most over all grey levels and windows. Smaller ones than this count as 0; the largest is
# 4 · 255 · 32² = 1,044,480.
_SMALLEST_COEFFICIENT = 1.0
_TRANSFORM_BITS = 16  # After the point: a coefficient then has 20 + 2 · 16 bits of float64's 53.


class Window(NamedTuple):
    """A part of a frame, as fractions of its width and height."""

    x0: float
    y0: float
    x1: float
    y1: float

    def inside(self, outer: "Window") -> "Window":
        """This window, taken inside the window `outer`, as fractions of the whole frame."""
        width, height = outer.x1 - outer.x0, outer.y1 - outer.y0
        return Window(
            outer.x0 + self.x0 * width,
            outer.y0 + self.y0 * height,
            outer.x0 + self.x1 * width,
            outer.y0 + self.y1 * height,
        )


WHOLE = Window(0.0, 0.0, 1.0, 1.0)
UPPER = Window(0.0, 0.0, 1.0, 0.75)  # without a caption at the bottom
LOWER = Window(0.0, 0.25, 1.0, 1.0)  # without a caption at the top


def _centre(share: float) -> Window:
    margin = (1.0 - share) / 2
    return Window(margin, margin, 1.0 - margin, 1.0 - margin)


def _corner(share: float, left: bool, top: bool) -> Window:
    x, y = 0.0 if left else 1.0 - share, 0.0 if top else 1.0 - share
    return Window(x, y, x + share, y + share)


CROPS = (
    *(_centre(share) for share in (1.0, 0.94, 0.9, 0.85)),
    *(_corner(0.85, left, top) for left in (True, False) for top in (True, False)),
)
"""What cropping may leave of a video's picture. A hash tolerates a crop that is 5 % off."""

PARTS = (WHOLE, UPPER, LOWER)
"""Parts of a GIF's picture that may be free of captions. All are as wide as the picture, so they
are the same parts in a mirrored picture."""
BAND = Window(0.0, 0.125, 1.0, 0.875)  # a 16:9 picture letterboxed in 4:3

WINDOWS: tuple[Window, ...] = (
    *(part.inside(crop) for crop in CROPS for part in PARTS if (part, crop) != (WHOLE, WHOLE)),
    BAND,
)
"""The windows of `window_hashes`, in the order of its columns."""


def phash(luma_N3232: np.ndarray) -> np.ndarray:
    """Hashes uint64 (n,) of uint8 luma images (n, 32, 32); equal to `imagehash.phash`'s.

    float64 and the order of the two transforms are those of imagehash. With other arithmetic the
    hashes of constant images would differ, because their coefficients are only rounding errors.
    """
    columns = dct(luma_N3232.astype(np.float64).transpose(0, 2, 1), _BITS_SIDE)
    return _bits(dct(columns.transpose(0, 2, 1), _BITS_SIDE))


def window_hashes(luma_N6464: np.ndarray) -> np.ndarray:
    """Hashes uint64 (n, len(WINDOWS)) of the windows of uint8 luma images (n, 64, 64)."""
    n = len(luma_N6464)
    across, downs, order = _window_transforms()
    # Many small products stay in the processor's cache and in this thread. One large product would
    # start the threads of BLAS, which use a core each even while they wait.
    rows_NHC = np.matmul(luma_N6464.astype(np.float64), across)
    low_NRF = np.empty((n, len(WINDOWS) * _BITS_SIDE, _BITS_SIDE))
    done = 0
    for number, down in enumerate(downs):
        column = rows_NHC[:, :, number * _BITS_SIDE : (number + 1) * _BITS_SIDE]
        np.matmul(down, column, out=low_NRF[:, done : done + len(down)])
        done += len(down)
    low_NRF[np.abs(low_NRF) < _SMALLEST_COEFFICIENT] = 0.0
    hashes = np.empty((n, len(WINDOWS)), dtype=np.uint64)
    hashes[:, order] = _bits(low_NRF.reshape(-1, _BITS_SIDE, _BITS_SIDE)).reshape(n, -1)
    return hashes


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """Hashes of the mirrored frames, computed from the hashes alone; an approximation.

    Mirroring changes the sign of the DCT's odd columns. The median is near zero, so their bits
    flip. That is wrong for coefficients between the median and its negative: about 2 bits of 64 in
    photographs.
    """
    return hashes ^ _ODD_COLUMNS


def quality(luma_N3232: np.ndarray) -> np.ndarray:
    """How much evidence a frame's hash carries, float32 (n,) in [0, 1]; flat frames have 0.

    It grows with the luma's standard deviation: 0 up to 2 levels, where the hash is that of
    compression noise, and 1 from 12 levels on, where there is a picture.
    """
    deviation = luma_N3232.reshape(len(luma_N3232), -1).std(axis=1, dtype=np.float64)
    return np.clip((deviation - 2.0) / 10.0, 0.0, 1.0).astype(np.float32)


def _bits(low_N88: np.ndarray) -> np.ndarray:
    low_N64 = low_N88.reshape(-1, _BITS_SIDE * _BITS_SIDE)
    # The median of 64 numbers is the mean of the middle two. Sorting is ten times as fast here as
    # np.median.
    middle = np.sort(low_N64, axis=1)[:, 31:33]
    bits = low_N64 > middle.mean(axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


@cache
def _transform(start: float, stop: float) -> np.ndarray:
    """A matrix (8, 64): resample [start, stop) of 64 pixels to 32, then take 8 low frequencies."""
    edges = np.linspace(start, stop, HASH_SIDE + 1) * LUMA_SIDE
    pixels = np.arange(LUMA_SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    bins = np.clip(overlap, 0.0, None) / (edges[1] - edges[0])
    transform = np.einsum("fb,bp->fp", dct(np.eye(HASH_SIDE), _BITS_SIDE).T, bins)
    return grid(transform, _TRANSFORM_BITS)


@cache
def _window_transforms() -> tuple[np.ndarray, list[np.ndarray], list[int]]:
    """Transforms of rows and of columns, and the window that each result belongs to.

    Windows with the same left and right edges share the transform of their rows: `across` float64
    (64, 8 · C) has one for each of the C pairs of edges, `downs` has C matrices (8 · windows, 64).
    """
    columns = sorted({(window.x0, window.x1) for window in WINDOWS})
    across = np.concatenate([_transform(*column) for column in columns]).T
    numbers = [[i for i, w in enumerate(WINDOWS) if (w.x0, w.x1) == column] for column in columns]
    downs = [
        np.concatenate([_transform(WINDOWS[i].y0, WINDOWS[i].y1) for i in group])
        for group in numbers
    ]
    return (
        np.ascontiguousarray(across),
        downs,
        [i for group in numbers for i in group],
    )
