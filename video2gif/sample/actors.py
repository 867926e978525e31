"""The figures that move in a shot: bouncing balls, wandering animals, dancers, gulls.

An actor knows where it is at each frame of its shot (0-based, FPS frames a second) and draws
itself with anti-aliased, sub-pixel OpenCV shapes. Positions are in pixels of the picture.
"""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from video2gif.sample.script import Category, Shot, rng

Rgb = tuple[int, int, int]
"""RGB, 0 to 255."""

_SHIFT = 4  # OpenCV takes fixed-point coordinates: 4 bits are sixteenths of a pixel.


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One figure with its path and its size."""

    category: Category
    colour: Rgb
    path_xy: np.ndarray
    """Position of its middle, float64 (n_frames, 2)."""
    phase: np.ndarray
    """Angle of its limbs, wings or seam, radians, float64 (n_frames,)."""
    radius: float
    """Half its height, pixels."""
    punch: float = 0.0
    """How much it grows with the pulse of a moment."""

    def draw(self, frame: np.ndarray, n: int, *, scale: float = 1.0) -> None:
        """Draw it as it is at frame `n` of the shot, `scale` times its size."""
        x, y = self.path_xy[n]
        figure = {"sports": _ball, "animals": _animal, "dance": _dancer, "nature": _gull}
        figure[self.category](
            frame, np.array([x, y]), self.radius * scale, float(self.phase[n]), self.colour
        )


def cast(shot: Shot, *, size: tuple[int, int]) -> list[Actor]:
    """The actors of a shot in the order they are drawn; the last one is in front."""
    chance = rng(shot.key, "actors")
    if shot.kind == "burst":
        extras = [_actor(shot, size, chance, radius=chance.uniform(11, 15)) for _ in range(2)]
        return [*extras, _star(shot, size, chance)]
    if shot.kind == "crowd":
        # Small ones are far away: those that are drawn later cover them.
        radii = np.sort(chance.uniform(9, 16, size=14))
        return [_actor(shot, size, chance, radius=r, pace=2.2) for r in radii]
    count = int(chance.integers(2, 4))
    radii = np.sort(chance.uniform(13, 26, size=count))
    return [_actor(shot, size, chance, radius=r) for r in radii]


def middle(shot: Shot, size: tuple[int, int]) -> np.ndarray:
    """Where a moment happens: (x, y) in pixels, float64."""
    chance = rng(shot.key, "middle")
    return np.array(size) * [chance.uniform(0.38, 0.62), chance.uniform(0.45, 0.6)]


def _star(shot: Shot, size: tuple[int, int], chance: np.random.Generator) -> Actor:
    """The main figure of a moment: it is in the middle and grows with every pulse."""
    t = np.arange(shot.n_frames)
    swing = np.stack([18 * np.sin(t / 2.2), -10 * np.abs(np.sin(t / 2.8))], axis=-1)
    return Actor(
        category=shot.category,
        colour=_colour(shot, chance),
        path_xy=middle(shot, size) + swing * chance.uniform(0.6, 1.2),
        phase=t * chance.uniform(0.7, 1.0),
        radius=chance.uniform(24, 32),
        punch=chance.uniform(0.7, 1.1),
    )


def _actor(
    shot: Shot,
    size: tuple[int, int],
    chance: np.random.Generator,
    *,
    radius: float,
    pace: float = 1.0,
) -> Actor:
    if shot.kind == "still":
        pace = 0.0
    t = np.arange(shot.n_frames) * pace
    width, height = size
    x0, y0 = width * chance.uniform(0.12, 0.88), height * chance.uniform(0.45, 0.82)
    start, tempo = chance.uniform(0, 2 * np.pi), chance.uniform(0.06, 0.12)
    x = x0 + chance.uniform(15, 45) * np.sin(tempo * t + start)
    # Balls bounce, gulls glide, the others bob.
    if shot.category == "sports":
        y = y0 - chance.uniform(20, 50) * np.abs(np.sin(0.2 * t + start))
    elif shot.category == "nature":
        y = y0 * 0.6 + 14 * np.sin(1.7 * tempo * t + start)
    else:
        y = y0 + 3 * np.sin(0.3 * t + start)
    return Actor(
        category=shot.category,
        colour=_colour(shot, chance),
        path_xy=np.stack([x, y], axis=-1),
        phase=0.3 * t + start,
        radius=radius,
    )


def _colour(shot: Shot, chance: np.random.Generator) -> Rgb:
    hue = (shot.hue + chance.uniform(0.3, 0.7)) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.55 if shot.bright else 0.9)
    return (round(255 * red), round(255 * green), round(255 * blue))


def _shade(colour: Rgb, factor: float) -> Rgb:
    red, green, blue = (min(255, round(factor * part)) for part in colour)
    return (red, green, blue)


def _fixed(xy: np.ndarray) -> tuple[int, int]:
    x, y = np.round(xy * (1 << _SHIFT)).astype(int)
    return (int(x), int(y))


def disc(frame: np.ndarray, xy: np.ndarray, radius: float, colour: Rgb) -> None:
    """A filled circle."""
    r = max(1, round(radius * (1 << _SHIFT)))
    cv2.circle(frame, _fixed(xy), r, colour, -1, cv2.LINE_AA, _SHIFT)


def stroke(
    frame: np.ndarray, start: np.ndarray, end: np.ndarray, width: float, colour: Rgb
) -> None:
    """A line with round ends."""
    # OpenCV takes whole pixels here.
    thickness = max(1, round(width))
    cv2.line(frame, _fixed(start), _fixed(end), colour, thickness, cv2.LINE_AA, _SHIFT)


def _oval(
    frame: np.ndarray, xy: np.ndarray, axes: tuple[float, float], angle: float, colour: Rgb
) -> None:
    a, b = (max(1, round(axis * (1 << _SHIFT))) for axis in axes)
    cv2.ellipse(frame, _fixed(xy), (a, b), angle, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)


def _beside(xy: np.ndarray, right: float, down: float) -> np.ndarray:
    return xy + np.array([right, down])


def _towards(angle: float) -> np.ndarray:
    return np.array([np.sin(angle), np.cos(angle)])


def _ball(frame: np.ndarray, xy: np.ndarray, r: float, phase: float, colour: Rgb) -> None:
    _oval(frame, _beside(xy, 0, 1.25 * r), (0.9 * r, 0.2 * r), 0, (25, 25, 30))
    disc(frame, xy, r, _shade(colour, 0.7))
    disc(frame, xy - 0.1 * r, 0.88 * r, colour)
    for turn in (0.0, np.pi / 2):
        end = 0.85 * r * _towards(phase + turn)
        stroke(frame, xy - end, xy + end, 0.1 * r, _shade(colour, 0.45))
    disc(frame, xy - 0.38 * r, 0.22 * r, (250, 250, 245))


def _animal(frame: np.ndarray, xy: np.ndarray, r: float, phase: float, colour: Rgb) -> None:
    side = np.array([1.0 if np.cos(phase / 4) >= 0 else -1.0, 1.0])
    for k, leg in enumerate((-0.7, -0.3, 0.35, 0.75)):
        hip = xy + np.array([leg * r, 0.4 * r]) * side
        foot = hip + np.array([0.35 * np.sin(phase + np.pi * (k % 2)), 0.75]) * r
        stroke(frame, hip, foot, 0.24 * r, _shade(colour, 0.65))
    tail = np.array([-1.0, -0.1]) * r
    tip = np.array([-1.5, -0.6 + 0.3 * np.sin(2 * phase)]) * r
    stroke(frame, xy + tail * side, xy + tip * side, 0.2 * r, colour)
    _oval(frame, xy, (1.1 * r, 0.6 * r), 0, colour)
    head = xy + np.array([1.0, -0.6]) * r * side
    for ear in (-0.3, 0.2):
        _oval(frame, head + np.array([ear, -0.45]) * r * side, (0.14 * r, 0.32 * r), 0, colour)
    disc(frame, head, 0.5 * r, _shade(colour, 1.15))
    disc(frame, head + np.array([0.2, -0.1]) * r * side, 0.09 * r, (20, 20, 20))
    disc(frame, head + np.array([0.48, 0.08]) * r * side, 0.1 * r, (20, 20, 20))


def _dancer(frame: np.ndarray, xy: np.ndarray, r: float, phase: float, colour: Rgb) -> None:
    skin = (236, 188, 150)
    sway = r * np.sin(phase)
    hip, neck = _beside(xy, 0.1 * sway, 0.2 * r), _beside(xy, 0.15 * sway, -0.55 * r)
    for side in (-1, 1):
        knee = hip + 0.5 * r * _towards(side * (0.35 + 0.3 * np.sin(phase + side)))
        stroke(frame, hip, knee, 0.22 * r, _shade(colour, 0.6))
        stroke(frame, knee, knee + 0.5 * r * _towards(0.4 * np.sin(phase)), 0.2 * r, (35, 35, 45))
        lift = side * (1.6 + 0.9 * np.sin(phase * (1 if side > 0 else 1.3)))
        elbow = neck + 0.45 * r * _towards(lift)
        stroke(frame, neck, elbow, 0.17 * r, colour)
        stroke(frame, elbow, elbow + 0.42 * r * _towards(lift + side * 0.6), 0.15 * r, skin)
    stroke(frame, hip, neck, 0.42 * r, colour)
    disc(frame, _beside(neck, 0.05 * sway, -0.32 * r), 0.25 * r, skin)
    disc(frame, _beside(neck, 0.05 * sway, -0.43 * r), 0.2 * r, (50, 35, 30))


def _gull(frame: np.ndarray, xy: np.ndarray, r: float, phase: float, colour: Rgb) -> None:
    white = (245, 245, 240)
    beat = np.sin(phase)
    for side in (-1, 1):
        elbow = xy + np.array([side * 0.7, -0.35 * beat - 0.15]) * r
        tip = xy + np.array([side * 1.5, 0.25 * beat]) * r
        stroke(frame, xy, elbow, 0.26 * r, white)
        stroke(frame, elbow, tip, 0.18 * r, _shade(colour, 0.9))
    _oval(frame, xy, (0.3 * r, 0.55 * r), 0, white)
    head = _beside(xy, 0, -0.5 * r)
    disc(frame, head, 0.24 * r, white)
    stroke(frame, head, _beside(head, 0.3 * r, 0.08 * r), 0.12 * r, (240, 160, 40))
