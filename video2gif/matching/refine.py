"""Around a place that the hashes found: which part of the picture the GIF shows, and exactly when.

Works on thumbnails (`Track.thumbs`, 16×16 luma), which tell much finer than 64 bits. First the
*view*: the box of the video's picture that fills the GIF (crops stand anywhere), mirrored or not,
and the part of the GIF without a caption, by normalised correlation over a few frames; once more,
finer, when the time is known. Then every
start and speed around the place, each with its own curve of levels (bias, gain, gamma): in a fade
brightness is time, so a curve fitted elsewhere would move the span. The residual has two parts:

- *still*, the residual's mean over the GIF's frames: what is wrong all the time (a watermark, a
  box slightly off). It says whether this is the right scene.
- *moving*, the rest: what only a wrong time explains. It says when.

Noise is unknown, so the evidence is a power of each mean square, as in a marginal likelihood over
the variance; the exponents are effective degrees of freedom, fewer than pixels and frames, because
errors of neighbouring pixels and frames are correlated.

Pictures, their resampling and the curves of levels are whole multiples of small units, so that
products of matrices are exact and equal starts and speeds get equal evidence on every processor;
of equals, the first counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from video2gif.core.exact import grid, solved
from video2gif.fingerprint.phash import BAND, HASH_SIDE, PARTS, WHOLE, Window, mirrored, phash
from video2gif.fingerprint.track import THUMB_SIDE, Track, column
from video2gif.matching.align import PACE, SpeedRange, mean_cost

# Frames of the GIF that are looked at: for its view, then for its time.
_VIEW_FRAMES = 8
_MOST_FRAMES = 40
_PART_PENALTY = 0.01  # Of correlation: a part of the picture must agree better than the whole.
_SIZES = (1.0, 0.95, 0.9, 0.85)
# A GIF that letterboxes a whole 16:9 picture in 4:3 sees beyond the picture's edges; a GIF that
# leaves out the bars of its video sees the band between them.
_LETTERBOXED = Window(0.0, -1 / 6, 1.0, 7 / 6)
_WEIGHT_BITS = 20  # Of a resampler's weight after the point: twice that and 8 are a gray level.
_GRID_BITS = 30  # Of a curve of levels after the point: exact when summed with 8-bit gray levels.
# Pulls gain and gamma to none, per pixel, where the pictures do not tell them.
_GAIN_RIDGE, _GAMMA_RIDGE = 1e-6, 1e-5
# Shares of the picture. The finest, 1/80, is for when the time is known.
_STEP = 0.05
_FINE_STEP, _FINEST_STEP = 0.025, 0.0125
# Squared gray levels: palette and rounding noise of an exact match; the box's own error.
_MOVING_FLOOR, _STILL_FLOOR = 0.5, 20.0
_MOVING_FREEDOM_PER_FRAME, _STILL_FREEDOM = 2.0, 10.0

# Offsets of start, seconds, and factors of speed around a place: wide, then fine.
_WIDE = (np.arange(-15, 16) * 0.06, 1.0 + np.arange(-10, 11) * 0.02)
_FINE = (np.arange(-12, 13) * 0.02, 1.0 + np.arange(-8, 9) * 0.006)
# Starts and ends closer than this, in seconds, are one place.
_SETTLED_S = 0.3
_MOST_OTHERS = 2
_BLOCK = 64  # Tried at once, where they lie far apart.
_MOVES = 4  # How often the wide grid follows its best point to a new centre.


@dataclass(frozen=True)
class View:
    """Which part of the video's picture fills the GIF, and where the GIF is compared."""

    box: Window
    part: Window
    mirror: bool
    correlation: float
    """Mean normalised correlation of the pictures, at most 1."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Starts and speeds around one place, in parallel arrays (m,)."""

    view: View
    start_s: np.ndarray
    speed: np.ndarray
    evidence: np.ndarray
    """Log likelihood up to a constant that all places share."""
    explained: np.ndarray
    """Share of the GIF's movement that the video's movement accounts for, at most 1."""


