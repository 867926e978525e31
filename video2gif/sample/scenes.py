"""Draw a shot of the embedded corpus: a textured place, a moving camera, actors and effects.

Frames are uint8 (HEIGHT, WIDTH, 3), RGB. The place is painted once, on a canvas larger than the
picture. Each frame is a view of the canvas (one affine warp) with actors and effects drawn on it.
"""

import colorsys
from collections.abc import Iterator

import cv2
import numpy as np

from video2gif.sample.actors import Rgb, cast
from video2gif.sample.effects import effect_of, pulse
from video2gif.sample.scale import enlarged, view
from video2gif.sample.script import ScriptedVideo, Shot, rng

WIDTH, HEIGHT = 240, 180
# Twice the picture, so that the camera has room to move.
_CANVAS_W, _CANVAS_H = 480, 360


def frames(video: ScriptedVideo) -> Iterator[np.ndarray]:
    """All frames of a video, shot after shot."""
    for shot in video.shots:
        yield from render(shot)


def render(shot: Shot) -> Iterator[np.ndarray]:
    """The frames of one shot."""
    place = _place(shot)
    views = _views(shot)
    actors = cast(shot, size=(WIDTH, HEIGHT))
    effect = effect_of(shot, size=(WIDTH, HEIGHT))
    punch = pulse(shot)
    for n in range(shot.n_frames):
        frame = effect.behind(view(place, views[n], (WIDTH, HEIGHT)), n)
        for actor in actors:
            actor.draw(frame, n, scale=1 + actor.punch * punch[n])
        yield effect.front(frame, n)


def _views(shot: Shot) -> np.ndarray:
    """Affine maps from picture to canvas, float64 (n_frames, 2, 3)."""
    chance = rng(shot.key, "camera")
    n = np.arange(shot.n_frames)
    direction = chance.uniform(0, 2 * np.pi)
    speed = 0.0 if shot.kind == "still" else chance.uniform(0.7, 1.4)
    x = _CANVAS_W / 2 + speed * np.cos(direction) * (n - n.mean())
    y = _CANVAS_H / 2 + 0.6 * speed * np.sin(direction) * (n - n.mean())
    zoom = np.full(n.shape, chance.uniform(0.95, 1.1))
    angle = np.zeros(n.shape)
    if shot.kind != "still":
        zoom = zoom * (1 + chance.uniform(-0.1, 0.1) * n / len(n))
        angle = 0.03 * np.sin(2 * np.pi * n / chance.uniform(40, 70) + chance.uniform(0, 6))
    if shot.kind == "pan":
        x = x + chance.choice([-1, 1]) * chance.uniform(11, 17) * n
    zoom = zoom * (1 + 0.15 * pulse(shot))
    # From picture to canvas, so that to zoom in is to divide.
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    rows = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
    centre = np.array([WIDTH / 2, HEIGHT / 2])
    offset = np.stack([x, y], -1) - np.einsum("nij,j->ni", rows, centre)
    return np.concatenate([rows, offset[:, :, None]], axis=2)


