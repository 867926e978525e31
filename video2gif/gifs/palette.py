"""Choose the 255 colours of a GIF, and the one that each of its pixels gets.

Colours are divided at their means where they differ most, and then moved by k-means to the mean of
the pixels that each stands for, in CIELAB (`gifs.lab`). A table gives every pixel its palette
colour. docs/benchmarks/gif.md has what was measured.

All decisions are made in whole numbers: the same pixels give the same bytes on every processor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from video2gif.gifs.lab import PARTS, lab_of, nearest

MAX_COLOURS = 255  # One of the 256 is kept for "as in the frame before".
_ITERATIONS = 4
_BITS = 7
_COARSE = 1  # bit fewer for k-means, whose time grows with the number of boxes
_SIDE = 64  # px; sampled frames are shrunk to this height: a palette needs no detail
_SAMPLED = 32  # A fade has other colours in each frame, so many frames count more than sharp ones.
# A level that no sampled pixel has still gets this share of the mean weight, because other frames
# may have it.
_FLOOR = 0.05


@dataclass(frozen=True)
class Boxes:
    """Colour space in 128 × 128 × 128 boxes, which are smaller where a clip has more pixels."""

    table: np.ndarray
    """uint8 (1, 256, 3): the box of each level of each channel."""
    centres: np.ndarray
    """int64 (128, 3): mean level of each box of each channel, in quarters."""

    @classmethod
    def of(cls, pixels_N3: np.ndarray) -> "Boxes":
        n_boxes, levels = 1 << _BITS, np.arange(256)
        table = np.zeros((1, 256, 3), np.uint8)
        centres = np.zeros((n_boxes, 3), np.int64)
        for c in range(3):
            counts = np.bincount(pixels_N3[:, c], minlength=256)
            # The square root keeps one large area of a colour from taking nearly all the boxes.
            weights = np.rint(256 * np.sqrt(counts)).astype(np.int64)
            weights += int(_FLOOR * (int(weights.sum()) // 256))
            before = np.cumsum(weights) - weights
            box = (2 * before + weights) * n_boxes // (2 * int(weights.sum()))
            total = np.bincount(box, weights, minlength=n_boxes)
            sums = np.bincount(box, weights * levels, minlength=n_boxes)
            # A level that weighs more than a box leaves some boxes empty. No pixel falls into them.
            centres[:, c] = np.rint(PARTS * sums / np.where(total > 0, total, 1))
            table[0, :, c] = box
        return cls(table, centres)

    def keys(self, frame: np.ndarray) -> np.ndarray:
        """The box of every pixel of an rgb24 frame, int32 (h, w)."""
        red, green, blue = cv2.split(cv2.LUT(frame, self.table))
        return (red.astype(np.int32) << 2 * _BITS) + (green.astype(np.int32) << _BITS) + blue

    def quarters(self, keys: np.ndarray) -> np.ndarray:
        """int64 (n, 3): the middle of boxes (n,), in quarter levels."""
        last = (1 << _BITS) - 1
        parts = keys >> 2 * _BITS, keys >> _BITS & last, keys & last
        return np.stack([self.centres[part, c] for c, part in enumerate(parts)], axis=1)


@dataclass(frozen=True, eq=False)
class Colours:
    """A palette, and for every box of colour space the palette colour nearest to it."""

    palette_RGB: np.ndarray
    """uint8 (n ≤ 255, 3)."""
    boxes: Boxes
    _found: np.ndarray = field(default_factory=lambda: np.full(1 << 3 * _BITS, -1, np.int16))
    """int16 (2^21,): index into the palette by box; -1 until a pixel has asked for it."""

    def indices(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (h, w) of an rgb24 frame."""
        keys = self.boxes.keys(frame)
        found = self._found[keys]
        missing = found < 0
        if missing.any():
            self._find(keys[missing])
            found = self._found[keys]
        return found.astype(np.uint8)

    def shown(self, indices: np.ndarray) -> np.ndarray:
        """The rgb24 picture (h, w, 3) of indices (h, w)."""
        table = np.zeros((1, 256, 3), np.uint8)
        table[0, : len(self.palette_RGB)] = self.palette_RGB
        return cv2.LUT(cv2.merge([indices] * 3), table)

    def _find(self, keys: np.ndarray) -> None:
        is_wanted = np.zeros(len(self._found), bool)
        is_wanted[keys] = True
        wanted = np.flatnonzero(is_wanted)
        palette = lab_of(PARTS * self.palette_RGB.astype(np.int64))
        self._found[wanted] = nearest(lab_of(self.boxes.quarters(wanted)), palette)


