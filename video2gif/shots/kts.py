"""Kernel temporal segmentation: divide a shot where its picture changes (Potapov et al. 2014).

Each sample of the video is a vector x, its descriptor. A shot is divided so that the vectors inside
each part vary least. How much they vary is the part's scatter, Σ|x|² − |Σx|² / length, which
cumulative sums give for any part at once. For every number of cuts m, dynamic programming finds the
parts with the least scatter in all. The number m that is used minimises

    scatter / n + vmax · m / (2 n) · (log(n / m) + 1)

as in the public code of the method. Parts have a shortest and a longest length, which makes the
search for each m linear in the length of the shot.

Descriptors: the bits of the pHash and the thumbnail, each scaled to length 1, a few a second. The
paper's own segments come from TVSum's group-fused lasso; this method is its usual substitute.
"""

from itertools import pairwise

import numpy as np

_SAMPLES_PER_S = 5.0
# A longer shot is divided into equal blocks first. Time and memory of the search grow with the
# number of samples times the number of parts times the lengths allowed: as n³ for a long shot.
_BLOCK = 1500


def change_points(
    *,
    phash: np.ndarray,
    thumbs: np.ndarray,
    pts_s: np.ndarray,
    end_s: float,
    min_len_frames: int,
    max_len_s: float,
    penalty: float,
) -> list[int]:
    """Frames in (0, n) of one shot of n frames at which a new part begins, ascending.

    `penalty` is vmax; a higher one gives fewer parts.
    """
    n_frames = len(pts_s)
    duration_s = end_s - float(pts_s[0])
    if duration_s <= 0 or n_frames < 2 * max(min_len_frames, 1):
        return []
    # From here on lengths count samples of `step` frames.
    step = max(1, round(n_frames / duration_s / _SAMPLES_PER_S))
    shortest = max(1, -(-min_len_frames // step))
    longest = max(shortest, int(max_len_s / duration_s * n_frames / step))
    samples = descriptors(phash, thumbs, step=step)
    found: list[int] = []
    n_blocks = -(-len(samples) // _BLOCK)
    bounds = np.linspace(0, len(samples), n_blocks + 1).round().astype(int).tolist()
    for start, end in pairwise(bounds):
        inner = best_cuts(samples[start:end], shortest=shortest, longest=longest, penalty=penalty)
        found += [start, *(start + cut for cut in inner)]
    return [cut * step for cut in found if 0 < cut * step < n_frames]


def descriptors(phash: np.ndarray, thumbs: np.ndarray, *, step: int) -> np.ndarray:
    """Vectors float64 (ceil(n / step), 64 + pixels): means over `step` frames, at most 1 long."""
    # Big-endian: only so do the bits come out in the order of the hash.
    bits = np.unpackbits(np.asarray(phash, dtype=">u8").view(np.uint8).reshape(-1, 8), axis=1)
    signs = (2.0 * bits - 1.0) / np.sqrt(64.0)
    pictures = np.asarray(thumbs, dtype=np.float64).reshape(len(phash), -1)
    pictures = pictures - pictures.mean(axis=1, keepdims=True)
    length = np.linalg.norm(pictures, axis=1, keepdims=True)
    # Scaling a nearly flat picture to length 1 would only enlarge its noise, so the divisor has a
    # lower bound and such a picture stays near zero.
    pictures = pictures / np.maximum(length, 4.0 * np.sqrt(pictures.shape[1]))
    # Both halves weigh the same, and together they are at most 1 long.
    both = np.hstack([signs, pictures]) / np.sqrt(2.0)
    starts = np.arange(0, len(both), step)
    counts = np.diff(np.append(starts, len(both)))
    return np.add.reduceat(both, starts, axis=0) / counts[:, None]


def best_cuts(samples: np.ndarray, *, shortest: int, longest: int, penalty: float) -> list[int]:
    """The best cuts in (0, n) of n samples; none if the lengths allow no division."""
    n = len(samples)
    scatter = _scatters(samples, shortest, longest)
    least, choices = _programme(scatter, n, shortest)
    m = np.arange(len(least))
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(m > 0, m * (np.log(n / np.maximum(m, 1)) + 1.0), 0.0)
    cost = least / n + penalty * growth / (2.0 * n)
    if not np.isfinite(cost).any():
        return []
    cuts, end = [], n
    for part in range(int(np.argmin(cost)), 0, -1):
        end -= shortest + int(choices[part][end])
        cuts.append(end)
    return cuts[::-1]


def _scatters(samples: np.ndarray, shortest: int, longest: int) -> np.ndarray:
    """Scatter of every allowed part, (lengths, n + 1): row by length, column by its end, or inf."""
    n = len(samples)
    sums = np.vstack([np.zeros(samples.shape[1]), np.cumsum(samples, axis=0)])
    squares = np.append(0.0, np.cumsum((samples**2).sum(axis=1)))
    scatter = np.full((min(longest, n) - min(shortest, n) + 1, n + 1), np.inf)
    for row, length in enumerate(range(min(shortest, n), min(longest, n) + 1)):
        total = ((sums[length:] - sums[:-length]) ** 2).sum(axis=1)
        scatter[row, length:] = np.maximum(squares[length:] - squares[:-length] - total / length, 0)
    return scatter


def _programme(scatter: np.ndarray, n: int, shortest: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """The dynamic programme: least scatter of all n samples by number of cuts, and its choices.

    `choices[m][end]` is the length of the last of m + 1 parts of [0, end), minus the shortest
    length allowed; following them from the end gives the cuts.
    """
    n_lengths, shortest = len(scatter), min(shortest, n)
    before = np.full(n + 1, np.inf)
    before[0] = 0.0
    least: list[float] = []
    choices: list[np.ndarray] = []
    for _ in range(n // shortest):
        candidates = np.full((n_lengths, n + 1), np.inf)
        for row in range(n_lengths):
            length = shortest + row
            candidates[row, length:] = before[: n + 1 - length] + scatter[row, length:]
        choice = candidates.argmin(axis=0)
        before = candidates[choice, np.arange(n + 1)]
        choices.append(choice.astype(np.int32))
        least.append(float(before[n]))
    return np.array(least), choices
