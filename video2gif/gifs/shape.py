"""Find size, frame rate and quality of a clip under a byte budget.

`solve` searches one number, the *knob* (height or quality), for the largest file that fits.
`choose_shape` decides which frame rate and height use a budget best. It takes a model of the file's
size from two trial encodes, and compares what each choice can show with the source.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np

from video2gif.gifs.pace import pace_of

T = TypeVar("T")

FILL = 0.9
"""A search stops at a file that takes between 90 % and 100 % of the budget."""
# The next try aims into the upper half of [0.9, 1]: lower wastes bytes, 1.0 is often just too much.
_AIM = 0.96
_TRIES = 7
_LEAST_STEP = 0.01  # The least change of a knob; of log(height) it is one per cent.
# The bytes of a GIF grow about as pixels^0.93, as LZW compresses large areas a little better.
_PIXEL_POWER = 0.93
_JUDGED_FRAMES = 7
_JUDGED_HEIGHT = 270  # px; more detail is hardly seen in a GIF, and takes more time
RATES = (50.0, 100 / 3, 25.0, 20.0, 100 / 6, 100 / 7, 12.5, 100 / 9, 10.0, 100 / 12, 100 / 15)
"""Frame rates whose delay is a whole number of centiseconds, as GIF delays are (2, 3, 4 … 15)."""


@dataclass(frozen=True)
class Tried(Generic[T]):
    """One trial encode: its knob, its result and its size in bytes."""

    knob: float
    result: T
    bytes: int


def solve(
    encode: Callable[[float], T],
    size: Callable[[T], int],
    *,
    start: float,
    low: float,
    high: float,
    slope: float,
    budget: int,
    snap: Callable[[float], float],
) -> Tried[T] | None:
    """The largest file that fits; the search stops at the first within [0.9, 1] of the budget.

    A file's bytes are modelled as exp(slope · knob + c), so they rise with the knob. The slope is
    measured again after each try. `snap` rounds a knob to a possible one (an even height, say).
    None if even the lowest knob does not fit.
    """
    knob, fits, over, last = snap(min(max(start, low), high)), None, None, None
    tried: set[float] = set()
    for _ in range(_TRIES):
        result = encode(knob)
        now = Tried(knob, result, size(result))
        tried.add(knob)
        slope = _slope_between(last, now, slope) if last else slope
        last = now
        if now.bytes > budget:
            over = now
        elif fits is None or now.bytes > fits.bytes:
            fits = now
        if fits is now and (now.bytes >= FILL * budget or knob >= snap(high)):
            break
        knob = _next(now, fits, over, slope=slope, budget=budget, low=low, high=high, snap=snap)
        if knob in tried:
            break
    return fits


def _next(
    now: Tried[T],
    fits: Tried[T] | None,
    over: Tried[T] | None,
    *,
    slope: float,
    budget: int,
    low: float,
    high: float,
    snap: Callable[[float], float],
) -> float:
    wanted = now.knob + math.log(_AIM * budget / max(now.bytes, 1)) / slope
    # Outside of the two tries that enclose the answer the model is wrong: halve the interval.
    if fits and over and not fits.knob < snap(wanted) < over.knob:
        wanted = (fits.knob + over.knob) / 2
    found = snap(min(max(wanted, low), high))
    # Rounding may give a knob again that was too large, or the one that fits. Then step away from
    # it with growing steps.
    step = _LEAST_STEP
    while over and not fits and snap(low) < over.knob <= found:
        found, step = snap(max(over.knob - step, low)), 2 * step
    while fits and not over and found <= fits.knob < snap(high):
        found, step = snap(min(fits.knob + step, high)), 2 * step
    return found


def _slope_between(a: Tried[T], b: Tried[T], slope: float) -> float:
    """The slope between two tries, held within a quarter and four times of the expected one."""
    measured = math.log(max(b.bytes, 1) / max(a.bytes, 1)) / (b.knob - a.knob)
    return min(max(measured, slope / 4), slope * 4)


@dataclass(frozen=True)
class SizeModel:
    """bytes = scale · pixels^0.93 · frames^power."""

    scale: float
    power: float

    @classmethod
    def of(cls, probes: Sequence[tuple[int, int, int]]) -> "SizeModel":
        """Fit to one or two trial encodes, given as (pixels of a frame, frames, bytes)."""
        (pixels, many, most), *rest = probes
        power = 0.9
        if rest and rest[0][1] != many:
            fewer, less = rest[0][1], rest[0][2]
            power = min(max(math.log(most / less) / math.log(many / fewer), 0.3), 1.0)
        return cls(most / (pixels**_PIXEL_POWER * many**power), power)

    def height(self, *, budget: int, frames: int, aspect: float) -> float:
        """The height whose file has about `budget` bytes."""
        pixels = (budget / (self.scale * frames**self.power)) ** (1 / _PIXEL_POWER)
        return math.sqrt(pixels / aspect)


def rates(highest: float) -> list[float]:
    """Rates worth trying, highest first, up to a tenth above `highest`.

    GIF rates are coarse. At a tenth more a frame is repeated now and then, which nobody sees.
    """
    return [rate for rate in RATES if rate <= highest * 1.1] or [RATES[-1]]


def shown_at(rate: float, times_s: np.ndarray, duration_s: float) -> np.ndarray:
    """For each output frame the index of the source frame to show, int64 (n,).

    It is the one whose middle is nearest to the middle of the output frame, so that frames are
    shown too early as often as too late.
    """
    count = max(1, round(duration_s * rate))
    edges_s = np.append(times_s, duration_s)
    if not pace_of(edges_s, (0, len(times_s))).is_even:
        middles_s = (np.arange(count) + 0.5) / rate
        return (np.searchsorted(edges_s[:-1], middles_s, side="right") - 1).clip(0)
    # Comparing middles with middles shows each frame exactly once if the two rates are equal.
    lasts_s = duration_s / len(times_s)
    wanted = (np.arange(count) + 0.5) / rate - lasts_s / 2
    after = np.searchsorted(times_s, wanted).clip(1, max(1, len(times_s) - 1))
    before = after - 1
    if len(times_s) == 1:
        return np.zeros(count, np.int64)
    nearer = wanted - times_s[before] <= times_s[after] - wanted
    return np.where(nearer, before, after)


def choose_shape(
    frames: Sequence[np.ndarray],
    times_s: np.ndarray,
    duration_s: float,
    *,
    model: SizeModel,
    budget: int,
    max_height: int,
    min_height: int,
    allowed: Sequence[float],
) -> tuple[float, int]:
    """Frame rate and height that show most of the source for about `budget` bytes.

    For each allowed rate the model gives the height that the budget allows. Then a few source
    frames are compared (SSIM) with what a viewer would see at their time: the frame that is shown,
    scaled down to that height and up again. The most similar choice wins; on a tie the higher rate.
    """
    height, width = frames[0].shape[:2]
    judged = _judged(frames)
    best: tuple[float, float, int] | None = None
    for rate in allowed:
        index = shown_at(rate, times_s, duration_s)
        wanted = model.height(budget=budget, frames=len(index), aspect=width / height)
        if wanted < min_height and rate != allowed[-1] and len(allowed) > 1:
            continue
        chosen = int(min(max(wanted, min_height), max_height))
        value = round(_fidelity(judged, index, times_s, rate, chosen / height), 3)
        if best is None or value > best[0]:
            best = value, rate, chosen
    assert best is not None
    return best[1], best[2]


def _judged(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    height, width = frames[0].shape[:2]
    scale = min(1.0, _JUDGED_HEIGHT / height)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return [
        cv2.resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for f in frames
    ]


def _fidelity(
    judged: Sequence[np.ndarray], index: np.ndarray, times_s: np.ndarray, rate: float, scale: float
) -> float:
    # An odd number of evenly spread frames, so that they do not fall in step with the frame rate.
    wanted = np.linspace(0, len(judged) - 1, _JUDGED_FRAMES + 2)[1:-1].round().astype(int)
    values = []
    for number in wanted:
        shown = judged[index[min(len(index) - 1, int(times_s[number] * rate + 1e-6))]]
        values.append(ssim(judged[number], _through(shown, scale)))
    return float(np.mean(values))


def _through(picture: np.ndarray, scale: float) -> np.ndarray:
    """A picture as it looks after it was stored at a smaller size and enlarged again."""
    if scale >= 1:
        return picture
    height, width = picture.shape
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean SSIM of two uint8 (h, w) pictures: Gaussian window of 11×11, sigma 1.5.

    Source: Wang et al., Image quality assessment, 2004, with its constants 0.01 and 0.03.
    """
    a, b = a.astype(np.float32), b.astype(np.float32)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a = _blurred(a * a) - mean_a**2
    var_b = _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float((similar / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))).mean())


def _blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (11, 11), 1.5)
