"""Pictures that a clip holds: at its end, or while somebody reads a caption.

A film may stand still itself. So a clip with holds is looked at in two ways: `filled`, where a held
picture counts for as long as it stands, and `without_holds`, where each lasts as long as others do.
"""

import numpy as np

from video2gif.fingerprint.track import Track

_HELD_S, _HELD_TIMES = 0.45, 3.0
"""A picture that stands for so long, and so many times as long as others, is held."""
_ALIKE_LEVELS, _ALIKE_BITS = 0.1, 1  # Two showings of one picture. A slow film moves by 0.3.
_MOST_SHARE = 0.8  # Of the clip: if holds take more, it is a still clip.


def without_holds(clip: Track) -> Track | None:
    """The clip with every held picture shown as long as the others, or None if it holds none."""
    found = _holds(clip)
    if found is None:
        return None
    first, length_s, usual_s = found
    kept = np.minimum(length_s, np.where(_is_held(length_s, usual_s), usual_s, length_s))
    pts_s = np.append(0.0, np.cumsum(kept))
    return _shown(clip, first, pts_s[:-1], float(pts_s[-1]))


def filled(clip: Track) -> Track:
    """The clip with every held picture repeated, so that it counts as often as it would moving."""
    found = _holds(clip)
    if found is None:
        return clip
    first, length_s, usual_s = found
    times = np.where(_is_held(length_s, usual_s), np.rint(length_s / usual_s), 1).astype(int)
    number = np.repeat(np.arange(len(first)), times)
    nth = np.arange(len(number)) - np.repeat(np.cumsum(times) - times, times)
    pts_s = clip.pts_s[first][number] + nth * (length_s / times)[number]
    return _shown(clip, first[number], pts_s, clip.end_s)


def _shown(clip: Track, frames: np.ndarray, pts_s: np.ndarray, end_s: float) -> Track:
    return Track(pts_s, end_s, clip.hashes[frames], clip.quality[frames], clip.thumbs[frames])


def _is_held(length_s: np.ndarray, usual_s: float) -> np.ndarray:
    return length_s >= max(_HELD_S, _HELD_TIMES * usual_s)


def _holds(clip: Track) -> tuple[np.ndarray, np.ndarray, float] | None:
    """First frames of the pictures (p,), how long each stands, how long most do; None: no holds."""
    thumbs = clip.thumbs.astype(np.float32)
    apart = np.abs(np.diff(thumbs, axis=0)).mean(axis=(1, 2))
    bits = np.bitwise_count(clip.hashes[1:, 0] ^ clip.hashes[:-1, 0])
    is_new = np.append(True, (apart > _ALIKE_LEVELS) | (bits > _ALIKE_BITS))
    first = np.flatnonzero(is_new)
    length_s = np.diff(np.append(clip.pts_s[first], clip.end_s))
    usual_s = float(np.median(length_s))
    held = _is_held(length_s, usual_s)
    if not held.any() or length_s[held].sum() > _MOST_SHARE * clip.end_s:
        return None
    return first, length_s, usual_s