def colours_of(frames: Sequence[np.ndarray]) -> Colours:
    """The colours of rgb24 frames of one size."""
    wanted = np.unique(np.linspace(0, len(frames) - 1, _SAMPLED).round().astype(int))
    pixels = np.concatenate([_shrunk(frames[i]).reshape(-1, 3) for i in wanted])
    boxes = Boxes.of(pixels)
    keys = boxes.keys(np.ascontiguousarray(pixels[None]))[0]
    means, _ = _histogram(keys, pixels)
    if len(means) > MAX_COLOURS:
        means = _palette(*_histogram(_coarse(keys), pixels))
    return Colours(np.rint(means / PARTS).astype(np.uint8), boxes)


def _shrunk(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if height <= _SIDE:
        return frame
    # Nearest neighbour, as averaging would make colours that do not occur and lose extreme ones.
    size = max(1, width * _SIDE // height), _SIDE
    return cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST)


def _coarse(keys: np.ndarray) -> np.ndarray:
    """The boxes (n,) of which each holds 2 × 2 × 2 of those given."""
    last = (1 << _BITS) - 1
    wide = _BITS - _COARSE
    red, green, blue = (
        part >> _COARSE for part in (keys >> 2 * _BITS, keys >> _BITS & last, keys & last)
    )
    return (red << 2 * wide) + (green << wide) + blue


def _histogram(keys: np.ndarray, pixels_N3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour in quarter levels, int64 (n, 3), and count, (n,), of every box with pixels."""
    counts = np.bincount(keys)
    used = np.flatnonzero(counts)
    sums = [np.bincount(keys, pixels_N3[:, c])[used] for c in range(3)]
    means = np.rint(PARTS * np.stack(sums, axis=1) / counts[used, None])
    return means.astype(np.int64), counts[used]


def _palette(colours_N3: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The means of 255 groups of colours, int64 (255, 3), quarter levels as the colours are."""
    points = lab_of(colours_N3)
    group = _divided(points.astype(np.int64), weights)
    centres = np.zeros((MAX_COLOURS, 3), np.float32)
    for _ in range(_ITERATIONS):
        centres = _means(points, weights, group, centres).astype(np.float32)
        group = nearest(points, centres)
    return _means(colours_N3, weights, group, np.zeros((MAX_COLOURS, 3))).astype(np.int64)


def _means(
    points_N3: np.ndarray, weights: np.ndarray, group: np.ndarray, else_M3: np.ndarray
) -> np.ndarray:
    """Weighted mean of each group, rounded; of an empty one what `else_M3` has."""
    total = np.bincount(group, weights, minlength=len(else_M3))[:, None]
    sums = [np.bincount(group, weights * points_N3[:, c], minlength=len(else_M3)) for c in range(3)]
    return np.where(total > 0, np.rint(np.stack(sums, axis=1) / np.maximum(total, 1)), else_M3)


def _divided(points_N3: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """255 groups, int64 (n,): again and again the most spread one is divided at its mean.

    Wan et al., An algorithm for multidimensional data clustering, 1988.
    """
    group = np.zeros(len(points_N3), np.int64)
    members = [np.arange(len(points_N3))]
    spreads = [_spread(points_N3, weights)]
    for number in range(1, MAX_COLOURS):
        widest = max(range(number), key=lambda n: (spreads[n][0], -n))
        _, axis, middle = spreads[widest]
        inside = members[widest]
        is_low = points_N3[inside, axis] <= middle
        members[widest], upper = inside[is_low], inside[~is_low]
        members.append(upper)
        group[upper] = number
        spreads[widest] = _spread(points_N3[members[widest]], weights[members[widest]])
        spreads.append(_spread(points_N3[upper], weights[upper]))
    return group


def _spread(points_N3: np.ndarray, weights: np.ndarray) -> tuple[float, int, float]:
    """The largest sum of squares about the mean on any axis, that axis, and the mean there."""
    total = float(weights.sum())
    if len(points_N3) < 2:
        return 0.0, 0, math.inf
    sums = weights @ points_N3
    about = weights @ (points_N3 * points_N3) - sums / total * sums
    axis = int(about.argmax())
    return float(about[axis]), axis, float(sums[axis] / total)
