"""What a frame shows, without a network: light, text, sharpness, motion.

`NAMES` says which numbers a frame has; fingerprint/defects.py reads them. Levels are those of 8-bit
luma, 0 to 255. Black bars at the picture's edges are measured first and left out of all the rest.

Sums are of whole numbers, exact in any order; only the least squares of `motion` are not, so its
results are rounded. Equal pixels give equal bytes on every processor.
"""

from typing import NamedTuple

import cv2
import numpy as np

from video2gif.fingerprint.phash import LUMA_SIDE

NAMES = (
    "bars",
    "brightness",
    "contrast",
    "brightest",
    "plain",
    "sharpness",
    "change",
    "relit",
    "motion",
)
"""bars: share of the picture that is black rows and columns at its edges (letterbox, pillarbox).
brightness, contrast: mean and standard deviation of luma.
brightest: the level that one pixel in fifty exceeds: low only where all is dark.
plain: share of pixels near one of the two commonest levels: a card of text consists of them.
sharpness: mean absolute Laplacian over contrast: how much fine detail there is; about 0.1 for a
    blurred picture, 0.5 for a crisp one.
change: root mean square of the difference from the frame before.
relit: what is left of it when the best change of brightness and contrast is taken out.
motion: what is left when the best affine move of the camera (shift, zoom, turn) is taken out too.
The first frame changes by nothing.
"""

_BLACK = 24  # A row whose brightest pixel is at most this is a bar: compressed black has noise.
_NEAR = 6  # Levels: noise of a flat area, and less than a gradient.
_BRIGHT_SHARE = 0.98
_MOTION_SIDE = 32
_GRAIN = 64  # Motion is kept in 64ths of a level: coarser than any processor's rounding.
_RIDGE = 1e-4  # Of each column's own square: a flat picture has no unique camera move.


class Detail(NamedTuple):
    """What is measured on the larger picture."""

    plain: float
    sharpness: float


class Previous:
    """The frame before the next block, which motion is measured from."""

    def __init__(self) -> None:
        self.luma_6464: np.ndarray | None = None


def cues(luma_N6464: np.ndarray, detail: list[Detail], previous: Previous) -> np.ndarray:
    """The numbers of `NAMES` of a block of frames, float32 (n, 9). Moves `previous` on."""
    inside = ~_bars(luma_N6464)
    first = luma_N6464[:1] if previous.luma_6464 is None else previous.luma_6464[None]
    previous.luma_6464 = luma_N6464[-1].copy()
    n_inside = inside.sum(axis=(1, 2))
    mean, deviation = _moments(luma_N6464, inside)
    columns = [
        1 - n_inside / LUMA_SIDE**2,
        mean,
        deviation,
        _brightest(luma_N6464),
        [one.plain for one in detail],
        [one.sharpness for one in detail],
        *motion(np.concatenate([first, luma_N6464])),
    ]
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=1)


def detail(picture_bgr: np.ndarray) -> Detail:
    """Of a uint8 (h, w, 3 or 4) picture of at most 256 pixels a side."""
    code = cv2.COLOR_BGRA2GRAY if picture_bgr.shape[2] == 4 else cv2.COLOR_BGR2GRAY
    gray = _without_bars(cv2.cvtColor(picture_bgr, code))
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    rough = cv2.norm(cv2.Laplacian(gray, cv2.CV_16S), cv2.NORM_L1) / gray.size
    return Detail(_two_levels(counts) / gray.size, rough / (_deviation(counts) + 1))


def _deviation(counts: np.ndarray) -> float:
    """Standard deviation of the levels 0 to 255 that occur so often."""
    levels = np.arange(256.0)
    n, total, squares = counts.sum(), counts @ levels, counts @ levels**2
    return float(np.sqrt(n * squares - total * total) / n)


def _two_levels(counts: np.ndarray) -> float:
    """Pixels within `_NEAR` of the commonest level, and of the commonest one away from it."""
    near = np.convolve(counts, np.ones(2 * _NEAR + 1), "same")
    best = int(near.argmax())
    apart = near.copy()
    apart[max(0, best - 2 * _NEAR) : best + 2 * _NEAR + 1] = 0
    return float(near[best] + apart.max())


def _without_bars(gray: np.ndarray) -> np.ndarray:
    """The picture between its black bars; the whole of one that is all black."""
    rows, columns = (gray.max(axis=axis) > _BLACK for axis in (1, 0))
    if not rows.any():
        return gray
    (top, bottom), (left, right) = (np.flatnonzero(one)[[0, -1]] for one in (rows, columns))
    return np.ascontiguousarray(gray[top : bottom + 1, left : right + 1])


