"""Hash sequences: a moment of a video as the perceptual hashes of its frames, without any pixels.

Enough to find the moment again in another copy of the video, whatever its size, rate and encoding
(`realign`), so that labels outlive dead links and can be shared where the pixels cannot.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from video2gif.fingerprint.phash import BAND, LOWER, UPPER, WHOLE, WINDOWS
from video2gif.fingerprint.track import THUMB_SIDE, Track
from video2gif.matching.align import Place, cost_at, places

SEQUENCE_PARTS = {"whole": WHOLE, "upper": UPPER, "lower": LOWER, "band": BAND}
"""The parts of a frame whose hashes `align.places` reads of the sequence that it looks for."""

_COLUMNS = {
    name: 0 if part == WHOLE else 1 + WINDOWS.index(part) for name, part in SEQUENCE_PARTS.items()
}
_MOST_FRAMES = 100
# Copies of one video are a few bits apart, other videos about 20 (after capping).
_MOST_BITS = 10.0
# Another place that is as good to within this many bits: the moment occurs twice.
_CLEAR_BITS = 0.5
# A copy runs at the speed of the original, unless PAL sped it up by 4 %.
_SAME_SPEED = 0.03
_STARTS_S = np.arange(-60, 61) * 0.005


@dataclass(frozen=True)
class Realigned:
    """Where a sequence lies in a copy of its video, seconds; or why it is not known."""

    start_s: float = np.nan
    end_s: float = np.nan
    bits: float = np.nan
    """Mean Hamming distance there."""
    reason: str = ""
    """"" when it was found."""


def to_hex(hashes: np.ndarray) -> list[str]:
    """uint64 (n,) as `str(imagehash.phash(image))` writes them: 16 hexadecimal digits."""
    return [f"{value:016x}" for value in np.asarray(hashes).tolist()]


def from_hex(digits: Sequence[str]) -> np.ndarray:
    """uint64 (n,). Raises `ValueError` for what is not 16 hexadecimal digits."""
    if not all(re.fullmatch("[0-9a-fA-F]{16}", one) for one in digits):
        raise ValueError("a hash is 16 hexadecimal digits")
    return np.array([int(one, 16) for one in digits], dtype=np.uint64)


def excerpt(track: Track, start: int, end: int) -> Track:
    """Frames [start, end) of a track, at most `_MOST_FRAMES` of them, its time from 0."""
    step = -(-(end - start) // _MOST_FRAMES)
    frames = np.arange(start, end, step)
    stop_s = track.pts_s[end] if end < len(track) else track.end_s
    begin_s = track.pts_s[start]
    return Track(
        track.pts_s[frames] - begin_s,
        float(stop_s - begin_s),
        track.hashes[frames],
        track.quality[frames],
        track.thumbs[frames],
    )


def parts_of(track: Track) -> dict[str, list[str]]:
    """The hashes that are shared, by the name of the part of the frame."""
    return {name: to_hex(track.hashes[:, column]) for name, column in _COLUMNS.items()}


def to_track(
    *,
    pts_s: Sequence[float],
    end_s: float,
    quality: Sequence[float],
    parts: Mapping[str, list[str]],
) -> Track:
    """The track of a sequence. Raises `ValueError` for one that is not whole."""
    n_frames = len(pts_s)
    hashes = np.zeros((n_frames, 1 + len(WINDOWS)), np.uint64)
    for name, column in _COLUMNS.items():
        hashes[:, column] = from_hex(parts[name])
    times = np.asarray(pts_s, dtype=np.float64)
    if n_frames == 0 or times[0] != 0 or (np.diff(times) <= 0).any() or end_s <= times[-1]:
        raise ValueError("times must start at 0 and rise")
    weights = np.asarray(quality, dtype=np.float32).reshape(n_frames)
    # No pixels were shared; the search by hashes reads none.
    blank = np.zeros((n_frames, THUMB_SIDE, THUMB_SIDE), np.uint8)
    return Track(times, end_s, hashes, weights, blank)


def nearest_bits(sequence: Track, hashes: np.ndarray) -> float:
    """Mean distance of the sequence's frames to the nearest of a video's (n,), in any order."""
    apart = np.bitwise_count(sequence.hashes[:, 0, None] ^ np.asarray(hashes)[None, :])
    return float(apart.min(axis=1, initial=64).mean())


def realign(sequence: Track, video: Track) -> Realigned:
    """Find the moment in a copy of its video."""
    tried = places(sequence, video)
    if not tried:
        return Realigned(reason="unmatched: no frame with a picture, or the video is too short")
    best = _at_own_speed(sequence, video, tried[0])
    if best.cost > _MOST_BITS:
        return Realigned(reason=f"unmatched: the best place is {best.cost:.1f} bits away")
    start_s, end_s = _span(best, sequence)
    for other in tried[1:]:
        apart = max(
            abs(a - b) for a, b in zip(_span(other, sequence), (start_s, end_s), strict=True)
        )
        if apart > 1.0 and other.cost < best.cost + _CLEAR_BITS:
            return Realigned(reason=f"ambiguous: {_span(other, sequence)[0]:.2f} s is as good")
    return Realigned(max(0.0, start_s), min(end_s, video.end_s), best.cost)


def _span(place: Place, sequence: Track) -> tuple[float, float]:
    return place.start_s, place.start_s + place.speed * sequence.end_s


def _at_own_speed(sequence: Track, video: Track, place: Place) -> Place:
    """The same place at speed 1 and a finer start, if that is as good."""
    if abs(place.speed - 1.0) > _SAME_SPEED:
        return place
    # The place's grid turned about the middle; so does this one.
    centre_s = place.start_s + (place.speed - 1.0) * sequence.end_s / 2
    starts_s = centre_s + _STARTS_S
    costs = np.array([cost_at(sequence, video, start_s=s, speed=1.0) for s in starts_s])
    # Flat for the time a frame is shown; the sequence began as its first frame appeared.
    start_s = float(starts_s[np.argmin(costs)])
    if costs.min() > place.cost + _CLEAR_BITS:
        return place
    return Place(place.variant, start_s, 1.0, float(costs.min()))