def hsv(hue: float, saturation: float, value: float) -> Rgb:
    """An RGB colour, 0 to 255, of shares in [0, 1] (hue wraps around)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1))
    return (round(255 * red), round(255 * green), round(255 * blue))


def _place(shot: Shot) -> np.ndarray:
    """The canvas of a shot, uint8 (_CANVAS_H, _CANVAS_W, 3)."""
    chance = rng(shot.key, "place")
    light = 0.8 if shot.bright else 0.34
    top = np.array(hsv(shot.hue, 0.35, light * 1.15), dtype=np.float32)
    bottom = np.array(hsv(shot.hue + 0.06, 0.6, light * 0.85), dtype=np.float32)
    ramp = np.linspace(0, 1, _CANVAS_H, dtype=np.float32)[:, None, None]
    canvas = np.repeat(top * (1 - ramp) + bottom * ramp, _CANVAS_W, axis=1)
    paint = {"sports": _court, "animals": _meadow, "dance": _stage, "nature": _coast}
    paint[shot.category](canvas, shot.hue, light, chance)
    textured = canvas * (1 + 0.2 * _clouds(chance))[:, :, None]
    return np.clip(textured, 0, 255).astype(np.uint8)


def _clouds(chance: np.random.Generator) -> np.ndarray:
    """Smooth noise of four octaves, about unit variance, float64 (_CANVAS_H, _CANVAS_W)."""
    total = np.zeros((_CANVAS_H, _CANVAS_W))
    # The squares of the weights sum to about 1, and with them the variance.
    for cells, weight in ((4, 0.7), (8, 0.55), (20, 0.35), (60, 0.25)):
        # As many cells down as make them square in a 4:3 picture.
        heights = chance.normal(size=(cells * 3 // 4, cells))
        total += weight * enlarged(heights, (_CANVAS_W, _CANVAS_H), cubic=True)
    return total


def _court(canvas: np.ndarray, hue: float, light: float, chance: np.random.Generator) -> None:
    """Mown stripes, white lines, a centre circle."""
    horizon = int(_CANVAS_H * chance.uniform(0.3, 0.42))
    for column in range(0, _CANVAS_W, 48):
        shade = light * (0.75 if column // 48 % 2 else 0.9)
        cv2.rectangle(
            canvas, (column, horizon), (column + 48, _CANVAS_H), hsv(hue + 0.05, 0.65, shade), -1
        )
    line = hsv(hue, 0.1, min(1.0, light + 0.2))
    cv2.line(canvas, (0, horizon), (_CANVAS_W, horizon), line, 3, cv2.LINE_AA)
    middle = int(chance.uniform(0.35, 0.65) * _CANVAS_W)
    cv2.line(canvas, (middle, horizon), (middle, _CANVAS_H), line, 2, cv2.LINE_AA)
    cv2.ellipse(canvas, (middle, 250), (80, 34), 0, 0, 360, line, 2, cv2.LINE_AA)


def _meadow(canvas: np.ndarray, hue: float, light: float, chance: np.random.Generator) -> None:
    """Three ranges of hills and tufts of grass."""
    x = np.arange(_CANVAS_W + 1)
    for depth in range(3):
        waves = np.sin(x / chance.uniform(25, 70) + chance.uniform(0, 6))
        y = _CANVAS_H * (0.36 + 0.17 * depth) + waves * chance.uniform(6, 16)
        _fill_below(
            canvas, y, hsv(hue + 0.04 * depth, 0.5 + 0.1 * depth, light * (1 - 0.13 * depth))
        )
    tuft = hsv(hue + 0.1, 0.6, light * 0.55)
    for _ in range(160):
        left, foot = int(chance.integers(_CANVAS_W)), int(chance.integers(170, _CANVAS_H))
        tip = (left + int(chance.integers(-4, 5)), foot - int(chance.integers(5, 12)))
        cv2.line(canvas, (left, foot), tip, tuft, 1, cv2.LINE_AA)


def _stage(canvas: np.ndarray, hue: float, light: float, chance: np.random.Generator) -> None:
    """A curtain in folds, a floor of boards, cones of light."""
    floor = int(_CANVAS_H * chance.uniform(0.55, 0.68))
    fold = chance.uniform(5, 9)
    x = np.arange(_CANVAS_W)
    curtain = 1 + 0.22 * np.sin(x / fold + 2 * np.sin(x / 41.0))
    canvas[:floor] *= curtain[None, :, None].astype(np.float32)
    canvas[floor:] = hsv(hue + 0.08, 0.45, light * 0.75)
    for left in range(-400, _CANVAS_W + 400, 40):
        foot = (2 * left - _CANVAS_W // 2, _CANVAS_H)
        cv2.line(canvas, (left, floor), foot, hsv(hue + 0.08, 0.5, light * 0.55), 1, cv2.LINE_AA)
    cones = np.zeros_like(canvas)
    for _ in range(3):
        lamp, spot = int(chance.integers(_CANVAS_W)), int(chance.integers(_CANVAS_W))
        cone = np.array([[lamp, 0], [spot - 50, _CANVAS_H], [spot + 50, _CANVAS_H]], np.int32)
        beam = np.zeros_like(canvas)
        cv2.fillConvexPoly(beam, cone, hsv(hue + chance.uniform(-0.1, 0.1), 0.3, 0.2), cv2.LINE_AA)
        cones += beam
    canvas += cones


def _coast(canvas: np.ndarray, hue: float, light: float, chance: np.random.Generator) -> None:
    """A low sun, a mountain, lines of waves."""
    sun = (int(chance.uniform(0.2, 0.8) * _CANVAS_W), int(chance.uniform(80, 130)))
    cv2.circle(canvas, sun, 34, hsv(hue + 0.05, 0.2, light + 0.2), -1, cv2.LINE_AA)
    x = np.arange(_CANVAS_W + 1)
    peak = chance.uniform(0.2, 0.8) * _CANVAS_W
    ridge = 190 - 90 * np.exp(-(((x - peak) / 90) ** 2)) + 5 * np.sin(x / 7.0)
    _fill_below(canvas, ridge, hsv(hue + 0.02, 0.45, light * 0.65))
    for row in range(7):
        y = 185 + 24 * row + (3 + row) * np.sin(x / (9.0 + 2 * row) + chance.uniform(0, 6))
        shade = light * (0.95 if row % 2 else 0.78)
        _fill_below(canvas, y, hsv(hue + 0.06 + 0.01 * row, 0.6, shade))


def _fill_below(canvas: np.ndarray, y: np.ndarray, colour: Rgb) -> None:
    """Fill the canvas below the line y(x)."""
    line = np.stack([np.arange(len(y)), np.round(y)], axis=1).astype(np.int32)
    corners = np.array([[_CANVAS_W, _CANVAS_H], [0, _CANVAS_H]], np.int32)
    cv2.fillPoly(canvas, [np.concatenate([line, corners])], colour, cv2.LINE_AA)
