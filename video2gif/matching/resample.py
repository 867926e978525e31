"""Parts of thumbnails at another size: what a crop of the picture would have been shrunk to."""

from functools import cache

import numpy as np

from video2gif.matching.track import THUMB_SIDE


@cache
def resampler(start: float, stop: float, size: int) -> np.ndarray:
    """float32 (size, 16): the means of `size` equal parts of [start, stop), of 16 pixels' means.

    The pixels are those of [0, 1). This is the best linear prediction of a random walk, which is
    what a row of a photograph resembles (ordinary kriging; covariance -|distance|): sharper than
    interpolation, which blurs most where a new pixel lies between two old ones, and so makes
    differences that move with the picture. Beyond the edges the picture goes on as it ended.
    """
    ours, theirs = np.linspace(0.0, 1.0, THUMB_SIDE + 1), np.linspace(start, stop, size + 1)
    system = np.zeros((THUMB_SIDE + 1, THUMB_SIDE + 1))
    system[:-1, :-1] = _covariance(ours, ours)
    system[-1, :-1] = system[:-1, -1] = 1.0  # Weights sum to one.
    wanted = np.vstack([_covariance(ours, theirs), np.ones(size)])
    return np.linalg.solve(system, wanted)[:-1].T.astype(np.float32)


def _covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minus the mean distance of two points, for all cells between edges a and edges b."""
    # |x - y| is minus the mixed derivative of |x - y|³ / 6.
    cubes = np.abs(a[:, None] - b[None, :]) ** 3 / 6.0
    areas = np.outer(np.diff(a), np.diff(b))
    return np.diff(np.diff(cubes, axis=0), axis=1) / areas
