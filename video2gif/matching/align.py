"""Where in its video a GIF was cut: the declared pair.

The model. A GIF shows video time `start + speed · t` at its own time t (from its frame delays),
with a speed of a `SpeedRange`. It agrees with the video in one *variant*: whole against whole,
whole against a central crop, the part without a caption against the same part, letterboxed, each
also mirrored. The cost of a hypothesis (variant, start, speed) is the mean, over the GIF's frames,
of the Hamming distance to the video frame shown at that time, capped so that a few spoilt frames do
not decide, and weighted by the GIF frames' quality. Distances and weights are whole numbers:
their sums are exact, in whatever order a processor adds them, so equal places cost the same
everywhere. `_rank` then says which of them comes first.

The search. Coarse: the video's time is cut into bins, each with the least distance of the frames
shown in it, so that all starts of one speed are sums of shifted rows. Fine: around the best places
of the coarse scan every start and speed is tried at the frames' own times.

Hashes find the place, also of a GIF whose crop stands between the windows; `matching.refine` then
finds the exact time, and `matching.confidence` says how sure the answer is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from video2gif.fingerprint.phash import BAND, CROPS, PARTS, WHOLE, mirrored
from video2gif.fingerprint.track import Track, column

MIN_SPEED, MAX_SPEED = 0.25, 4.0
CAP = 24
"""Distances above this count as this: unrelated frames are about 32 bits apart."""

_FULL_WEIGHT = 1 << 14  # float32 adds _COARSE_FRAMES · CAP of these without rounding.
_BIN_S = 0.1
_MOST_BYTES = 1 << 26  # Of binned distances at once: a ten-hour video has 46 MB a variant.
_AS_GOOD_BITS = 1.0  # Worse than the best by no more than this: hashes cannot tell which.
# Of these, so many are left for the pictures to choose from.
_MOST_ALIKE = 1024
_COARSE_FRAMES = 32  # GIF frames looked at in the coarse scan.
_SPEED_STEP = 1.0398  # Of the coarse scan: 72 speeds from 0.25 to 4.
_PLACES = 8  # Distinct places refined.
_VARIANTS_PER_PLACE = 3
_MOST_PER_SPEED = 4 * _PLACES  # Many of them lie at one place.
_APART_S = 0.3  # Places of the coarse scan closer than this in start and end are one place.
# The fine grid around a place: half a coarse step and some more on either side.
_FINE_STARTS_S = np.arange(-8, 9) * 0.02
_FINE_SPEEDS = 1.0 + np.arange(-8, 9) * 0.005


class SpeedRange(NamedTuple):
    """Which speeds are tried."""

    least: float = MIN_SPEED
    most: float = MAX_SPEED

    def coarse(self) -> list[float]:
        """Those of the coarse scan, 4 % apart, ascending."""
        count = 1 + round(math.log(self.most / self.least, _SPEED_STEP))
        return [float(speed) for speed in speeds(self.least, self.most, count)]

    def clipped(self, speed: np.ndarray) -> np.ndarray:
        return np.clip(speed, self.least, self.most)

    def is_inside(self, speed: float) -> bool:
        """Whether it is not at an end, where the true speed may lie beyond."""
        return self.least * 1.01 < speed < self.most / 1.01


PACE = SpeedRange()
"""Of GIFs whose video is declared."""


class Variant(NamedTuple):
    """A column of the GIF's hashes against a column of the video's."""

    gif: int
    video: int
    mirror: bool


def _variants() -> Iterator[Variant]:
    for mirror in (False, True):
        for crop in CROPS:
            for part in PARTS:
                yield Variant(column(part), column(part.inside(crop)), mirror)
        yield Variant(column(BAND), column(WHOLE), mirror)
        yield Variant(column(WHOLE), column(BAND), mirror)


VARIANTS = tuple(_variants())


@dataclass(frozen=True)
class Placing:
    """A hypothesis: where the GIF may have been cut, and how far its hashes are from there."""

    variant: int
    """Index into `VARIANTS`."""
    start_s: float
    speed: float
    cost: float
    """Mean capped Hamming distance, bits."""


@dataclass(frozen=True, eq=False)
class Search:
    """What the hashes tell."""

    places: list[Placing]
    """The best ones, best first, distinct in start or end."""
    start_s: np.ndarray
    """float64 (m,): with `speed`, all that the coarse scan found about as good as the best. Many
    where little moves."""
    speed: np.ndarray


def search(gif: Track, video: Track, *, most: int = 6, pace: SpeedRange = PACE) -> Search:
    """Find a GIF in a video by its hashes alone; at most `most` places.

    Nothing when no frame of the GIF carries evidence or the video is too short.
    """
    weights = weights_of(gif.quality)
    if not weights.any():
        return Search([], np.empty(0), np.empty(0))
    coarse, start_s, speed = _coarse(gif, video, weights, pace)
    fine = [_fine(gif, video, weights, place, pace) for place in coarse]
    fine.sort(key=_rank)
    return Search(_distinct(fine, gif.end_s, most=most, variants=1), start_s, speed)


def places(gif: Track, video: Track) -> list[Placing]:
    """The best places for a GIF in a video, best first."""
    return search(gif, video).places


def _rank(place: Placing) -> tuple[float, int, float, float]:
    """What sorts places, best first. Of equals: the plainest variant, the least change of speed,
    the earliest start."""
    return place.cost, place.variant, abs(place.speed - 1.0), place.start_s


def weights_of(quality: np.ndarray) -> np.ndarray:
    """How much each frame counts: whole numbers from 0 to `_FULL_WEIGHT`, float64 (n,)."""
    return np.round(quality.astype(np.float64) * _FULL_WEIGHT)


def mean_bits(bits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over the last axis with weights of `weights_of`: the sum is exact in any order."""
    return bits @ weights / max(weights.sum(), 1.0)