def _bars(luma_N6464: np.ndarray) -> np.ndarray:
    """Which pixels are bars, bool (n, 64, 64): none in a frame that is black all over."""
    rows = _at_edges(luma_N6464.max(axis=2) <= _BLACK)
    columns = _at_edges(luma_N6464.max(axis=1) <= _BLACK)
    return rows[:, :, None] | columns[:, None, :]


def _at_edges(is_black: np.ndarray) -> np.ndarray:
    """Of a line of flags (n, 64) those that reach an edge without a gap."""
    from_start = np.logical_and.accumulate(is_black, axis=1)
    from_end = np.logical_and.accumulate(is_black[:, ::-1], axis=1)[:, ::-1]
    return (from_start | from_end) & ~is_black.all(axis=1, keepdims=True)


def _moments(luma_N6464: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the pixels inside, float64 (n,) each."""
    values = np.where(inside, luma_N6464, 0).astype(np.int64)
    n = inside.sum(axis=(1, 2))
    sums, squares = values.sum(axis=(1, 2)), (values * values).sum(axis=(1, 2))
    return sums / n, np.sqrt(n * squares - sums * sums) / n


def _brightest(luma_N6464: np.ndarray) -> np.ndarray:
    flat = luma_N6464.reshape(len(luma_N6464), -1)
    place = int(_BRIGHT_SHARE * flat.shape[1])
    return np.partition(flat, place, axis=1)[:, place]


def motion(luma_N6464: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """change, relit and motion (see `NAMES`) of all frames but the first, float64 (n - 1,) each.

    Least squares: the difference of two frames is explained by the gradient of their mean times an
    affine move, by the frame itself times a gain, and by an offset (Lucas and Kanade's equation,
    IJCAI 1981, for the whole picture). One step at 32×32 pixels follows moves of up to about 3 %
    of the width a frame.
    """
    before, after = (_halved(part) for part in (luma_N6464[:-1], luma_N6464[1:]))
    both = before + after
    along_x = (both[:, 1:-1, 2:] - both[:, 1:-1, :-2]).reshape(len(both), -1)
    along_y = (both[:, 2:, 1:-1] - both[:, :-2, 1:-1]).reshape(len(both), -1)
    x, y = _places(_MOTION_SIDE - 2)
    own = before[:, 1:-1, 1:-1].reshape(len(both), -1)
    light = [own, np.ones_like(own)]
    moves = [along_x, along_x * x, along_x * y, along_y, along_y * x, along_y * y]
    difference = (after - before)[:, 1:-1, 1:-1].reshape(len(both), -1)
    scale = 4 * np.sqrt(difference.shape[1])  # Pixels are sums of four.
    left = (
        np.einsum("np,np->n", difference, difference),
        _unexplained(light, difference),
        _unexplained([*light, *moves], difference),
    )
    change, relit, moved = (np.round(np.sqrt(one) / scale * _GRAIN) / _GRAIN for one in left)
    return change, relit, moved


def _unexplained(columns: list[np.ndarray], target: np.ndarray) -> np.ndarray:
    """Squared error (n,) of the least squares of `target` (n, p) on columns (n, p) each."""
    inputs = np.stack(columns, axis=1)
    products = inputs @ inputs.transpose(0, 2, 1)
    towards = np.einsum("nip,np->ni", inputs, target)
    # Each column is scaled to length 1, so that the ridge weighs on all alike.
    sizes = np.sqrt(np.maximum(np.einsum("nii->ni", products), 1))
    products /= sizes[:, :, None] * sizes[:, None, :]
    towards /= sizes
    ridge = _RIDGE * np.eye(len(columns))
    weights = np.linalg.solve(products + ridge, towards[..., None])[..., 0]
    explained = 2 * np.einsum("ni,ni->n", weights, towards) - np.einsum(
        "ni,nij,nj->n", weights, products, weights
    )
    return np.maximum(np.einsum("np,np->n", target, target) - explained, 0)


def _halved(luma_N6464: np.ndarray) -> np.ndarray:
    """Sums of 2×2 pixels, float64 (n, 32, 32): whole numbers up to 1020."""
    pixels = luma_N6464.astype(np.float64)
    rows = pixels[:, ::2] + pixels[:, 1::2]
    return np.asarray(rows[:, :, ::2] + rows[:, :, 1::2])


def _places(side: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of each pixel of a square from its middle, in half pixels: whole numbers (p,)."""
    at = 2.0 * np.arange(side) - (side - 1)
    x, y = np.meshgrid(at, at)
    return x.ravel(), y.ravel()
