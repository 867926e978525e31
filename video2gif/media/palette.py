"""The colours of a GIF: libav's palettegen, then k-means on the colours that really occur.

palettegen cuts the colour box by median; Lloyd's iterations from there move each colour to the
mean of the pixels it stands for. The palette does not depend on the picture's size, so one is
enough for all the sizes that a byte budget makes us try. docs/encoders.md has the gain measured.
"""

from collections.abc import Sequence

import av
import cv2
import numpy as np
from av.filter import Graph

MAX_COLOURS = 255  # One of the 256 is kept for "as in the frame before".
_ITERATIONS = 8
_BITS = 6  # Colours are counted in 2^18 boxes: 4 levels wide, each with its own mean.
_SIDE = 160  # px; sampled frames are shrunk to this height: a palette needs no detail
_SAMPLED = 24


def palette_of(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Up to 255 colours, uint8 (n, 3) RGB, for rgb24 frames of one size."""
    wanted = np.unique(np.linspace(0, len(frames) - 1, _SAMPLED).round().astype(int))
    small = [_shrunk(frames[i]) for i in wanted]
    means, weights = _histogram(np.concatenate([frame.reshape(-1, 3) for frame in small]))
    if len(means) <= MAX_COLOURS:
        return np.rint(means).astype(np.uint8)
    return np.rint(_lloyd(means, weights, _palettegen(small))).astype(np.uint8)


def _shrunk(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    if height <= _SIDE:
        return frame
    # Nearest: averaging would invent colours and lose the extreme ones.
    size = max(1, width * _SIDE // height), _SIDE
    return cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST)


def _histogram(pixels_N3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour, float32 (n, 3), and count, float32 (n,), of every box that has pixels."""
    boxes = (pixels_N3 >> (8 - _BITS)).astype(np.int64)
    keys = boxes[:, 0] << 2 * _BITS | boxes[:, 1] << _BITS | boxes[:, 2]
    counts = np.bincount(keys, minlength=1 << 3 * _BITS)
    used = np.flatnonzero(counts)
    sums = [np.bincount(keys, pixels_N3[:, c], minlength=len(counts))[used] for c in range(3)]
    means = np.stack(sums, axis=1) / counts[used, None]
    return means.astype(np.float32), counts[used].astype(np.float32)


def _lloyd(means: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> np.ndarray:
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
