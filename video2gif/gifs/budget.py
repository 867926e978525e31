"""Encode a clip under a byte budget: find the setting whose file looks best among those that fit.

A GIF has no quality to turn down, so its frame rate and height are chosen together
(`gifs.shape.choose_shape`), and then the height is adjusted until the file takes 90 to 100 % of the
budget. WebP, AVIF and MP4 keep their size, and their quality is adjusted.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from video2gif.core.errors import ItemError
from video2gif.gifs.encoders import HOLD, Clip, Setting, encode
from video2gif.gifs.shape import FILL, SizeModel, Tried, choose_shape, rates, shown_at, solve

DEFAULT_HEIGHT, DEFAULT_RATE = 240, 10
_MIN_HEIGHT = 32  # px; below it nobody sees what happens
# px. Before a GIF gets smaller than this, its frame rate is lowered, then its frames are coarsened.
_SMALL_HEIGHT = 100
_PROBE_HEIGHT = 120
_COARSE_HOLD = 12
# How log(bytes) rises with log(height): pixels grow with height², bytes with pixels^0.93.
_GIF_SLOPE = 2 * 0.93

_QUALITY: Mapping[str, tuple[float, float, float, float]] = {
    # For each format: worst, best, the value used without a budget, and how log(bytes) rises with
    # it. A larger number must mean more bytes; x264's and AV1's crf runs the other way, hence
    # minus.
    "webp": (20, 95, 75, 0.03),
    "mp4": (-40, -14, -20, math.log(2) / 6),
    "avif": (-55, -16, -30, 0.09),
}
_GIFSKI_QUALITY = 90

Fitted = tuple[bytes, Setting]


def fitted(clip: Clip, params: Mapping[str, Any], *, fps: float, near: Path) -> Fitted:
    """The file of the clip, and its setting: as `params` ask, within `max_bytes` if given.

    `fps`: frames a second of the source. Raises `ItemError` (too_large) if even the smallest
    setting does not fit.
    """
    fitter = _Fitter(clip, params, fps, near)
    if params["max_bytes"] is None:
        setting = fitter.plain()
        return fitter.encode(setting), setting
    found = fitter.gif() if params["format"] == "gif" else fitter.lossy()
    if found is None:
        raise ItemError(
            "too_large",
            f"it does not fit into {params['max_bytes']} bytes even at {_MIN_HEIGHT} px;"
            " allow more, or take a shorter --max-len",
        )
    return found


class _Fitter:
    """Searches settings for one clip under one budget."""

    def __init__(self, clip: Clip, params: Mapping[str, Any], fps: float, near: Path) -> None:
        self._clip, self._params, self._near = clip, params, near
        highest = params["fps"] or fps
        # GIF rates are coarse (10, 11.1, 12.5 …), so one slightly above the source's own may count.
        self._rates = rates(min(highest, fps * 1.1))
        if params["fps"] and params["fps"] <= fps:
            self._rates = sorted({float(params["fps"]), *self._rates}, reverse=True)
        if params["max_frames"] is not None:
            self._rates = self._few_frames(self._rates)
        self._done: dict[Setting, bytes] = {}

    def _few_frames(self, wanted: Sequence[float]) -> list[float]:
        """The rates at which the clip has few enough frames; if none does, the highest that has."""
        highest = min(self._params["max_frames"] / self._clip.duration_s, max(wanted))
        return [rate for rate in wanted if rate <= highest] or [highest]

    def plain(self) -> Setting:
        rate = float(self._params["fps"] or DEFAULT_RATE)
        return Setting(height=self._clip.height, rate=rate, quality=self._usual_quality())

    def encode(self, setting: Setting) -> bytes:
        # A search may come back to a setting, and encoding is nearly all of its cost.
        if setting not in self._done:
            self._done[setting] = encode(
                self._clip,
                setting,
                format=self._params["format"],
                encoder=self._params["encoder"],
                near=self._near,
            )
        return self._done[setting]

    def gif(self) -> Fitted | None:
        """Choose the frame rate by what it shows, search the height, then spend bytes left over."""
        found = self._shaped(HOLD)
        if found is None or found[1].height < min(_SMALL_HEIGHT, self._clip.height):
            found = self._shaped(_COARSE_HOLD) or found
        return found and self._richer(found)

    def lossy(self) -> Fitted | None:
        """The best quality that fits; if none does at this height, try 0.7 times the height."""
        worst, best, usual, slope = _QUALITY[self._params["format"]]
        for height, rate in self._lossy_shapes():
            base = Setting(height=height, rate=rate, quality=0)
            found = self._solve(
                partial(_with_quality, base),
                start=usual,
                low=worst,
                high=best,
                slope=slope,
                snap=lambda knob: round(knob, 0 if self._params["format"] == "avif" else 1),
            )
            if found:
                return found
        return None

    def _lossy_shapes(self) -> Iterator[tuple[int, float]]:
        """Heights and rates, best first; the height stays where the size is given."""
        height = self._clip.height
        if self._params["is_exact"]:
            yield from ((height, rate) for rate in self._rates)
            return
        while height >= _MIN_HEIGHT:
            yield height, self._rates[0]
            height = int(height * 0.7) // 2 * 2

    def _shaped(self, hold: int) -> Fitted | None:
        rate, height = choose_shape(
            self._clip.frames,
            self._clip.times_s,
            self._clip.duration_s,
            model=self._model(hold),
            budget=self._params["max_bytes"],
            max_height=self._clip.height,
            min_height=min(_SMALL_HEIGHT, self._clip.height),
            allowed=self._rates,
        )
        return self._height_at(rate, hold, start=height)

    def _richer(self, found: Fitted) -> Fitted:
        """Spend bytes left over at full height: more frames a second, then small changes too."""
        for rate in [r for r in reversed(self._rates) if r > found[1].rate]:
            if self._is_full(found) or found[1].height < self._clip.height:
                return found
            found = max(
                found, self._height_at(rate, HOLD, start=self._clip.height) or found, key=_bytes
            )
        if not self._is_full(found) and found[1].height == self._clip.height:
            setting = replace(found[1], hold=0)
            if len(self.encode(setting)) <= self._params["max_bytes"]:
                return self.encode(setting), setting
        return found

    def _is_full(self, found: Fitted) -> bool:
        return len(found[0]) >= FILL * self._params["max_bytes"]

    def _model(self, hold: int) -> SizeModel:
        """How bytes depend on size and number of frames, from two small encodes.

        One is at the highest rate and one at about a third of it.
        """
        height = min(_PROBE_HEIGHT, self._clip.height)
        low = min(self._rates, key=lambda r: abs(r - self._rates[0] / 3))
        probes = []
        for rate in dict.fromkeys((self._rates[0], low)):
            setting = Setting(height=height, rate=rate, hold=hold, quality=self._usual_quality())
            frames = len(shown_at(rate, self._clip.times_s, self._clip.duration_s))
            pixels = height * height * self._clip.width // self._clip.height
            probes.append((pixels, frames, len(self.encode(setting))))
        return SizeModel.of(probes)

    def _height_at(self, rate: float, hold: int, *, start: int) -> Fitted | None:
        base = Setting(height=0, rate=rate, hold=hold, quality=self._usual_quality())
        return self._solve(
            lambda knob: replace(base, height=_even(knob)),
            start=math.log(start),
            low=math.log(min(_MIN_HEIGHT, self._clip.height)),
            high=math.log(self._clip.height),
            slope=_GIF_SLOPE,
            snap=lambda knob: math.log(_even(knob)),
        )

    def _solve(self, setting_of: Callable[[float], Setting], **search: Any) -> Fitted | None:
        found: Tried[bytes] | None = solve(
            lambda knob: self.encode(setting_of(knob)),
            len,
            budget=self._params["max_bytes"],
            **search,
        )
        return (found.result, setting_of(found.knob)) if found else None

    def _usual_quality(self) -> float:
        if self._params["encoder"] == "gifski":
            return _GIFSKI_QUALITY
        return abs(_QUALITY[self._params["format"]][2]) if self._params["format"] != "gif" else 0


def _even(log_height: float) -> int:
    return max(2, 2 * round(math.exp(log_height) / 2))


def _bytes(found: Fitted) -> int:
    return len(found[0])


def _with_quality(base: Setting, knob: float) -> Setting:
    return replace(base, quality=abs(knob))
