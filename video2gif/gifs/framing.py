"""Which part of a picture a GIF shows: without black bars, and in another shape about its subject.

One part for the whole GIF. What matters in a picture is guessed from what moves on its own and what
differs from its surroundings; docs/benchmarks/gif.md has what was tried.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

SIDE = 180
"""Height of the pictures that are looked at, px."""
_BLACK = 24  # levels; compressed black has noise (as in fingerprint.cues)
_LEAST = 0.3  # A picture that is narrower than this between its bars is dark, not barred.
_MOTION, _APART = 1.0, 0.5  # Weights; docs/benchmarks/gif.md has others.
_FARTHEST = 8.0  # px; a flow is seldom right beyond it
_SAMPLED, _ROUNDS = 7, 4  # of the pixels, of the search for the camera's move
_NEAR, _WIDE = 3.0, 30.0  # px
_BLUR = 0.05  # of the height


@dataclass(frozen=True)
class Part:
    """A rectangle as shares of the picture's width and height."""

    x0: float = 0.0
    y0: float = 0.0
    x1: float = 1.0
    y1: float = 1.0

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0


WHOLE = Part()


def part_shown(pictures: Sequence[np.ndarray], *, aspect: str, cut_bars: bool) -> Part:
    """The part of pictures uint8 (h, w, 3), all of one moment, in square pixels.

    `aspect`: width to height as "9:16", or "" for the picture's own.
    """
    part = _between_bars(pictures) if cut_bars else WHOLE
    if not aspect:
        return part
    height, width = pictures[0].shape[:2]
    rows = slice(round(part.y0 * height), round(part.y1 * height))
    columns = slice(round(part.x0 * width), round(part.x1 * width))
    inner = np.stack([one[rows, columns] for one in pictures])
    size = _largest(inner.shape[2], inner.shape[1], ratio_of(aspect))
    left, top = _best_place(what_matters(inner), size)
    x0, y0 = part.x0 + left / width, part.y0 + top / height
    return Part(x0, y0, x0 + size[0] / width, y0 + size[1] / height)


def ratio_of(aspect: str) -> float:
    """Width over height."""
    across, down = (float(one) for one in aspect.split(":"))
    return across / down


def _between_bars(pictures: Sequence[np.ndarray]) -> Part:
    """Without the rows and columns at the edges that are black in all pictures."""
    brightest = np.max([one.max(axis=2) for one in pictures], axis=0)
    edges = []
    for axis, length in ((1, brightest.shape[0]), (0, brightest.shape[1])):
        lit = np.flatnonzero(brightest.max(axis=axis) > _BLACK)
        if not len(lit) or lit[-1] + 1 - lit[0] < _LEAST * length:
            return WHOLE
        # The bar's edge is blurred over one more row.
        start = (lit[0] + 1) / length if lit[0] else 0.0
        end = lit[-1] / length if lit[-1] + 1 < length else 1.0
        edges.append((start, end))
    (y0, y1), (x0, x1) = edges
    return Part(x0, y0, x1, y1)


def _largest(width: int, height: int, ratio: float) -> tuple[int, int]:
    """The largest size of that shape inside."""
    if width / height > ratio:
        return max(1, round(height * ratio)), height
    return width, max(1, round(width / ratio))


def what_matters(pictures: np.ndarray) -> np.ndarray:
    """How much each pixel of pictures uint8 (n, h, w, 3) counts, float64 (h, w)."""
    moving = _own_motion(np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in pictures])) ** 2
    apart = _apart(pictures)
    return np.asarray(_MOTION * moving / moving.mean() + _APART * apart / apart.mean())


def _own_motion(grey: np.ndarray) -> np.ndarray:
    """How far each pixel of uint8 (n, h, w) moves otherwise than the camera, pixels in all."""
    total = np.full(grey.shape[1:], 1e-3)
    for before, after in pairwise(grey):
        flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 2, 5, 1.1, 0)  # type: ignore[call-overload]
        total += np.minimum(np.abs(flow - _camera(flow)).sum(axis=2), _FARTHEST)
    return _blurred(total)


def _camera(flow: np.ndarray) -> np.ndarray:
    """The affine move (h, w, 2) that most of the picture shares: least squares, outliers weigh less
    (Cauchy's weights with a scale of one pixel)."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    places = np.stack([np.ones(flow[..., 0].size), x.ravel() / width, y.ravel() / height], axis=1)
    some, moves = places[::_SAMPLED], flow.reshape(-1, 2)[::_SAMPLED].astype(np.float64)
    weights = np.ones((len(some), 1))
    for _ in range(_ROUNDS):
        solved = np.linalg.lstsq(some * weights, moves * weights, rcond=None)[0]
        off = np.abs(moves - some @ solved).sum(axis=1, keepdims=True)
        weights = 1 / np.sqrt(1 + off**2)
    return (places @ solved).reshape(flow.shape)


def _apart(pictures: np.ndarray) -> np.ndarray:
    """How much the colour of a place differs from that of its wider surroundings."""
    total = np.full(pictures.shape[1:3], 1e-3)
    for one in pictures[::3]:
        lab = cv2.cvtColor(one, cv2.COLOR_RGB2LAB).astype(np.float32)
        near, wide = (cv2.GaussianBlur(lab, (0, 0), sigma) for sigma in (_NEAR, _WIDE))
        total += np.sqrt(((near - wide) ** 2).sum(axis=2))
    return _blurred(total)


def _blurred(one: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(one, (0, 0), max(1.0, _BLUR * one.shape[0]))


def _best_place(matters: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the window that holds most; of equals the one nearest to the middle."""
    width, height = size
    sums = cv2.integral(np.round(matters * 1024).astype(np.float64))
    held = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
    held = held + sums[:-height, :-width]
    y, x = np.mgrid[: held.shape[0], : held.shape[1]]
    off = np.abs(2 * x - (held.shape[1] - 1)) + np.abs(2 * y - (held.shape[0] - 1))
    best = np.lexsort((x.ravel(), y.ravel(), off.ravel(), -held.ravel()))[0]
    return int(x.ravel()[best]), int(y.ravel()[best])


def even(value: float) -> int:
    """The nearest even number, at least 2."""
    return max(2, 2 * math.floor(value / 2 + 0.5))
