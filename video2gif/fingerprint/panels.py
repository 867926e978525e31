"""Panels of a clip: pictures that stand side by side in it, or one within another.

Where two pictures meet, neighbouring pixels differ in most frames along a straight line, whatever
moves on either side. Such lines, and the picture's own edges, make rectangles; those whose sides
are best seen are proposed, beside the four halves. Proposals are cheap to be wrong about: each is
fingerprinted and matched like a clip of its own.
"""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Work
from video2gif.fingerprint.phash import Window
from video2gif.media.decode import Decoder

HALVES = (
    Window(0.0, 0.0, 0.5, 1.0),
    Window(0.5, 0.0, 1.0, 1.0),
    Window(0.0, 0.0, 1.0, 0.5),
    Window(0.0, 0.5, 1.0, 1.0),
)

_MOST_FRAMES, _LONGEST_SIDE = 24, 320
_EVERY_S = 0.2  # Neighbouring frames tell the same.
_LINE_TIMES = 1.8  # The difference across a line is so many times that beside it.
_LEAST_LEVELS = 3.0
_BESIDE = 6  # Pixels on either side that a line is compared with.
_LINES = 6  # Each way.
_LEAST_SIDE, _MOST_AREA = 0.15, 0.7
_SEEN_SHARE = 0.75  # Of a rectangle's inner sides, to be proposed.
_MOST_BOXES = 3
_ALIKE = 0.03  # Rectangles closer than this on all sides are one.


def looking() -> Work:
    """The work of `panels_item`."""
    return Work(function=f"{__name__}:work", libraries=("av", "numpy", "opencv-python-headless"))


def panels_item(name: str, path: Path, *, sha256: str) -> Item:
    """What `work` is given of a clip."""
    return Item(id=f"panels:{name}", inputs=(sha256,), args={"path": str(path.resolve())})


def work(*, out: Path, params: Mapping[str, Any], path: str) -> None:
    """Write the boxes of a clip's panels; `params` is not used. Raises `ItemError`."""
    write_arrays(out, {}, {"boxes": [list(box) for box in boxes(_frames(Path(path)))]})


def read_boxes(payload: bytes) -> list[Window]:
    """From the item that `work` wrote."""
    return [Window(*box) for box in read_arrays(payload)[1]["boxes"]]


def _frames(path: Path) -> np.ndarray:
    """Some frames, gray, float32 (n, h, w)."""
    found: list[np.ndarray] = []
    with Decoder(path) as decoder:
        next_s = 0.0
        for time_s, frame in decoder.frames():
            if time_s < next_s:
                continue
            next_s = time_s + _EVERY_S
            gray = frame.to_ndarray(format="gray")
            scale = min(1.0, _LONGEST_SIDE / max(gray.shape))
            size = (max(8, round(gray.shape[1] * scale)), max(8, round(gray.shape[0] * scale)))
            small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
            if found and small.shape != found[0].shape:
                continue
            found.append(small)
            if len(found) == _MOST_FRAMES:
                break
    return np.stack(found).astype(np.float32)


def boxes(frames: np.ndarray) -> list[Window]:
    """The halves, then rectangles between lines, the best seen first; gray frames (n, h, w)."""
    across = _lines(np.abs(np.diff(frames, axis=2)).mean(axis=0))
    down = _lines(np.abs(np.diff(frames, axis=1)).mean(axis=0).T)
    height, width = frames.shape[1:]
    xs = [0, *_strongest(across), width]
    ys = [0, *_strongest(down), height]
    scored: list[tuple[float, float, Window]] = []
    for x0, x1 in combinations(xs, 2):
        for y0, y1 in combinations(ys, 2):
            box = Window(x0 / width, y0 / height, x1 / width, y1 / height)
            if _is_possible(box):
                seen = _seen(across, down, (x0, y0, x1, y1))
                scored.append((seen, (box.x1 - box.x0) * (box.y1 - box.y0), box))
    scored.sort(reverse=True)
    found = list(HALVES)
    for seen, _, box in scored:
        if seen < _SEEN_SHARE or len(found) == len(HALVES) + _MOST_BOXES:
            break
        if all(
            max(abs(a - b) for a, b in zip(box, other, strict=True)) > _ALIKE for other in found
        ):
            found.append(box)
    return found


def _lines(differs: np.ndarray) -> np.ndarray:
    """Where a difference to the right stands out from those beside it: bool (rows, columns - 1)."""
    kernel = np.ones(2 * _BESIDE + 1, np.float32)
    kernel[_BESIDE - 1 : _BESIDE + 2] = 0.0
    kernel /= kernel.sum()
    beside = cv2.filter2D(differs, -1, kernel[None], borderType=cv2.BORDER_REFLECT)
    found = (differs > _LINE_TIMES * beside) & (differs > _LEAST_LEVELS)
    # A scaled or compressed edge may lie on either of two neighbouring pixels.
    return np.asarray(found | np.roll(found, 1, axis=1))


def _strongest(lines: np.ndarray) -> list[int]:
    """The columns with most of a line in them, none beside another, ascending."""
    count = lines.sum(axis=0).astype(float)
    count[0] = 0.0
    chosen: list[int] = []
    for _ in range(_LINES):
        best = int(np.argmax(count))
        if count[best] < _LEAST_SIDE * len(lines):
            break
        chosen.append(best)
        count[max(0, best - 3) : best + 4] = 0.0
    # The line lies behind its pixel.
    return sorted(x + 1 for x in chosen)


def _is_possible(box: Window) -> bool:
    width, height = box.x1 - box.x0, box.y1 - box.y0
    return min(width, height) >= _LEAST_SIDE and width * height <= _MOST_AREA


def _seen(across: np.ndarray, down: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """Share of the least seen side of a rectangle that is a line; the picture's edges are seen."""
    x0, y0, x1, y1 = box
    shares = [
        float(lines[low:high, at - 1].mean())
        for lines, at, low, high in (
            (across, x0, y0, y1),
            (across, x1, y0, y1),
            (down, y0, x0, x1),
            (down, y1, x0, x1),
        )
        if 0 < at <= lines.shape[1]
    ]
    return min(shares, default=0.0)
