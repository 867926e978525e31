"""The frames of a moment at the size in which they are kept, and the part of them that is shown."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from video2gif.core.errors import ItemError
from video2gif.gifs.budget import DEFAULT_HEIGHT
from video2gif.gifs.framing import SIDE, WHOLE, Part, even, part_shown, ratio_of
from video2gif.media.seek import frames_between
from video2gif.media.shown import Painter, even_width, width_of

T = TypeVar("T")
Crop = tuple[int, int, int, int]
"""Left, top, width and height, pixels."""

_MAX_HEIGHT = 720  # px; the largest under a byte budget, unless more is asked for
_MIN_HEIGHT = 16  # px; below it nobody sees anything
# px; no screen is wider. A GIF of 97 kB, 65535×136 px, took 2.3 GB to be made 120 px high.
_MAX_WIDTH = 4096
# All frames of a clip are held in memory at their largest height; above this they are held smaller.
_MAX_BYTES_IN_MEMORY = 700_000_000
_LOOKED_AT = 12  # pictures of a moment are enough to see where something moves


@dataclass(frozen=True)
class Kept:
    """The size in which whole frames are made, and what is cut out of them."""

    height: int
    crop: Crop | None = None


Keeping = Callable[[int, int], Kept]
"""From a source's height and shown width to how its frames are kept."""


@dataclass(frozen=True)
class Stretch:
    """Frames of a file: those with start_s <= time < end_s, which are `expected` in number."""

    path: Path
    start_s: float
    end_s: float
    expected: int
    file_end_s: float | None = None

    def frames(self, keeping: Keeping) -> tuple[list[float], list[np.ndarray], Kept]:
        """Times and frames, rgb24, and how they were kept."""
        painter = Painter()
        size: tuple[int, int] | None = None
        kept = Kept(0)

        def small(_: int, frame: VideoFrame) -> np.ndarray:
            nonlocal size, kept
            if size is None:
                kept = keeping(frame.height, width_of(frame))
                size = even_width(frame, kept.height), kept.height
            whole = painter.pixels(frame, *size, interpolation=Interpolation.LANCZOS)
            if kept.crop is None:
                return whole
            left, top, width, height = kept.crop
            return np.ascontiguousarray(whole[top : top + height, left : left + width])

        times_s, frames = self._each(small)
        return times_s, frames, kept

    def part(self, params: Mapping[str, Any]) -> Part:
        """What is shown of the pictures, by the options `aspect` and `cut_bars`: a first look."""
        if not params["aspect"] and not params["cut_bars"]:
            return WHOLE
        painter = Painter()
        every = max(1, self.expected // _LOOKED_AT)

        def small(number: int, frame: VideoFrame) -> np.ndarray | None:
            if number % every:
                return None
            return painter.pixels(frame, even_width(frame, SIDE), SIDE)

        pictures = [one for one in self._each(small)[1] if one is not None]
        return part_shown(pictures, aspect=params["aspect"], cut_bars=params["cut_bars"])

    def _each(self, keep: Callable[[int, VideoFrame], T]) -> tuple[list[float], list[T]]:
        return frames_between(
            self.path,
            self.start_s,
            self.end_s,
            expected=self.expected,
            keep=keep,
            file_end_s=self.file_end_s,
        )


def master(params: Mapping[str, Any], n_frames: int, part: Part) -> Keeping:
    """The height asked for; under a byte budget at most the source's; less if memory is short."""

    def keeping(source: int, width: int) -> Kept:
        shown, across = source * part.height, width * part.width
        tall = params["height"] or (DEFAULT_HEIGHT if params["max_bytes"] is None else _MAX_HEIGHT)
        if params["max_bytes"] is not None and not params["is_exact"]:
            tall = min(tall, int(shown) - int(shown) % 2)
        most = int(min(params["max_width"] or _MAX_WIDTH, _MAX_WIDTH) * shown / across)
        tall = min(tall, most - most % 2)  # Heights are made even, upwards, below.
        if tall < min(source, _MIN_HEIGHT):
            raise ItemError(
                "too_large",
                f"a picture of {width}×{source} px would be {tall} px high at a width of"
                f" {params['max_width'] or _MAX_WIDTH} px, and {_MIN_HEIGHT} are the least",
            )
        whole = 3 * n_frames * tall * tall * across / shown  # bytes of all frames, rgb24
        tall = int(tall * min(1.0, math.sqrt(_MAX_BYTES_IN_MEMORY / whole)))
        if tall < min(source, _MIN_HEIGHT):
            raise ItemError(
                "too_large",
                f"{n_frames} frames do not fit into memory even at {_MIN_HEIGHT} px; take a"
                " shorter span, or a shorter --max-len",
            )
        tall = max(2, tall + tall % 2)
        if part == WHOLE:
            return Kept(tall)
        return _cropped(source, width, tall, part, params["aspect"])

    return keeping


def _cropped(source: int, width: int, tall: int, part: Part, aspect: str) -> Kept:
    """Whole frames just large enough that `part` of them is `tall`."""
    height = even(math.ceil(tall / part.height))
    whole = even(height * width / source)
    across = min(even(tall * ratio_of(aspect) if aspect else part.width * whole), whole)
    left = min(round(part.x0 * whole), whole - across)
    top = min(round(part.y0 * height), height - tall)
    return Kept(height, (max(0, left), max(0, top), across, tall))
