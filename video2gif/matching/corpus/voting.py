"""Lines among hits: which places and speeds the frames of a GIF agree on.

A GIF that was cut around `centre_s` has hits at `centre_s + speed · (t - middle)`. Hits are few
and mostly chance, so they vote: first for stretches of the index's rows, where those with hits
of hardly any frame are dropped; in the others, at each speed of a grid, for the centre that each
hit speaks for. A GIF frame votes once for a line, the more the closer its best hit is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from video2gif.matching.align import PACE, SpeedRange
from video2gif.matching.corpus.queries import Hits

_BIN_S = 0.5
# From one speed to the next: so much faster, or so much that the ends move by a bin, if less.
_SPEED_STEP = 0.19
LEAST_FRAMES = 3
"""GIF frames that must agree on a line."""
_MOST_STRETCHES = 64
_MOST_ROWS_PER_S = 60  # Of a video: more would make a stretch shorter than the longest line.
_APART_S = 1.0  # Lines closer than this in start and end are one.


@dataclass(frozen=True)
class Line:
    """Where and how fast some frames of a GIF pass in the corpus."""

    centre_s: float
    """When the GIF's middle is shown, on the corpus's clock; up to a bin off."""
    speed: float
    votes: int
    """GIF frames with a hit on it."""
    score: float
    """The votes' weight."""


def lines(
    hits: Hits,
    time_s: np.ndarray,
    *,
    from_middle_s: np.ndarray,
    radius: int,
    most: int,
    pace: SpeedRange = PACE,
) -> list[Line]:
    """The lines of most weight, best first, distinct, at most `most`.

    hits: of queries that are GIF frames; time_s: of all rows, on the corpus's clock;
    from_middle_s: when each GIF frame appears, float64 (k,), from the GIF's middle.
    """
    longest_s = float(np.abs(from_middle_s).max(initial=0.0))
    chosen = _in_dense_stretches(hits, 2 * pace.most * longest_s)
    speeds = _speeds(pace, longest_s)
    # The closest first: np.unique keeps a frame's first vote for a line.
    chosen = chosen[np.argsort(hits.distance[chosen], kind="stable")]
    if not len(chosen):
        return []
    frame = hits.query[chosen]
    centre_SH = time_s[hits.row[chosen]] - speeds[:, None] * from_middle_s[frame]
    first_s = float(centre_SH.min())
    bin_SH = ((centre_SH - first_s) / _BIN_S).astype(np.int64)
    n_bins = int(bin_SH.max()) + 2
    # A line is two bins wide: a hit votes for the two that begin with its bin or the one before.
    after_SH = np.arange(len(speeds))[:, None] * n_bins + bin_SH + 1
    place, votes, score = _counted(
        np.concatenate([(after_SH - 1).ravel(), after_SH.ravel()]),
        np.tile(frame, 2 * len(speeds)),
        np.tile(radius + 1.0 - hits.distance[chosen], 2 * len(speeds)),
    )
    centre_s = first_s + (place % n_bins) * _BIN_S
    speed = speeds[place // n_bins]
    return [
        Line(float(centre_s[i]), float(speed[i]), int(votes[i]), float(score[i]))
        for i in _distinct(centre_s, speed * longest_s, score, most)
    ]


def _speeds(pace: SpeedRange, longest_s: float) -> np.ndarray:
    """The speeds that are voted for; negative ones play backwards."""
    found = [pace.least]
    while found[-1] < pace.most:
        found.append(found[-1] + min(_SPEED_STEP * found[-1], _BIN_S / max(longest_s, _BIN_S)))
    forwards = np.array(found)
    return np.concatenate([forwards, -forwards])


def _in_dense_stretches(hits: Hits, longest_s: float) -> np.ndarray:
    """The hits in those stretches of rows that most frames have hits in, as indices.

    By rows, not by time: to look up the time of a row maps a page of the index.
    """
    stretch = hits.row // int(_MOST_ROWS_PER_S * (longest_s + 2 * _BIN_S))
    frame = hits.query
    # A hit counts in its stretch and the one before, so that no line is cut in two.
    place, votes, _ = _counted(
        np.concatenate([stretch, stretch - 1]), np.tile(frame, 2), np.ones(2 * len(frame))
    )
    place = place[np.argsort(-votes, kind="stable")[:_MOST_STRETCHES]]
    return np.flatnonzero(np.isin(stretch, np.concatenate([place, place + 1])))


def _counted(
    place: np.ndarray, frame: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places that `LEAST_FRAMES` frames vote for, how many do, and the votes' weight.

    Of a frame's votes for one place the first counts.
    """
    n_frames = int(frame.max(initial=0)) + 1
    vote, first = np.unique(place * n_frames + frame, return_index=True)
    places, start, votes = np.unique(vote // n_frames, return_index=True, return_counts=True)
    score = np.add.reduceat(weight[first], start) if len(start) else np.empty(0)
    enough = votes >= LEAST_FRAMES
    return places[enough], votes[enough], score[enough]


def _distinct(
    centre_s: np.ndarray, half_s: np.ndarray, score: np.ndarray, most: int
) -> Iterator[int]:
    """The best lines by score, none within `_APART_S` of a better one in its middle and ends."""
    score = score.copy()
    for _ in range(most):
        best = int(np.argmax(score)) if len(score) else 0
        if not len(score) or score[best] == 0.0:
            return
        yield best
        apart_s = np.abs(centre_s - centre_s[best]) + np.abs(half_s - half_s[best])
        score[apart_s <= _APART_S] = 0.0
