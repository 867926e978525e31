"""From frames to palette indices: hold what hardly changes, and let colour errors cancel out.

A palette of 255 colours is off by a few levels nearly everywhere, and over a sky or a face always
to the same side: that is seen as bands and as a wrong hue. Dither answers with noise, which costs
bytes and detail. Here the error is measured as a viewer sees it (blurred), half of it is added to
the picture, and the colours are chosen once more. Only pixels that lie near the border between two
palette colours change by that, so the picture's own grain does what a dither's noise would do.
docs/benchmarks/gif.md, "Colours", has the numbers, and those of the other ways that were tried.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from video2gif.gifs.palette import Colours

_WINDOW = (5, 5)
"""px; two box filters of it blur about as a Gaussian of sigma 2 does, and are exact."""
# Half of the sum over both windows, as a whole number of 2^17ths.
_SHARE_BITS = 17
_HALF = 1 << _SHARE_BITS - 1
_SHARE = round((1 << _SHARE_BITS) / (2 * (_WINDOW[0] * _WINDOW[1]) ** 2))


def indexed(frames: Iterable[np.ndarray], colours: Colours, hold: int) -> Iterator[np.ndarray]:
    """Palette indices, uint8 (h, w), of rgb24 frames.

    A pixel keeps its index until its source differs by more than `hold` levels from what it was
    chosen for (see `held`). So a still pixel cannot flicker, whatever happens around it.
    """
    shown: np.ndarray | None = None
    for source, (frame, is_changed) in held(frames, hold):
        first = _kept(shown, colours.indices(frame), is_changed)
        better = cv2.add(frame, _missing(source, colours.shown(first)), dtype=cv2.CV_8U)
        shown = _kept(shown, colours.indices(better), is_changed)
        yield shown


def held(
    frames: Iterable[np.ndarray], tolerance: int
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Frames, each with what is shown of it, and where that has changed, uint8 (h, w), 0 or 255.

    A pixel changes only if some channel differs by more than `tolerance`. A GIF stores an unchanged
    pixel as transparent, so noise in still areas costs no bytes. The comparison is with the pixel
    that is shown, not with the last source frame, so small errors do not add up.
    """
    shown: np.ndarray | None = None
    for frame in frames:
        if shown is None:
            shown, is_changed = frame, np.full(frame.shape[:2], 255, np.uint8)
        else:
            is_changed = _differs(frame, shown, tolerance)
            shown = _kept(shown, frame, is_changed)
        yield frame, (shown, is_changed)


def _differs(a: np.ndarray, b: np.ndarray, tolerance: int) -> np.ndarray:
    red, green, blue = cv2.split(cv2.absdiff(a, b))
    largest = cv2.max(cv2.max(red, green), blue)
    return cv2.threshold(largest, tolerance, 255, cv2.THRESH_BINARY)[1]


def _kept(before: np.ndarray | None, now: np.ndarray, is_changed: np.ndarray) -> np.ndarray:
    """`now` where it has changed, else what was there `before`."""
    return now if before is None else cv2.copyTo(now, is_changed, before.copy())


def _missing(source: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Half of the blurred difference, int16 (h, w, 3)."""
    error = cv2.subtract(source, shown, dtype=cv2.CV_16S)
    once = cv2.boxFilter(error, cv2.CV_32S, _WINDOW, normalize=False)
    twice = cv2.boxFilter(once, cv2.CV_32S, _WINDOW, normalize=False)
    return ((twice.astype(np.int32) * _SHARE + _HALF) >> _SHARE_BITS).astype(np.int16)