def refine(
    gif: Track, video: Track, *, start_s: float, speed: float, mirror: bool, pace: SpeedRange = PACE
) -> Evidence:
    """All starts and speeds near a place, with their evidence."""
    view = _find_view(gif, video, start_s, speed, mirror=mirror)
    for _ in range(_MOVES):
        wide = _tried(gif, video, view, *_grid(gif, video, start_s, speed, *_WIDE, pace))
        if not len(wide.start_s):
            return wide
        best = int(np.argmax(wide.evidence))
        moved = abs(wide.start_s[best] - start_s) + abs(wide.speed[best] / speed - 1) * gif.end_s
        start_s, speed = float(wide.start_s[best]), float(wide.speed[best])
        again = _find_view(gif, video, start_s, speed, mirror=mirror)
        view = max(view, again, key=lambda found: found.correlation)
        if moved < _SETTLED_S:
            break
    view = _finer_view(gif, video, view, start_s, speed)
    fine = _tried(gif, video, view, *_grid(gif, video, start_s, speed, *_FINE, pace))
    # Both grids count: the fine one for the answer, the wide one for how sure it is.
    wide = _tried(gif, video, view, wide.start_s, wide.speed)
    return Evidence(
        view,
        *(
            np.append(getattr(fine, name), getattr(wide, name))
            for name in ("start_s", "speed", "evidence", "explained")
        ),
    )


def others(
    gif: Track,
    video: Track,
    tried: Sequence[Evidence],
    *,
    start_s: np.ndarray,
    speed: np.ndarray,
) -> list[tuple[float, float]]:
    """The best of many starts and speeds (m,) by the pictures, at most `_MOST_OTHERS`, distinct.

    Where little moves, hashes leave many places open, and the true one need not be among the few
    that were refined (`tried`, whose best view is taken, and whose outcomes are left out).
    """
    best = [int(np.argmax(one.evidence)) for one in tried]
    view = max(zip(tried, best, strict=True), key=lambda pair: pair[0].evidence[pair[1]])[0].view
    evidence = np.concatenate(
        [
            _tried(gif, video, view, start_s[i : i + _BLOCK], speed[i : i + _BLOCK]).evidence
            for i in range(0, len(start_s), _BLOCK)
        ]
    )
    end_s = start_s + speed * gif.end_s

    def leave_out_near(start: float, stop: float) -> None:
        apart_s = np.maximum(np.abs(start_s - start), np.abs(end_s - stop))
        evidence[apart_s < _SETTLED_S] = -np.inf

    for one, i in zip(tried, best, strict=True):
        leave_out_near(one.start_s[i], one.start_s[i] + one.speed[i] * gif.end_s)
    found: list[tuple[float, float]] = []
    while len(found) < _MOST_OTHERS and np.isfinite(evidence).any():
        first = int(np.argmax(evidence))
        found.append((float(start_s[first]), float(speed[first])))
        leave_out_near(start_s[first], end_s[first])
    return found


def view_cost(gif: Track, video: Track, view: View, *, start_s: float, speed: float) -> float:
    """Mean Hamming distance, bits, to the video's hashes of the very box that the GIF shows.

    They are made of thumbnails, some 3 bits off; those of `align.cost_at` are of fixed windows.
    """
    shown = video.shown_at(start_s + speed * gif.pts_s)
    luma = _box(_pictures(video, shown), view.part.inside(view.box), HASH_SIDE)
    ours = gif.hashes[:, column(view.part)]
    theirs = phash(np.clip(np.round(luma), 0, 255).astype(np.uint8))
    return mean_cost(gif, mirrored(ours) if view.mirror else ours, theirs)


