"""Size, rate and quality of one picture sequence, solved under a byte budget.

`solve` finds the largest knob (height, quality) whose file fits. `choose_shape` says at which frame
rate and height a budget is spent best, from a model of the file's size (two probe encodes) and from
how much of the source each choice can show at all.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np

T = TypeVar("T")

FILL = 0.9
"""A file is a hit when it has between 90 % and 100 % of the budget."""
_AIM = 0.96
_TRIES = 7
_LEAST_STEP = 0.01  # of a knob in logarithms: one per cent
_PIXEL_POWER = (
    0.93  # Bytes of a GIF grow about with pixels^0.93: LZW gains a little on large areas.
)
_JUDGED_FRAMES = 7
_JUDGED_HEIGHT = 270  # px; more is not seen at this size of picture, and costs time
RATES = (50.0, 100 / 3, 25.0, 20.0, 100 / 6, 100 / 7, 12.5, 100 / 9, 10.0, 100 / 12, 100 / 15)
"""Frames a second that are whole centiseconds."""


@dataclass(frozen=True)
class Tried(Generic[T]):
    """One encode: the knob it was made with, and its size."""

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
    """The largest file that fits, stopping at the first within [0.9, 1] of the budget.

    Bytes are taken as exp(slope · knob + c), rising with the knob; `snap` rounds a knob to one that
    can be had. None when even the lowest does not fit.
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
    if fits and over and not fits.knob < snap(wanted) < over.knob:
        wanted = (fits.knob + over.knob) / 2
    found = snap(min(max(wanted, low), high))
    # Rounding may lead back to the knob that was just too large, or to the one that fits already.
    step = _LEAST_STEP
    while over and not fits and snap(low) < over.knob <= found:
        found, step = snap(max(over.knob - step, low)), 2 * step
    while fits and not over and found <= fits.knob < snap(high):
        found, step = snap(min(fits.knob + step, high)), 2 * step
    return found


def _slope_between(a: Tried[T], b: Tried[T], slope: float) -> float:
    """The slope measured between two tries, not trusted beyond four times the one expected."""
    measured = math.log(max(b.bytes, 1) / max(a.bytes, 1)) / (b.knob - a.knob)
    return min(max(measured, slope / 4), slope * 4)


@dataclass(frozen=True)
class SizeModel:
    """bytes = scale · pixels^0.93 · frames^power."""

    scale: float
    power: float

    @classmethod
    def of(cls, probes: Sequence[tuple[int, int, int]]) -> "SizeModel":
        """From one or two probes (pixels a frame, frames, bytes)."""
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
    """Rates worth trying, highest first; a tenth above the source's own repeats no frame seen."""
    return [rate for rate in RATES if rate <= highest * 1.1] or [RATES[-1]]


def shown_at(rate: float, times_s: np.ndarray, duration_s: float) -> np.ndarray:
    """For each output frame the source frame nearest to the middle of its time, int64 (n,).

    The middle, so that what is shown is late as often as early.
    """
    count = max(1, round(duration_s * rate))
    # Middle against middle: where rates are equal, every frame is its own.
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

    Each allowed rate gets the height that the budget pays for; the judge is the SSIM of a few
    source frames with what a viewer would see then: the nearest kept frame, scaled down and up.
    Equal in its judgement, the higher rate wins.
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
    # An odd number of evenly spread frames, so that they do not fall in step with the rate.
    wanted = np.linspace(0, len(judged) - 1, _JUDGED_FRAMES + 2)[1:-1].round().astype(int)
    values = []
    for number in wanted:
        shown = judged[index[min(len(index) - 1, int(times_s[number] * rate + 1e-6))]]
        values.append(ssim(judged[number], _through(shown, scale)))
    return float(np.mean(values))


def _through(picture: np.ndarray, scale: float) -> np.ndarray:
    """A picture as it looks after it was stored smaller."""
    if scale >= 1:
        return picture
    height, width = picture.shape
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean SSIM of two uint8 (h, w) pictures: Gaussian window of 11×11, sigma 1.5."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a = _blurred(a * a) - mean_a**2
    var_b = _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float((similar / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))).mean())


def _blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (11, 11), 1.5)
