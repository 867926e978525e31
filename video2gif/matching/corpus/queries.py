"""What is looked for: some frames of a clip, in every way that they may agree with a film."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from video2gif.fingerprint.phash import BAND, CROPS, PARTS, WHOLE, Window, mirrored
from video2gif.fingerprint.track import Track, column

RADIUS = 13
"""Frames of a clip further than this from their film, in bits, are not found."""


def _searched_crops() -> tuple[Window, Window]:
    """The whole picture, and the crop that is nearest to most others: the central 90 %."""
    return CROPS[0], min(CROPS, key=lambda crop: abs(crop.x0 - 0.05) + abs(crop.x1 - 0.95))


PLANES = tuple(column(part.inside(crop)) for crop in _searched_crops() for part in PARTS)
"""The columns of the films' hashes that are searched."""

_AGREEING = (
    *((column(part), column(part.inside(crop))) for crop in CROPS for part in PARTS),
    (column(BAND), column(WHOLE)),
)
"""Columns of a clip's hashes and the planes to look for them in, if they are searched."""


class Hits(NamedTuple):
    """Pairs of a query and a row that are close, in parallel arrays (m,)."""

    query: np.ndarray
    """int64: index into the queries."""
    row: np.ndarray
    """int64."""
    distance: np.ndarray
    """int64, bits."""


class Query(NamedTuple):
    """A column of the clip's hashes, and the plane in which it is looked for."""

    hashes: np.ndarray
    """uint64 (k,)."""
    ours: int
    """The column."""
    plane: int
    mirror: bool


class SeenFrames(NamedTuple):
    """The frames of the clip that are looked for."""

    from_middle_s: np.ndarray
    """float64 (k,): when each appears, from the middle of the clip."""
    end_s: float
    quality: np.ndarray

    @classmethod
    def of(cls, clip: Track, frames: np.ndarray) -> "SeenFrames":
        return cls(clip.pts_s[frames] - clip.end_s / 2, clip.end_s, clip.quality[frames])


def chosen(clip: Track, most: int) -> np.ndarray:
    """Up to `most` frames with a picture, spread evenly, no two alike in a row."""
    useful = np.flatnonzero(clip.quality > 0)
    if not len(useful):
        return useful
    whole = clip.hashes[useful, 0]
    useful = useful[np.append(True, whole[1:] != whole[:-1])]
    spread = np.linspace(0, len(useful) - 1, min(most, len(useful)))
    return useful[spread.round().astype(int)]


def queries(clip: Track, frames: np.ndarray, planes: Sequence[int] = PLANES) -> Iterator[Query]:
    """Everything to look for in the planes: as it is, and mirrored."""
    for ours, plane in _AGREEING:
        if plane in planes:
            hashes = np.ascontiguousarray(clip.hashes[frames, ours])
            yield Query(hashes, ours, plane, mirror=False)
            yield Query(mirrored(hashes), ours, plane, mirror=True)