def _grid(
    gif: Track,
    video: Track,
    start_s: float,
    speed: float,
    offsets_s: np.ndarray,
    factors: np.ndarray,
    pace: SpeedRange,
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and speeds around a place that keep the GIF inside the video, flat."""
    offset, factor = (grid.ravel() for grid in np.meshgrid(offsets_s, factors))
    speeds = pace.clipped(speed * factor)
    # Another speed is tried about the GIF's middle, so that its start and its end move equally far.
    starts = start_s + offset + (speed - speeds) * gif.end_s / 2
    slack_s = 0.1 + np.diff(gif.pts_s, append=gif.end_s).max() * speeds
    inside = (starts >= -slack_s) & (starts + speeds * gif.end_s <= video.end_s + slack_s)
    return starts[inside], speeds[inside]


def _pictures(track: Track, frames: np.ndarray | slice) -> np.ndarray:
    return track.thumbs[frames].astype(np.float64)


def _spread(n: int, most: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, most)).round().astype(int)


def _find_view(gif: Track, video: Track, start_s: float, speed: float, *, mirror: bool) -> View:
    """The box and part that correlate best at a start and speed: a grid, then finer around it."""
    ours, theirs = _pictures_of_view(gif, video, start_s, speed, mirror=mirror)
    best = _best_view(ours, theirs, _boxes(), mirror=mirror)
    return _best_view(ours, theirs, _boxes_near(best.box, _FINE_STEP), mirror=mirror)


def _finer_view(gif: Track, video: Track, view: View, start_s: float, speed: float) -> View:
    """Half as fine a step again, once the time is known."""
    ours, theirs = _pictures_of_view(gif, video, start_s, speed, mirror=view.mirror)
    return _best_view(ours, theirs, _boxes_near(view.box, _FINEST_STEP), mirror=view.mirror)


def _pictures_of_view(
    gif: Track, video: Track, start_s: float, speed: float, *, mirror: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Some of the GIF's pictures, and the video's at the same times."""
    frames = _spread(len(gif), _VIEW_FRAMES)
    ours = _pictures(gif, frames)[:, :, :: -1 if mirror else 1]
    return ours, _pictures(video, video.shown_at(start_s + speed * gif.pts_s[frames]))


def _best_view(
    ours: np.ndarray, theirs: np.ndarray, boxes: tuple[Window, ...], *, mirror: bool
) -> View:
    down = np.stack([resampler(box.y0, box.y1, THUMB_SIDE) for box in boxes])
    across = np.stack([resampler(box.x0, box.x1, THUMB_SIDE).T for box in boxes])
    seen_BFHW = down[:, None] @ theirs @ across[:, None]
    found: list[View] = []
    for part in (*PARTS, BAND):
        rows = _rows(part)
        score = _correlation(ours[:, rows], seen_BFHW[:, :, rows]).mean(axis=1)
        score -= 0.0 if part == WHOLE else _PART_PENALTY
        best = int(np.argmax(score))
        found.append(View(boxes[best], part, mirror, float(score[best])))
    return max(found, key=lambda view: view.correlation)


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Normalised correlation over the last two axes; flat pictures correlate weakly."""
    ours = ours - ours.mean(axis=(-2, -1), keepdims=True)
    theirs = theirs - theirs.mean(axis=(-2, -1), keepdims=True)
    both = (ours * theirs).mean(axis=(-2, -1))
    power = np.sqrt((ours**2).mean(axis=(-2, -1)) * (theirs**2).mean(axis=(-2, -1)))
    return both / (power + 1.0)


def _tried(
    gif: Track, video: Track, view: View, starts_s: np.ndarray, speeds: np.ndarray
) -> Evidence:
    """The evidence for starts and speeds (m,) under a view."""
    if not len(starts_s):
        return Evidence(view, starts_s, speeds, starts_s, starts_s)
    frames = _spread(len(gif), _MOST_FRAMES)
    times_s = starts_s[:, None] + speeds[:, None] * gif.pts_s[frames]
    shown = video.shown_at(times_s)
    used, shown = _renumbered(shown, len(video))
    rows = _rows(view.part)
    ours = _pictures(gif, frames)[:, rows, :: -1 if view.mirror else 1].reshape(len(frames), -1)
    theirs = _seen(video, view, used)[:, rows].reshape(len(used), -1)
    square, still = _residuals(ours, theirs, shown)
    moving = np.maximum(square - still, 0.0)
    evidence = -0.5 * (
        _MOVING_FREEDOM_PER_FRAME * len(frames) * np.log(moving + _MOVING_FLOOR)
        + _STILL_FREEDOM * np.log(still + _STILL_FLOOR)
    )
    movement = float(ours.var(axis=0).mean())
    explained = 1.0 - (moving + _MOVING_FLOOR) / (movement + _MOVING_FLOOR)
    return Evidence(view, starts_s, speeds, evidence, explained)


def _renumbered(shown: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The frames (of n) that occur, ascending, and for each entry its place among them."""
    occurs = np.zeros(n, dtype=bool)
    occurs[shown] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[shown]


def _seen(video: Track, view: View, frames: np.ndarray) -> np.ndarray:
    """The box of the video's pictures, resampled to thumbnails: float64 (n, 16, 16)."""
    return _box(_pictures(video, frames), view.box, THUMB_SIDE)


def _box(pictures: np.ndarray, box: Window, side: int) -> np.ndarray:
    down, across = resampler(box.y0, box.y1, side), resampler(box.x0, box.x1, side)
    return down @ pictures @ across.T


def _residuals(
    ours: np.ndarray, theirs: np.ndarray, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean square residual, and the part of it that is there all the time; both (m,).

    ours (k, p): whole gray levels; theirs (n, p): gray levels. shown (m, k): the frame of the
    video that each tried map shows with each frame of the GIF. Every map has its own curve of
    levels, by least squares:
    bias, gain, and gamma, whose first order is x · ln x.
    """
    x = grid((np.clip(theirs, 0.0, 255.0) + 1.0) / 256.0, _GRID_BITS)
    curves = np.stack([np.ones_like(x), x, grid(x * np.log(x), _GRID_BITS)])  # (3, n, p)
    k, p = ours.shape
    # Of each frame of the video once; a map adds up those of the frames that it shows.
    gram = np.einsum("anp,bnp->nab", curves, curves)[shown].sum(axis=1)
    both = (curves @ ours.T)[:, shown, np.arange(k)].sum(axis=2).T
    gram[:, 2, 2] += _GAMMA_RIDGE * k * p
    gram[:, 1, 1] += _GAIN_RIDGE * k * p
    gram[:, 0, 0] += _GAIN_RIDGE
    levels = solved(gram, both[..., None])[..., 0]
    # No edit turns a video into its negative. Where the best curve would (it falls with the
    # brightness), a flat curve stands instead, which explains nothing.
    middle = np.log(x.mean()) + 1.0
    upside_down = levels[:, 1] + levels[:, 2] * middle < 0.0
    levels[upside_down] = [ours.mean(), 0.0, 0.0]
    fitted = 2.0 * both - np.einsum("mab,mb->ma", gram, levels)
    # |ours − curve|² multiplied out: no picture has to be made for a map.
    square = ((ours**2).sum() - (levels * fitted).sum(axis=1)) / (k * p)
    numbers = shown + np.arange(len(shown))[:, None] * len(theirs)
    # How often each map shows each frame: with these counts its mean picture is a product.
    counts = np.bincount(numbers.ravel(), minlength=len(shown) * len(theirs)).astype(np.float64)
    mean_AMP = counts.reshape(len(shown), -1) @ curves / k
    rest = ours.mean(axis=0) - np.einsum("ma,amp->mp", levels, mean_AMP)
    return np.maximum(square, 0.0), (rest**2).mean(axis=1)


def _rows(part: Window) -> slice:
    return slice(round(part.y0 * THUMB_SIDE), round(part.y1 * THUMB_SIDE))


@cache
def _boxes() -> tuple[Window, ...]:
    """Crops of up to 15 %, anywhere; letterboxes."""
    boxes = []
    for size in _SIZES:
        edges = np.arange(round((1.0 - size) / _STEP) + 1) * _STEP
        boxes += [Window(x, y, x + size, y + size) for x in edges for y in edges]
    return (*boxes, BAND, _LETTERBOXED)


@cache
def _boxes_near(box: Window, step: float) -> tuple[Window, ...]:
    """Boxes whose four edges differ by at most one step, not farther out of the picture."""
    steps = (-step, 0.0, step)
    boxes = [
        Window(box.x0 + left, box.y0 + top, box.x1 + right, box.y1 + bottom)
        for left in steps
        for top in steps
        for right in steps
        for bottom in steps
    ]
    least, most = min(0.0, *box) - 1e-9, max(1.0, *box) + 1e-9
    return tuple(b for b in boxes if min(b) >= least and max(b) <= most)


@cache
def resampler(start: float, stop: float, size: int) -> np.ndarray:
    """float64 (size, 16): the means of `size` equal parts of [start, stop), of 16 pixels' means.

    The pixels are those of [0, 1). This is the best linear prediction of a random walk, which is
    what a row of a photograph resembles (ordinary kriging; covariance -|distance|): sharper than
    interpolation, which blurs most where a new pixel lies between two old ones, and so makes
    differences that move with the picture. Beyond the edges the picture goes on as it ended.

    Weights are multiples of 2**-20: a picture resampled both ways is exact.
    """
    ours, theirs = np.linspace(0.0, 1.0, THUMB_SIDE + 1), np.linspace(start, stop, size + 1)
    system = np.zeros((THUMB_SIDE + 1, THUMB_SIDE + 1))
    system[:-1, :-1] = _covariance(ours, ours)
    system[-1, :-1] = system[:-1, -1] = 1.0  # Weights sum to one.
    wanted = np.vstack([_covariance(ours, theirs), np.ones(size)])
    return np.ascontiguousarray(grid(solved(system, wanted)[:-1].T, _WEIGHT_BITS))


def _covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minus the mean distance of two points, for all cells between edges a and edges b."""
    # |x - y| is minus the mixed derivative of |x - y|³ / 6.
    apart = np.abs(a[:, None] - b[None, :])
    cubes = apart * apart * apart / 6.0  # `** 3` calls pow, which rounds as the processor likes.
    areas = np.outer(np.diff(a), np.diff(b))
    return np.diff(np.diff(cubes, axis=0), axis=1) / areas
