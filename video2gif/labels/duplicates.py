"""Find videos that show the same pictures: re-uploads, re-encodes, excerpts, trailers.

Two videos are near-duplicates if at least a given share of the frames of one lies within
`NEAR_BITS` of a frame of the other. Near-duplicates of near-duplicates belong to the same group.
Blank frames do not count, and each distinct hash counts once, so that a long still cannot decide.

Comparing all pairs of videos would be too slow, so only pairs that share some hash exactly are
compared. To find them, each video is represented by the `_SKETCH` hashes that come first in a fixed
random order. Two copies choose the same pictures in this way, and although a copy's hashes differ
by a bit or two here and there, some frames agree exactly. Videos that share a hash are sorted, and
each is compared only with its next few neighbours: a hundred copies of one video form a chain, and
a title card that a thousand videos share does not cost a million comparisons.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NEAR_BITS = 6
"""Re-encoding changes 1 or 2 bits of 64 on average; unrelated frames differ in 32."""

_LEAST_QUALITY = 0.5  # A frame with a lower quality is blank or nearly so.
_SKETCH = 1024
_NEIGHBOURS = 4
_SAMPLE = 256  # Frames of one video that are looked for in the other.
_BLOCK = 1 << 16  # Frames compared at once: 128 MB.


def pictures(hashes: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """The distinct hashes uint64 (m,) of the frames that show a picture, ascending."""
    return np.unique(np.asarray(hashes)[np.asarray(quality) >= _LEAST_QUALITY])


def near_duplicates(
    video_ids: Sequence[str], pictures_of: Callable[[str], np.ndarray], *, min_share: float
) -> list[list[str]]:
    """Groups of two or more videos that show the same pictures, in the order of `video_ids`.

    `pictures_of(video_id)` returns the result of `pictures`. It is called again for each
    comparison, so that no more than two videos are in memory at a time.
    """
    candidates = _candidates([_sketch(pictures_of(video_id)) for video_id in video_ids])
    linked = [
        (i, j)
        for i, j in candidates
        if shared_share(pictures_of(video_ids[i]), pictures_of(video_ids[j])) >= min_share
    ]
    if not linked:
        return []
    rows, columns = np.array(linked).T
    size = len(video_ids)
    graph = coo_array((np.ones(len(linked), bool), (rows, columns)), shape=(size, size))
    _, group_of = connected_components(graph, directed=False)
    members: dict[int, list[str]] = {}
    for video_id, group in zip(video_ids, group_of.tolist(), strict=True):
        members.setdefault(group, []).append(video_id)
    return [group for group in members.values() if len(group) > 1]


def shared_share(one: np.ndarray, other: np.ndarray) -> float:
    """The share of one video's pictures that the other shows as well; the larger of both ways.

    An excerpt shows little of the film, but the film shows all of the excerpt.
    """
    return max(_share_within(one, other), _share_within(other, one))


def _share_within(looked_for: np.ndarray, shown: np.ndarray) -> float:
    if not len(looked_for) or not len(shown):
        return 0.0
    # Every k-th of the sorted hashes: always the same sample, spread over the whole video.
    # Rounded up, so that there are no more than `_SAMPLE`.
    step = -(-len(looked_for) // _SAMPLE)
    sample = looked_for[::step]
    nearest = np.full(len(sample), 64, np.uint8)
    for start in range(0, len(shown), _BLOCK):
        apart = np.bitwise_count(sample[:, None] ^ shown[None, start : start + _BLOCK])
        np.minimum(nearest, apart.min(axis=1), out=nearest)
    return float((nearest <= NEAR_BITS).mean())


def _sketch(hashes: np.ndarray) -> np.ndarray:
    """The `_SKETCH` smallest hashes after mixing their bits (the last step of splitmix64).

    Mixing gives the fixed random order: similar hashes end up far apart.
    """
    mixed = np.asarray(hashes, dtype=np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        # Products wrap around at 64 bits, as splitmix64 wants it.
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    if len(mixed) <= _SKETCH:
        return mixed
    # All distinct, so the set of the smallest is the same on every processor.
    return np.partition(mixed, _SKETCH)[:_SKETCH]


def _candidates(sketches: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """Pairs of videos (i < j) that share a hash and are close together among those that do."""
    if not sketches:
        return []
    hashes = np.concatenate(sketches)
    video = np.repeat(np.arange(len(sketches)), [len(sketch) for sketch in sketches])
    # By hash, then by video: each pair comes with the smaller number first.
    order = np.lexsort((video, hashes))
    hashes, video = hashes[order], video[order]
    found = set()
    for step in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero(hashes[step:] == hashes[:-step])
        found |= set(zip(video[same].tolist(), video[same + step].tolist(), strict=True))
    return sorted(found)
