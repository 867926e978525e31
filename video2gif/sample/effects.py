"""Effects in a shot besides its actors: the burst of a moment, and busy effects of dull shots.

A burst can be recognised by its look, not only by motion: sparks fly outwards from the actor, a
warm glow and rays are behind it, and camera and actor zoom in together. Rain, confetti, crowds and
fast pans change as many pixels or more. So a ranking by motion alone is misled by them.
"""

from typing import Protocol

import numpy as np

from video2gif.sample.actors import disc, middle, stroke
from video2gif.sample.scale import enlarged
from video2gif.sample.script import Shot, rng

# Of sparks and, so that colour alone is no sign, of confetti.
_WARM = ((255, 246, 200), (255, 214, 90), (255, 160, 50), (255, 255, 255))


class Effect(Protocol):
    """Drawn before and after the actors; may return another array than it was given."""

    def behind(self, frame: np.ndarray, n: int) -> np.ndarray: ...
    def front(self, frame: np.ndarray, n: int) -> np.ndarray: ...


def effect_of(shot: Shot, *, size: tuple[int, int]) -> Effect:
    """The effect that a shot's kind asks for."""
    chance = rng(shot.key, "effect")
    if shot.kind == "burst":
        return Burst(shot, size, chance)
    if shot.kind == "rain":
        return Rain(size, chance)
    if shot.kind == "confetti":
        return Confetti(shot.n_frames, size, chance)
    return Nothing()


def pulse(shot: Shot) -> np.ndarray:
    """How strong a moment is at each frame, float64 (n_frames,) in [0, 1]; 0 in a dull shot."""
    n = np.arange(shot.n_frames)
    hits = np.zeros(shot.n_frames)
    if shot.kind == "burst":
        for start in _launches(shot):
            since = n - start
            # It rises over four frames. If it rose within one, a detector would find a cut there.
            shape = np.clip(since / 4, 0, 1) * np.exp(-np.clip(since - 4, 0, None) / 6)
            hits = np.maximum(hits, shape)
    return hits


def _launches(shot: Shot) -> list[int]:
    period = int(rng(shot.key, "launches").integers(8, 12))
    return list(range(1, shot.n_frames, period))


class Nothing:
    """A quiet shot."""

    def behind(self, frame: np.ndarray, n: int) -> np.ndarray:
        return frame

    def front(self, frame: np.ndarray, n: int) -> np.ndarray:
        return frame


class Burst:
    """Rays, glow and sparks that fly outwards, all behind the actor."""

    def __init__(self, shot: Shot, size: tuple[int, int], chance: np.random.Generator) -> None:
        width, height = size
        self._pulse = pulse(shot)
        self._launches = _launches(shot)
        self._strength = chance.uniform(0.75, 1.0)
        self._middle = middle(shot, size)
        x, y = np.meshgrid(np.arange(width) - self._middle[0], np.arange(height) - self._middle[1])
        self._angle = np.arctan2(y, x)  # float64: float32's cosine is each processor's own.
        self._glow = np.exp(-np.hypot(x, y) / (0.45 * width)).astype(np.float32)
        self._spokes = int(chance.integers(8, 13))
        self._turn = chance.choice([-1, 1]) * chance.uniform(0.02, 0.04)
        n_sparks = 60
        self._direction = chance.uniform(0, 2 * np.pi, n_sparks)
        self._speed = chance.uniform(4, 12, n_sparks)
        self._colour = chance.integers(len(_WARM), size=n_sparks)
        self._radius = chance.uniform(1.2, 3.2, n_sparks)

    def behind(self, frame: np.ndarray, n: int) -> np.ndarray:
        spokes = np.clip(3 * np.cos(self._spokes * (self._angle + self._turn * n)), 0, 1)
        hit = self._strength * (0.65 + 0.3 * self._pulse[n])
        light = (hit * self._glow * (0.45 + 0.55 * spokes))[:, :, None]
        warm = np.array([255, 215, 120], dtype=np.float32)
        frame = (frame + (warm - frame) * light).astype(np.uint8)
        for k, start in enumerate(self._launches):
            age = n - start
            if 0 <= age < 14:
                self._sparks(frame, age, turn=0.7 * k)
        return frame

    def front(self, frame: np.ndarray, n: int) -> np.ndarray:
        return frame

    def _sparks(self, frame: np.ndarray, age: int, *, turn: float) -> None:
        way = np.stack([np.cos(self._direction + turn), np.sin(self._direction + turn)], axis=-1)
        reach = (self._speed * self._strength)[:, None]
        heads = self._middle + way * (10 + reach * (age + 1))
        tails = self._middle + way * (10 + reach * (age - 0.2))
        fade = 1 - age / 16
        for head, tail, radius, colour in zip(
            heads, tails, self._radius * fade, self._colour, strict=True
        ):
            stroke(frame, tail, head, radius, _WARM[colour])
            disc(frame, head, radius, _WARM[colour])


class Rain:
    """Grey streaks in new places every frame, and the grain of a poor camera."""

    def __init__(self, size: tuple[int, int], chance: np.random.Generator) -> None:
        self._size = size
        # Random numbers are drawn while rendering. That is repeatable because frames are always
        # rendered once and in order.
        self._chance = chance
        self._slant = chance.uniform(-5, 5)

    def behind(self, frame: np.ndarray, n: int) -> np.ndarray:
        return frame

    def front(self, frame: np.ndarray, n: int) -> np.ndarray:
        width, height = self._size
        heads = self._chance.uniform((0, 0), (width, height), size=(140, 2))
        length = np.array([self._slant, 16.0])
        streaks = frame.copy()
        for head in heads:
            stroke(streaks, head, head + length, 1, (215, 220, 230))
        grain = 9 * enlarged(
            self._chance.normal(size=(height // 2, width // 2)), self._size, cubic=False
        )
        # Whole numbers: `cv2.addWeighted` rounds as the processor likes.
        noisy = (9 * frame.astype(np.int32) + 11 * streaks.astype(np.int32) + 10) // 20
        return np.clip(noisy + grain[:, :, None], 0, 255).astype(np.uint8)


class Confetti:
    """Bright flakes that only sink; they have the colours of sparks, so colour alone is no sign."""

    def __init__(self, n_frames: int, size: tuple[int, int], chance: np.random.Generator) -> None:
        width, height = size
        n = np.arange(n_frames)[:, None]
        x0, y0 = chance.uniform(0, width, 70), chance.uniform(0, height, 70)
        sway = 6 * np.sin(n / chance.uniform(3, 6, 70) + chance.uniform(0, 6, 70))
        fall = chance.uniform(2, 5, 70)
        self._xy = np.stack([x0 + sway, (y0 + fall * n) % height], axis=-1)
        self._radius = chance.uniform(1.2, 3.0, 70)
        self._colour = chance.integers(len(_WARM), size=70)

    def behind(self, frame: np.ndarray, n: int) -> np.ndarray:
        return frame

    def front(self, frame: np.ndarray, n: int) -> np.ndarray:
        for xy, radius, colour in zip(self._xy[n], self._radius, self._colour, strict=True):
            disc(frame, xy, radius, _WARM[colour])
        return frame
