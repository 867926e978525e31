"""What people do to a GIF, one seeded edit at a time: used by `attacks.py`.

A `Recipe` says how a GIF is cut and made; an edit changes a recipe; `rendered` makes the frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from video2gif.fingerprint.phash import WHOLE, Window
from video2gif.media.encode import Palette, delays_cs

Play = Literal["forwards", "backwards", "ping-pong"]
Rng = np.random.Generator

_WORDS = ("WHEN IT FINALLY WORKS", "me on monday", "WAIT FOR IT", "nope nope nope", "THAT FEELING")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one GIF is made of a span of video."""

    span_s: float
    """Seconds of video."""
    speed: float = 1.0
    fps: float = 10.0
    width: int = 240
    crop: Window = WHOLE
    bars: float = 0.0
    """Width of the picture over its height once bars are added; 0: no bars."""
    caption: str = ""
    caption_top: bool = False
    watermark: tuple[float, float] | None = None
    palette: Palette = "full"
    dither: str = "bayer:bayer_scale=5"
    brightness: float = 0.0
    gamma: float = 1.0
    saturation: float = 1.0
    mirror: bool = False
    dropped: float = 0.0
    """Share of frames left out; the one before stands longer."""
    repeated: float = 0.0
    """Share of frames replaced by the one before."""
    play: Play = "forwards"
    over_cut: bool = False
    jpeg: int = 100
    noise: float = 0.0
    """Of the source before the GIF is made: JPEG quality, standard deviation in gray levels."""

    @property
    def n_frames(self) -> int:
        """Before any is dropped, and before it plays back."""
        return max(2, round(self.span_s / self.speed * self.fps))

    @property
    def last_s(self) -> float:
        """When the last frame was shown, seconds of video after the span's start."""
        return (self.n_frames - 1) / self.fps * self.speed


Edit = Callable[[Recipe, Rng], Recipe]


def _crop(recipe: Recipe, rng: Rng, *, central: bool) -> Recipe:
    lost = rng.uniform(0.03, 0.15)
    x, y = (lost / 2, lost / 2) if central else rng.uniform(0, lost, 2)
    return replace(recipe, crop=Window(x, y, x + 1 - lost, y + 1 - lost))


def _caption(recipe: Recipe, rng: Rng, *, top: bool) -> Recipe:
    return replace(recipe, caption=str(rng.choice(_WORDS)), caption_top=top)


def _watermark(recipe: Recipe, rng: Rng) -> Recipe:
    x, y = rng.choice([0.02, 0.7]), rng.choice([0.02, 0.86])
    return replace(recipe, watermark=(float(x), float(y)))


def _dither(recipe: Recipe, rng: Rng) -> Recipe:
    kinds = ("none", "bayer:bayer_scale=2", "floyd_steinberg", "sierra2_4a", "heckbert")
    return replace(recipe, dither=str(rng.choice(kinds)))


def _speed(recipe: Recipe, rng: Rng, low: float, high: float) -> Recipe:
    speed = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return replace(recipe, speed=speed, span_s=max(recipe.span_s, 1.2 * speed))


def _signed(rng: Rng, low: float, high: float) -> float:
    return float(rng.choice([-1, 1]) * rng.uniform(low, high))


EDITS: dict[str, tuple[str, Edit]] = {
    # name: (family, edit); three random edits are of three families
    "resize": ("size", lambda r, g: replace(r, width=int(g.choice([100, 160, 200, 280, 320])))),
    "crop central": ("crop", lambda r, g: _crop(r, g, central=True)),
    "crop off-centre": ("crop", lambda r, g: _crop(r, g, central=False)),
    "letterbox": ("bars", lambda r, g: replace(r, bars=4 / 3)),
    "pillarbox": ("bars", lambda r, g: replace(r, bars=float(g.uniform(2.0, 2.4)))),
    "caption bottom": ("caption", lambda r, g: _caption(r, g, top=False)),
    "caption top": ("caption", lambda r, g: _caption(r, g, top=True)),
    "watermark": ("watermark", _watermark),
    "palette diff": ("palette", lambda r, g: replace(r, palette="diff")),
    "palette web": ("palette", lambda r, g: replace(r, palette="web")),
    "dither": ("dither", _dither),
    "brightness": ("light", lambda r, g: replace(r, brightness=_signed(g, 10, 40))),
    "gamma": ("light", lambda r, g: replace(r, gamma=float(np.exp(_signed(g, 0.15, 0.5))))),
    "saturation": ("colour", lambda r, g: replace(r, saturation=float(g.uniform(0.3, 1.8)))),
    "gray": ("colour", lambda r, g: replace(r, saturation=0.0)),
    "mirror": ("mirror", lambda r, g: replace(r, mirror=True)),
    "slower 0.25-0.8": ("speed", lambda r, g: _speed(r, g, 0.25, 0.8)),
    "faster 1.25-2": ("speed", lambda r, g: _speed(r, g, 1.25, 2.0)),
    "faster 2-4": ("speed", lambda r, g: _speed(r, g, 2.0, 4.0)),
    "frame rate 4-8": ("rate", lambda r, g: replace(r, fps=float(g.integers(4, 9)))),
    "frame rate 12-25": ("rate", lambda r, g: replace(r, fps=float(g.integers(12, 26)))),
    "dropped frames": ("lost", lambda r, g: replace(r, dropped=float(g.uniform(0.1, 0.3)))),
    "repeated frames": ("lost", lambda r, g: replace(r, repeated=float(g.uniform(0.1, 0.3)))),
    "backwards": ("play", lambda r, g: replace(r, play="backwards")),
    "ping-pong": ("play", lambda r, g: replace(r, play="ping-pong")),
    "over a cut": ("cut", lambda r, g: replace(r, over_cut=True)),
    "short 0.8 s": ("length", lambda r, g: replace(r, span_s=0.8)),
    "long 8 s": ("length", lambda r, g: replace(r, span_s=8.0)),
    "jpeg and noise": (
        "source",
        lambda r, g: replace(r, jpeg=int(g.integers(15, 50)), noise=float(g.uniform(1, 6))),
    ),
}


