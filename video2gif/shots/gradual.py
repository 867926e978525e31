"""Find fades and dissolves, from the thumbnails and hashes of a fingerprint.

A detector that compares neighbouring frames finds hard cuts only: in a gradual transition each step
is small. Two other signs are used.

Dissolve: it mixes two pictures, a before and b after, so the picture m halfway is their mean, and
|m − (a + b)/2| is small compared with |a − b|. Movement does not do that, as a moving thing is
nowhere half transparent. At a hard cut the ratio is exactly one half. A change of light alone
passes this test, but not the second: the hashes of a and b, which see structure and not brightness,
must differ as well.

Fade: the contrast sinks to almost nothing and rises again, at least on one side over several
frames.

Own method; the idea of testing mixtures for linearity is old (among others, Lienhart 1999).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# The constants were measured with benchmarks/segment.py.
# Half the length of the window, frames. A window finds dissolves about as long as itself.
_HALF_LENGTHS = (3, 5, 8, 12)
# Largest distance of the middle from the mean of the ends, as a share of the distance of the ends.
_MOST_BENT = 0.2
_LEAST_CHANGE = 10.0  # Grey levels, root mean square; with less it is still the same picture.
_LEAST_BITS = 18  # Between the hashes before and after; unrelated pictures differ in about 32.
_LEAST_CONTRAST = 8.0  # Grey levels, standard deviation; a thumbnail with less shows no picture.
_FLAT_CONTRAST = 3.0
_VALLEY = 0.35  # Largest contrast in the middle of a fade, as a share of that beside it.
_SIDE = 20  # Frames that either half of a fade may take.
# Frames that the slower half takes from a tenth to nine tenths; faster on both sides is two cuts.
_LEAST_SLOPE = 2
_BLOCK = 4096  # Thumbnails compared at once.
_MARGIN = 2  # A cut within this many frames of an end of a transition is a cut of its own.


@dataclass(frozen=True)
class Gradual:
    """A gradual transition: frames [start, end) belong to neither shot alone."""

    start: int
    end: int

    @property
    def middle(self) -> int:
        """The frame at which the new shot begins, by convention."""
        return (self.start + self.end) // 2


def with_gradual(
    cuts: Sequence[int],
    *,
    phash: np.ndarray,
    thumbs: np.ndarray,
    min_shot_frames: int,
) -> list[int]:
    """The cuts, together with the middles of gradual transitions, ascending.

    A gradual transition replaces cuts inside it. It is dropped if its middle is closer than
    `min_shot_frames` to another cut.
    """
    found = gradual(phash=phash, thumbs=thumbs)
    kept = [
        cut
        for cut in cuts
        if not any(one.start + _MARGIN <= cut < one.end - _MARGIN for one in found)
    ]
    for one in found:
        if all(abs(one.middle - cut) >= min_shot_frames for cut in kept):
            kept.append(one.middle)
    return sorted(cut for cut in kept if 0 < cut < len(phash))


def gradual(*, phash: np.ndarray, thumbs: np.ndarray) -> list[Gradual]:
    """Gradual transitions of n frames, ascending, without overlap.

    `phash` uint64 (n,), `thumbs` uint8 (n, side, side).
    """
    pictures = np.asarray(thumbs).reshape(len(phash), -1)
    contrast = _contrast(pictures)
    chosen = _fades(contrast)
    mixtures: list[tuple[float, Gradual]] = []
    for half in _HALF_LENGTHS:
        mixtures += _mixtures(pictures, np.asarray(phash), contrast, half)
    for _, one in sorted(mixtures, key=lambda scored: (scored[0], scored[1].start)):
        if all(one.end <= other.start or other.end <= one.start for other in chosen):
            chosen.append(one)
    return sorted(chosen, key=lambda one: one.start)


def _mixtures(
    pictures: np.ndarray, phash: np.ndarray, contrast: np.ndarray, half: int
) -> list[tuple[float, Gradual]]:
    """(bend, transition) of each window of 2 · half + 1 frames whose middle is a mixture.

    `bend` is the distance of the middle from the mean of the ends; the smaller, the surer.
    """
    # The quick test comes first. Most windows lie inside one shot and fail it.
    bits = np.bitwise_count(phash[: -2 * half] ^ phash[2 * half :])
    least = np.minimum(contrast[: -2 * half], contrast[2 * half :])
    found: list[tuple[float, Gradual]] = []
    for at in _blocks(np.flatnonzero((bits >= _LEAST_BITS) & (least > _LEAST_CONTRAST))):
        before, middle, after = (
            pictures[at + shift].astype(np.float32) for shift in (0, half, 2 * half)
        )
        change = _rms(after - before)
        bend = _rms(middle - (before + after) / 2) / np.maximum(change, 1e-6)
        good = (bend < _MOST_BENT) & (change > _LEAST_CHANGE)
        found += [
            (float(value), Gradual(start, start + 2 * half + 1))
            for value, start in zip(bend[good], at[good].tolist(), strict=True)
        ]
    return found


def _contrast(pictures: np.ndarray) -> np.ndarray:
    """Standard deviation of each picture, gray levels."""
    parts = [np.empty(0)]
    for at in _blocks(np.arange(len(pictures))):
        values = pictures[at].astype(np.float32)
        squares = np.einsum("np,np->n", values, values) / values.shape[1]
        parts.append(np.sqrt(np.maximum(squares - values.mean(axis=1) ** 2, 0.0)))
    return np.concatenate(parts)


def _blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    """The index in parts, so that a film of ten hours needs no more memory than a clip."""
    for start in range(0, len(frames), _BLOCK):
        yield frames[start : start + _BLOCK]


def _fades(contrast: np.ndarray) -> list[Gradual]:
    """Valleys of the contrast between two pictures, ascending."""
    found: list[Gradual] = []
    for start, end in _lowest_runs(contrast):
        if start == 0 or end == len(contrast):
            continue  # A fade at the very start or end of the video does not divide it.
        left, right = contrast[max(0, start - _SIDE) : start][::-1], contrast[end : end + _SIDE]
        bottom, rim = contrast[start:end].min(), min(left.max(), right.max())
        if rim < _LEAST_CONTRAST or bottom > _VALLEY * rim:
            continue
        (out, out_slope), (into, into_slope) = (_slope(side, bottom) for side in (left, right))
        overlaps = bool(found) and found[-1].end > start - out
        if max(out_slope, into_slope) >= _LEAST_SLOPE and not overlaps:
            found.append(Gradual(start - out, end + into))
    return found


def _slope(side: np.ndarray, bottom: float) -> tuple[int, int]:
    """How many frames until the contrast is back (nine tenths), and how many it takes to rise."""
    rise = side.max() - bottom
    foot, top = (int(np.argmax(side >= bottom + share * rise)) for share in (0.1, 0.9))
    return top, top - foot


def _lowest_runs(contrast: np.ndarray) -> list[tuple[int, int]]:
    """Runs [start, end) of frames with the lowest contrast within `_SIDE` frames around them.

    Contrasts below `_FLAT_CONTRAST` count as equal: among flat frames only noise differs.
    """
    level = np.maximum(contrast, _FLAT_CONTRAST)
    # At the ends the first and the last value stand for what is not there.
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(level, _SIDE, mode="edge"), 2 * _SIDE + 1
    )
    lowest = level <= around.min(axis=1)
    edges = np.flatnonzero(np.diff(lowest, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _rms(difference: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(difference**2, axis=1))
