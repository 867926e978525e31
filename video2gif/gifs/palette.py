"""Choose the 255 colours of a GIF: libav's palettegen, then k-means on the clip's own colours.

palettegen divides the colours at their medians. Lloyd's iterations start there and move each
palette colour to the mean of the pixels it stands for. A table then maps every pixel to its palette
colour. Neither depends on the size of the picture, so one palette serves all the sizes that are
tried under a byte budget. docs/benchmarks/gif.md has what this gains over libav's paletteuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.filter import Graph

MAX_COLOURS = 255  # One of the 256 is kept for "as in the frame before".
_ITERATIONS = 8
_BITS = 6
_SIDE = 120  # px; sampled frames are shrunk to this height: a palette needs no detail
_SAMPLED = 12
# A level that no sampled pixel has still gets this share of the mean weight, because other frames
# may have it.
_FLOOR = 0.05


@dataclass(frozen=True)
class Boxes:
    """Colour space in 64 × 64 × 64 boxes, which are smaller where a clip has more pixels."""

    table: np.ndarray
    """uint8 (1, 256, 3): the box of each level of each channel."""
    centres: np.ndarray
    """float32 (64, 3): mean level of each box of each channel."""

    @classmethod
    def of(cls, pixels_N3: np.ndarray) -> "Boxes":
        n_boxes, levels = 1 << _BITS, np.arange(256)
        table = np.zeros((1, 256, 3), np.uint8)
        centres = np.zeros((n_boxes, 3), np.float32)
        for c in range(3):
            counts = np.bincount(pixels_N3[:, c], minlength=256)
            # The square root keeps one large area of a colour from taking nearly all the boxes.
            weights = np.sqrt(counts)
            weights += _FLOOR * weights.mean()
            middle = (np.cumsum(weights) - weights / 2) / weights.sum()
            box = np.minimum((middle * n_boxes).astype(int), n_boxes - 1)
            total = np.bincount(box, weights, minlength=n_boxes)
            sums = np.bincount(box, weights * levels, minlength=n_boxes)
            # A level that weighs more than a box leaves some boxes empty. No pixel falls into them.
            centres[:, c] = sums / np.where(total > 0, total, 1)
            table[0, :, c] = box
        return cls(table, centres)

    def keys(self, frame: np.ndarray) -> np.ndarray:
        """The box of every pixel of an rgb24 frame, int32 (h, w)."""
        red, green, blue = cv2.split(cv2.LUT(frame, self.table))
        return (red.astype(np.int32) << 2 * _BITS) + (green.astype(np.int32) << _BITS) + blue


@dataclass(frozen=True)
class Colours:
    """A palette, and for every box of colour space the palette colour nearest to it."""

    palette_RGB: np.ndarray
    """uint8 (n ≤ 255, 3)."""
    boxes: Boxes
    nearest: np.ndarray
    """uint8 (2^18,): index into the palette by box."""

    def indices(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (h, w) of an rgb24 frame."""
        return self.nearest[self.boxes.keys(frame)]


def colours_of(frames: Sequence[np.ndarray]) -> Colours:
    """The colours of rgb24 frames of one size."""
    wanted = np.unique(np.linspace(0, len(frames) - 1, _SAMPLED).round().astype(int))
    small = [_shrunk(frames[i]) for i in wanted]
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in small])
    boxes = Boxes.of(pixels)
    means, weights = _histogram(pixels, boxes)
    palette = means if len(means) <= MAX_COLOURS else _lloyd(means, weights, _palettegen(small))
    palette_RGB = np.rint(palette).astype(np.uint8)
    return Colours(palette_RGB, boxes, _nearest(palette_RGB, boxes))


def _nearest(palette_RGB: np.ndarray, boxes: Boxes) -> np.ndarray:
    colours = palette_RGB.astype(np.float32)
    green, blue = np.meshgrid(boxes.centres[:, 1], boxes.centres[:, 2], indexing="ij")
    # |box - colour|² without the term |box|², which is the same for all colours. One red level at a
    # time: 64 × 64 × n numbers.
    plane = np.stack([green.ravel(), blue.ravel()], axis=1) @ (-2 * colours[:, 1:].T)
    plane += (colours**2).sum(axis=1)
    found = [(plane - 2 * red * colours[:, 0]).argmin(axis=1) for red in boxes.centres[:, 0]]
    return np.concatenate(found).astype(np.uint8)


def _shrunk(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if height <= _SIDE:
        return frame
    # Nearest neighbour, as averaging would make colours that do not occur and lose extreme ones.
    size = max(1, width * _SIDE // height), _SIDE
    return cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST)


def _histogram(pixels_N3: np.ndarray, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour, float32 (n, 3), and count, float32 (n,), of every box that has pixels."""
    keys = boxes.keys(np.ascontiguousarray(pixels_N3[None]))[0]
    counts = np.bincount(keys)
    used = np.flatnonzero(counts)
    sums = [np.bincount(keys, pixels_N3[:, c])[used] for c in range(3)]
    means = np.stack(sums, axis=1) / counts[used, None]
    return means.astype(np.float32), counts[used].astype(np.float32)


def _lloyd(means: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Weighted k-means of colours (n, 3) from the given centres; an unused centre stays."""
    centres = centres.astype(np.float32)
    for _ in range(_ITERATIONS):
        # argmin |x - c|^2 = argmin |c|^2 - 2 x.c
        nearest = ((centres**2).sum(axis=1) - 2 * means @ centres.T).argmin(axis=1)
        total = np.bincount(nearest, weights, minlength=len(centres))
        for c in range(3):
            sums = np.bincount(nearest, weights * means[:, c], minlength=len(centres))
            centres[:, c] = np.where(total > 0, sums / np.maximum(total, 1), centres[:, c])
    return centres


def _palettegen(frames: Sequence[np.ndarray]) -> np.ndarray:
    height, width = frames[0].shape[:2]
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=width,
        height=height,
        format=av.VideoFormat("rgb24"),
        time_base=1,  # type: ignore[arg-type]
    )
    generate = graph.add("palettegen", f"max_colors={MAX_COLOURS + 1}:stats_mode=full")
    to_rgba, sink = graph.add("format", "pix_fmts=rgba"), graph.add("buffersink")
    for before, after in ((source, generate), (generate, to_rgba), (to_rgba, sink)):
        before.link_to(after)
    graph.configure()
    for number, array in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
        frame.pts = number
        source.push(frame)
    source.push(None)
    pulled = graph.pull()
    assert isinstance(pulled, av.VideoFrame)
    colours = pulled.to_ndarray().reshape(-1, 4)
    return colours[colours[:, 3] == 255, :3][:MAX_COLOURS]
