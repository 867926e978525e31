"""Bars around a picture: find them on thumbnails, and what a file would be without them.

Web pages want one shape, so GIF makers and film makers pad: black or white rows above and below,
columns left and right. They differ from one copy of a film to the next, and hashes see them.
"""

import numpy as np

from video2gif.core.exact import grid
from video2gif.fingerprint.phash import (
    HASH_SIDE,
    LUMA_SIDE,
    WHOLE,
    Window,
    phash,
    quality,
    window_hashes,
)
from video2gif.fingerprint.track import THUMB_SIDE, Track

_MOST = 5  # Rows of a thumbnail that a bar may take.
_FLAT_LEVELS = 6.0  # Palette noise and ringing of an even bar.
# Of the pixels of a row, over all frames, as close to one level as palette noise allows.
_FLAT_SHARE = 0.97
# An edge row that is more picture than this has no thin bar.
_THIN_SHARE = 0.75
# Frames of a file that are looked at.
_FRAMES = 60
_BITS = 20  # Of a weight after the point: products of two with a gray level are exact.


def without_bars(track: Track) -> Track | None:
    """The file without its bars, or None if it has none.

    Its hashes are made of the 16×16 thumbnails: some 3 bits off those of the pictures.
    """
    box = picture_box(track.thumbs)
    if box == WHOLE:
        return None
    down, across = _stretched(box.y0, box.y1), _stretched(box.x0, box.x1)
    large = down @ track.thumbs.astype(np.float64) @ across.T
    luma_N6464 = np.clip(np.round(large), 0, 255).astype(np.uint8)
    luma_N3232 = _shrunk(luma_N6464, HASH_SIDE)
    return Track(
        track.pts_s,
        track.end_s,
        np.column_stack([phash(luma_N3232), window_hashes(luma_N6464)]),
        quality(luma_N3232),
        _shrunk(luma_N6464, THUMB_SIDE),
    )


def picture_box(thumbs: np.ndarray) -> Window:
    """Where the picture stands between the bars of uint8 thumbnails (n, 16, 16).

    Bars are taken to be of equal width on opposite sides: a caption may hide one of the two.
    """
    frames = np.linspace(0, len(thumbs) - 1, min(_FRAMES, len(thumbs))).round().astype(int)
    some = thumbs[frames].astype(np.float32)
    y, x = (_bars(upright) for upright in (some, some.transpose(0, 2, 1)))
    return Window(x, y, 1.0 - x, 1.0 - y)


def _bars(thumbs: np.ndarray) -> float:
    """Height of the bars at the top and the bottom, as a share of the picture."""
    other = thumbs[:, ::-1]
    # A caption may hide a broad bar on one side, so that the other side counts. A thin one is
    # believed only where both sides have it.
    return max(_bar(thumbs), _bar(other)) or min(_thin_bar(thumbs), _thin_bar(other))


def _bar(thumbs: np.ndarray) -> float:
    """Height of the bar at the top, as a share of the picture."""
    level = np.median(thumbs[:, 0])
    flat = (np.abs(thumbs - level) <= _FLAT_LEVELS).mean(axis=(0, 2)) >= _FLAT_SHARE
    rows = int(np.argmin(flat))
    # A picture that is dark all over has no bar.
    if flat[: _MOST + 1].all() or not rows:
        return 0.0
    return (rows + 1.0 - _picture_share(thumbs - level, rows)) / THUMB_SIDE


def _thin_bar(thumbs: np.ndarray) -> float:
    """The same for a black bar of less than one row of the thumbnail."""
    share = _picture_share(thumbs, 0)
    # Beside a dark row a thin black bar cannot be told from the picture; taking it for picture
    # does no harm there.
    seen = share < _THIN_SHARE and thumbs[:, 1].mean() > 2 * _FLAT_LEVELS
    return (1.0 - share) / THUMB_SIDE if seen else 0.0


def _picture_share(levels: np.ndarray, row: int) -> float:
    """How much of a row is picture, if the rest is 0 and the picture is like the row after it."""
    edge, inner = levels[:, row], levels[:, row + 1]
    return float(np.clip((edge * inner).sum() / max((inner * inner).sum(), 1.0), 0.0, 1.0))


def _stretched(start: float, stop: float) -> np.ndarray:
    """float64 (64, 16): linear interpolation of 16 pixels at 64 points of [start, stop)."""
    points = (start + (np.arange(LUMA_SIDE) + 0.5) / LUMA_SIDE * (stop - start)) * THUMB_SIDE
    points = grid(np.clip(points - 0.5, 0, THUMB_SIDE - 1), _BITS)
    left = np.minimum(points.astype(int), THUMB_SIDE - 2)
    weights = np.zeros((LUMA_SIDE, THUMB_SIDE))
    weights[np.arange(LUMA_SIDE), left] = 1.0 - (points - left)
    weights[np.arange(LUMA_SIDE), left + 1] = points - left
    return weights


def _shrunk(luma: np.ndarray, side: int) -> np.ndarray:
    block = LUMA_SIDE // side
    means = luma.reshape(-1, side, block, side, block).mean(axis=(2, 4))
    return np.round(means).astype(np.uint8)
