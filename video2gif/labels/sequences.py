"""A moment of a video as the perceptual hashes of its frames, without any pixels.

That is enough to find the moment again in another copy of the video, whatever its size, frame rate
and encoding (`realign`). So labels survive dead links, and can be shared where pixels must not be.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from video2gif.fingerprint.phash import BAND, LOWER, UPPER, WHOLE, WINDOWS
from video2gif.fingerprint.track import THUMB_SIDE, Track, column
from video2gif.matching.align import Placing, cost_at, places

SEQUENCE_PARTS = {"whole": WHOLE, "upper": UPPER, "lower": LOWER, "band": BAND}
"""Parts of a frame whose hashes are shared: those that `align.places` uses of a GIF."""

_COLUMNS = {name: column(part) for name, part in SEQUENCE_PARTS.items()}
_MOST_FRAMES = 100
# Hashes of copies differ in a few bits, those of other videos in about 20 (distances are capped).
_MOST_BITS = 10.0
# If another place is as good as the best to within this many bits, the moment occurs twice.
_CLEAR_BITS = 0.5
# A copy has the speed of the original, unless it is a PAL transfer of a film, 4 % faster.
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
    """"" if it was found."""


def to_hex(hashes: np.ndarray) -> list[str]:
    """uint64 (n,) in 16 hexadecimal digits each, as `str(imagehash.phash(image))` writes them."""
    return [f"{value:016x}" for value in np.asarray(hashes).tolist()]


def from_hex(digits: Sequence[str]) -> np.ndarray:
    """uint64 (n,). Raises `ValueError` for what is not 16 hexadecimal digits."""
    if not all(re.fullmatch("[0-9a-fA-F]{16}", one) for one in digits):
        raise ValueError("a hash is 16 hexadecimal digits")
    return np.array([int(one, 16) for one in digits], dtype=np.uint64)


def excerpt(track: Track, start: int, end: int) -> Track:
    """Frames [start, end) of a track, evenly thinned to `_MOST_FRAMES`; its time begins at 0."""
    # Rounded up, so that there are no more than `_MOST_FRAMES`.
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
    """The hashes to be shared, by the name of the part of the frame."""
    return {name: to_hex(track.hashes[:, at]) for name, at in _COLUMNS.items()}


def to_track(
    *,
    pts_s: Sequence[float],
    end_s: float,
    quality: Sequence[float],
    parts: Mapping[str, list[str]],
) -> Track:
    """The track of a shared sequence. Raises `ValueError` if something is missing or wrong."""
    n_frames = len(pts_s)
    hashes = np.zeros((n_frames, 1 + len(WINDOWS)), np.uint64)
    for name, at in _COLUMNS.items():
        hashes[:, at] = from_hex(parts[name])
    times = np.asarray(pts_s, dtype=np.float64)
    if n_frames == 0 or times[0] != 0 or (np.diff(times) <= 0).any() or end_s <= times[-1]:
        raise ValueError("times must start at 0 and rise")
    weights = np.asarray(quality, dtype=np.float32).reshape(n_frames)
    # There are no pixels to make thumbnails of; the search by hashes does not read any.
    blank = np.zeros((n_frames, THUMB_SIDE, THUMB_SIDE), np.uint8)
    return Track(times, end_s, hashes, weights, blank)


def nearest_bits(sequence: Track, hashes: np.ndarray) -> float:
    """Mean over the sequence's frames of the distance to the nearest of a video's hashes (n,).

    The order of the frames does not count, which makes it quick.
    """
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


def _span(place: Placing, sequence: Track) -> tuple[float, float]:
    return place.start_s, place.start_s + place.speed * sequence.end_s


def _at_own_speed(sequence: Track, video: Track, place: Placing) -> Placing:
    """The same place at speed 1 and a finer start, if that is as good."""
    if abs(place.speed - 1.0) > _SAME_SPEED:
        return place
    # The search varied speed with the middle of the GIF held fixed, so that is what is kept here
    # while the speed becomes 1: the start moves by half of what the length changes.
    centre_s = place.start_s + (place.speed - 1.0) * sequence.end_s / 2
    starts_s = centre_s + _STARTS_S
    costs = np.array([cost_at(sequence, video, start_s=s, speed=1.0) for s in starts_s])
    # The cost is the same for all starts within the time one frame is shown. The first of them is
    # right, because the sequence began when its first frame appeared. (argmin takes the first.)
    start_s = float(starts_s[np.argmin(costs)])
    if costs.min() > place.cost + _CLEAR_BITS:
        return place
    return Placing(place.variant, start_s, 1.0, float(costs.min()))