def distances(gif: Track, video: Track, variant: Variant) -> np.ndarray:
    """Capped Hamming distances, uint8 (gif frames, video frames)."""
    ours = gif.hashes[:, variant.gif]
    ours = mirrored(ours) if variant.mirror else ours
    apart = np.bitwise_count(ours[:, None] ^ video.hashes[None, :, variant.video])
    return np.minimum(apart, CAP)


def _coarse(
    gif: Track, video: Track, weights: np.ndarray, pace: SpeedRange
) -> tuple[list[Placing], np.ndarray, np.ndarray]:
    """The best places of the coarse scan, best first, distinct in start or end; all as good."""
    frames = _spread(weights, _COARSE_FRAMES)
    seen = Track(
        gif.pts_s[frames], gif.end_s, gif.hashes[frames], gif.quality[frames], gif.thumbs[frames]
    )
    found: dict[float, list[Placing]] = {}
    least: dict[float, np.ndarray] = {}
    for first, binned in _binned_variants(seen, video):
        for speed in pace.coarse():
            shifts = np.floor(speed * seen.pts_s / _BIN_S + 0.5).astype(int)
            cost = _shifted_mean(binned, shifts, weights[frames])
            # At this speed the GIF may be longer than the video: then there is no place.
            if cost.size:
                some = found.get(speed, []) + _best_of(cost, speed, first)
                found[speed] = sorted(some, key=_rank)[:_MOST_PER_SPEED]
                least[speed] = np.minimum(cost.min(axis=0), least.get(speed, np.float32(CAP)))
    ranked = sorted((place for some in found.values() for place in some), key=_rank)
    best = _distinct(ranked, gif.end_s, most=_PLACES, variants=_VARIANTS_PER_PLACE)
    return best, *_as_good(least)