def combined(recipe: Recipe, rng: Rng, count: int) -> Recipe:
    """`count` edits of different families."""
    chosen: dict[str, Edit] = {}
    for name in rng.permutation(list(EDITS)):
        family, edit = EDITS[str(name)]
        if len(chosen) < count:
            chosen.setdefault(family, edit)
    # What sets the span goes first, speed after it: a fast GIF needs more of the video.
    for family in sorted(chosen, key=lambda f: (f != "length", f)):
        recipe = chosen[family](recipe, rng)
    return recipe


def timing(recipe: Recipe, rng: Rng) -> tuple[np.ndarray, list[int]]:
    """When each GIF frame was shown in the video, seconds after the span's start; its delay, cs."""
    count = recipe.n_frames
    times_s = np.arange(count) / recipe.fps * recipe.speed
    delays = delays_cs(recipe.fps, count)
    again = np.flatnonzero(rng.random(count) < recipe.repeated)
    for number in again[again > 0]:
        times_s[number] = times_s[number - 1]
    for number in np.flatnonzero(rng.random(count) < recipe.dropped)[::-1]:
        if number > 0:
            delays[number - 1] += delays.pop(number)
            times_s = np.delete(times_s, number)
    if recipe.play == "backwards":
        return times_s[::-1], delays[::-1]
    if recipe.play == "ping-pong":
        return np.append(times_s, times_s[-2:0:-1]), delays + delays[-2:0:-1]
    return times_s, delays


def rendered(frames: Sequence[np.ndarray], recipe: Recipe, rng: Rng) -> list[np.ndarray]:
    """The pictures of a GIF, uint8 RGB of even size, of the source frames it shows."""
    return [_rendered(frame, recipe, rng) for frame in frames]


def _rendered(frame: np.ndarray, recipe: Recipe, rng: Rng) -> np.ndarray:
    frame = _degraded(frame, recipe, rng)
    height, width = frame.shape[:2]
    box = recipe.crop
    view = frame[
        round(box.y0 * height) : round(box.y1 * height),
        round(box.x0 * width) : round(box.x1 * width),
    ]
    size = (recipe.width, 2 * round(recipe.width * view.shape[0] / view.shape[1] / 2))
    small = _lit(cv2.resize(view, size, interpolation=cv2.INTER_AREA), recipe)
    small = np.ascontiguousarray(small[:, :: -1 if recipe.mirror else 1])
    if recipe.bars:
        small = _barred(small, recipe.bars)
    if recipe.watermark:
        x, y = recipe.watermark
        at = (round(x * small.shape[1]), round((y + 0.09) * small.shape[0]))
        _write(small, "gifs.example", at, 0.5)
    if recipe.caption:
        (width, _), _ = cv2.getTextSize(recipe.caption, cv2.FONT_HERSHEY_DUPLEX, _scale(small), 1)
        y = 0.15 if recipe.caption_top else 0.94
        _write(small, recipe.caption, ((small.shape[1] - width) // 2, round(y * len(small))), 1.0)
    return small


def _degraded(frame: np.ndarray, recipe: Recipe, rng: Rng) -> np.ndarray:
    if recipe.noise:
        noisy = frame + rng.normal(0, recipe.noise, frame.shape).astype(np.float32)
        frame = np.clip(noisy, 0, 255).astype(np.uint8)
    if recipe.jpeg < 100:
        coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, recipe.jpeg])[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None
        return decoded
    return frame


def _lit(frame: np.ndarray, recipe: Recipe) -> np.ndarray:
    if recipe.saturation != 1.0:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        frame = np.clip(gray + (frame - gray) * recipe.saturation, 0, 255).astype(np.uint8)
    if recipe.brightness or recipe.gamma != 1.0:
        levels = 255 * (np.arange(256) / 255) ** recipe.gamma + recipe.brightness
        frame = np.clip(levels, 0, 255).astype(np.uint8)[frame]
    return frame


def _barred(frame: np.ndarray, aspect: float) -> np.ndarray:
    """Black bars above and below, or left and right, until width / height is `aspect`."""
    height, width = frame.shape[:2]
    tall, wide = max(0, round(width / aspect) - height), max(0, round(height * aspect) - width)
    tall, wide = tall // 4 * 2, wide // 4 * 2  # Even sizes with equal bars.
    return cv2.copyMakeBorder(frame, tall, tall, wide, wide, cv2.BORDER_CONSTANT)


def _scale(frame: np.ndarray) -> float:
    return frame.shape[1] / 420


def _write(frame: np.ndarray, text: str, at: tuple[int, int], size: float) -> None:
    for weight, gray in ((3, 0), (1, 255)):
        cv2.putText(
            frame,
            text,
            at,
            cv2.FONT_HERSHEY_DUPLEX,
            _scale(frame) * size,
            (gray,) * 3,
            weight,
            cv2.LINE_AA,
        )
