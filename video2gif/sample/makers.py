"""Do to a span of video what web GIF makers do: sample, crop, resize, caption, quantise."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from video2gif.media import encode
from video2gif.sample.script import FPS, Edits, ScriptedGif


def make_gif(path: Path, frames: Sequence[np.ndarray], gif: ScriptedGif) -> None:
    """Write a GIF of `frames`, the source frames of its span, uint8 (height, width, 3) RGB."""
    numbers, delays_cs = timing(len(frames), gif.edits)
    shown = (edited(frames[number], gif.edits) for number in numbers)
    encode.write_gif(path, shown, delays_cs=delays_cs, palette=gif.edits.palette)


def timing(n_frames: int, edits: Edits) -> tuple[list[int], list[int]]:
    """Which source frames a GIF shows, and for how many centiseconds each.

    Frame k appears at k / fps. Delays are rounded so that each frame appears within half a
    centisecond of its true time; rounding errors do not add up.
    """
    length_s = n_frames / FPS / edits.speed
    # The 1e-9: what is whole but for its last bit counts as whole.
    starts_s = np.arange(math.ceil(length_s * edits.fps - 1e-9)) / edits.fps
    numbers = np.floor(starts_s * edits.speed * FPS + 1e-9).astype(int)
    edges_cs = np.rint(np.append(starts_s, length_s) * 100).astype(int)
    # Players slow down frames shorter than 2 centiseconds, so the last one gets at least 2.
    return numbers.tolist(), np.maximum(np.diff(edges_cs), 2).tolist()


def edited(frame: np.ndarray, edits: Edits) -> np.ndarray:
    """One frame cropped, resized and captioned; even sizes."""
    height, width = frame.shape[:2]
    left, top, right, bottom = edits.crop
    view = frame[
        round(top * height) : height - round(bottom * height),
        round(left * width) : width - round(right * width),
    ]
    new_height = 2 * round(edits.width * view.shape[0] / view.shape[1] / 2)
    small = cv2.resize(view, (edits.width, new_height), interpolation=cv2.INTER_AREA)
    if edits.caption:
        for weight, grey in _outlined():
            _write(small, edits.caption, weight, grey)
    return small


def _outlined() -> Iterator[tuple[int, int]]:
    """White letters with a black outline, as captions of GIFs have: (line width, grey)."""
    yield 4, 0
    yield 1, 255


def _write(picture: np.ndarray, text: str, weight: int, grey: int) -> None:
    height, width = picture.shape[:2]
    font, scale = cv2.FONT_HERSHEY_DUPLEX, width / 320
    (text_width, _), _ = cv2.getTextSize(text, font, scale, 1)
    foot = ((width - text_width) // 2, height - round(0.06 * height))
    cv2.putText(picture, text, foot, font, scale, (grey, grey, grey), weight, cv2.LINE_AA)