def _binned_variants(gif: Track, video: Track) -> Iterator[tuple[int, np.ndarray]]:
    """(number of the first variant, float32 (variants, K, bins)), some variants at a time."""
    size = 4 * len(gif) * max(1, round(video.end_s / _BIN_S))
    step = max(1, _MOST_BYTES // size)
    for first in range(0, len(VARIANTS), step):
        some = VARIANTS[first : first + step]
        yield first, np.stack([_binned(distances(gif, video, v), video) for v in some])


def _as_good(least: dict[float, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Starts and speeds (m,) whose cost is near the least, of costs (bins,) by speed."""
    limit = min((float(cost.min()) for cost in least.values()), default=0.0) + _AS_GOOD_BITS
    bins = {speed: np.flatnonzero(cost <= limit) for speed, cost in least.items()}
    start_s = np.concatenate([np.empty(0), *((b + 0.5) * _BIN_S for b in bins.values())])
    speed = np.repeat(np.array(list(bins)), [len(b) for b in bins.values()])
    chosen = np.linspace(0, len(speed) - 1, min(len(speed), _MOST_ALIKE)).round().astype(int)
    return start_s[chosen], speed[chosen]


def _spread(weights: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` frames with evidence, evenly spread."""
    useful = np.flatnonzero(weights)
    chosen = np.linspace(0, len(useful) - 1, min(most, len(useful))).round().astype(int)
    return useful[chosen]


def speeds(least: float, most: float, count: int) -> np.ndarray:
    """`count` speeds from `least` to `most`, each the same number of times the one before."""
    # Powers differ in their last bit between processors; these digits are the same on all.
    return np.round(np.geomspace(least, most, count), 9)


def _binned(distance_KN: np.ndarray, video: Track) -> np.ndarray:
    """Least distance among the frames shown in each bin of video time, float32 (K, bins)."""
    edges = np.arange(0.0, max(video.end_s, _BIN_S), _BIN_S)
    first = video.shown_at(edges)
    last = np.searchsorted(video.pts_s, edges + _BIN_S, side="left") - 1
    # `reduceat` takes the least from each index to the next, so every second result is that of a
    # bin; one more column, far from everything, lets the last bin end behind the last frame.
    pairs = np.column_stack([first, np.maximum(last, first) + 1]).ravel()
    padded = np.pad(distance_KN, ((0, 0), (0, 1)), constant_values=CAP)
    return np.minimum.reduceat(padded, pairs, axis=1)[:, ::2].astype(np.float32)


def _shifted_mean(binned_VKB: np.ndarray, shifts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cost (variants, starts) when frame k lies `shifts[k]` bins after the start."""
    starts = binned_VKB.shape[2] - shifts[-1]
    if starts <= 0:
        return np.empty((len(binned_VKB), 0), np.float32)
    cost = np.zeros((len(binned_VKB), starts), np.float32)
    for k, (shift, weight) in enumerate(zip(shifts, weights, strict=True)):
        cost += np.float32(weight) * binned_VKB[:, k, shift : shift + starts]
    cost /= np.float32(weights.sum())
    return cost


def _best_of(cost_VB: np.ndarray, speed: float, first_variant: int) -> list[Placing]:
    """The least costs of one speed; of equals, those of the first variants and the first starts."""
    flat = cost_VB.ravel()
    count = min(_MOST_PER_SPEED, len(flat))
    # By value: `argpartition` takes another one of equal places on another processor.
    limit = np.partition(flat, count - 1)[count - 1]
    less, equal = np.flatnonzero(flat < limit), np.flatnonzero(flat == limit)
    best = np.append(less, equal[: count - len(less)])
    variants, bins = np.unravel_index(best, cost_VB.shape)
    return [
        Placing(first_variant + int(v), float((b + 0.5) * _BIN_S), speed, float(flat[i]))
        for v, b, i in zip(variants, bins, best, strict=True)
    ]


def _distinct(
    sorted_places: Sequence[Placing], gif_end_s: float, *, most: int, variants: int
) -> list[Placing]:
    """The first `most` spans of a sorted list, each with its first few variants."""
    start_s = np.array([place.start_s for place in sorted_places])
    end_s = start_s + gif_end_s * np.array([place.speed for place in sorted_places])
    left = np.ones(len(start_s), dtype=bool)
    kept: list[Placing] = []
    for _ in range(most):
        if not left.any():
            break
        first = int(np.argmax(left))
        apart = np.maximum(np.abs(start_s - start_s[first]), np.abs(end_s - end_s[first]))
        near = np.flatnonzero(left & (apart < _APART_S))
        left[near] = False
        best: dict[int, Placing] = {}
        for number in near.tolist():
            best.setdefault(sorted_places[number].variant, sorted_places[number])
        kept += list(best.values())[:variants]
    return kept


def _fine(
    gif: Track, video: Track, weights: np.ndarray, place: Placing, pace: SpeedRange
) -> Placing:
    """The best of every start and speed around a place, at the frames' own times."""
    start_s, ratio = (grid.ravel() for grid in np.meshgrid(_FINE_STARTS_S, _FINE_SPEEDS))
    speed = pace.clipped(place.speed * ratio)
    # Another speed is tried about the GIF's middle, so that its start and its end move equally far.
    start_s = start_s + place.start_s + (place.speed - speed) * gif.end_s / 2
    apart = distances(gif, video, VARIANTS[place.variant])
    shown = video.shown_at(start_s[:, None] + speed[:, None] * gif.pts_s)
    cost = mean_bits(apart[np.arange(len(gif)), shown], weights)
    best = int(np.argmin(cost))
    return Placing(place.variant, float(start_s[best]), float(speed[best]), float(cost[best]))


def cost_at(gif: Track, video: Track, *, start_s: float, speed: float) -> float:
    """The least cost over all variants of a GIF that starts there, bits."""
    shown = video.shown_at(start_s + speed * gif.pts_s)
    costs = []
    for variant in VARIANTS:
        ours = gif.hashes[:, variant.gif]
        ours = mirrored(ours) if variant.mirror else ours
        costs.append(mean_cost(gif, ours, video.hashes[shown, variant.video]))
    return min(costs)


def mean_cost(gif: Track, ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean capped distance of two hashes (n,) a frame of the GIF, weighted by its quality."""
    return float(
        mean_bits(np.minimum(np.bitwise_count(ours ^ theirs), CAP), weights_of(gif.quality))
    )
