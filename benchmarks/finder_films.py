"""Ten hours of film for `finder.py`: made films, one seed each.

A made film is a row of shots of 2 to 9 s, gray, at 160×90 and 25 frames a second. A shot is a
picture under a moving camera, with one to three smaller pictures that fly across it. Half of the
shots show smooth noise, half a mixture of two frames of real films. In one shot of twenty the
camera stands still. No shot comes twice, so that every clip has one true place.
"""

import subprocess
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from video2gif.fingerprint.decode import shrunk
from video2gif.fingerprint.phash import HASH_SIDE, LUMA_SIDE, phash, quality, window_hashes
from video2gif.fingerprint.track import THUMB_SIDE, Track

WIDTH, HEIGHT, FPS = 160, 90, 25
FILM_S = 1500.0
_STILL_SHARE = 0.05

Rng = np.random.Generator


def rng_of(*names: object) -> Rng:
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


def real_pictures(videos: Sequence[Path], *, every_s: float = 0.5) -> list[np.ndarray]:
    """Gray frames of real films, uint8 (180, 320), to mix pictures of."""
    found: list[np.ndarray] = []
    for path in sorted(videos):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf"]
        command += [f"fps={1 / every_s},scale=320:180", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        frames = np.frombuffer(raw, np.uint8).reshape(-1, 180, 320)
        # A black or even picture is like every other one.
        found += [frame for frame in frames if frame.std() > 20]
    return found


def film(seed: int, pictures: Sequence[np.ndarray], *, n_frames: int) -> Iterator[np.ndarray]:
    done, number = 0, 0
    while done < n_frames:
        rng = rng_of("shot", seed, number)
        length = min(round(rng.uniform(2, 9) * FPS), n_frames - done)
        yield from _shot(rng, pictures, length)
        done, number = done + length, number + 1


def _shot(rng: Rng, pictures: Sequence[np.ndarray], length: int) -> Iterator[np.ndarray]:
    canvas = _picture(rng, pictures)
    still = rng.random() < _STILL_SHARE
    pace = 0.0 if still else float(np.exp(rng.uniform(np.log(0.4), np.log(2.0))))
    centre, step = np.array([160.0, 90.0]) + rng.uniform(-30, 30, 2), rng.normal(size=2) * pace
    zoom, growth = rng.uniform(0.7, 1.1), 1.0 + rng.normal() * 0.002 * pace
    sprites = [_Sprite(rng, pictures, pace) for _ in range(rng.integers(1, 4))]
    for i in range(length):
        # To and fro, so that the camera stays near the picture.
        x, y = centre + 60 * np.sin(step * i / 60)
        scale = zoom * growth**i * 1.6
        matrix = np.array([[scale, 0, x - scale * 80], [0, scale, y - scale * 45]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        border = cv2.BORDER_REFLECT
        frame = cv2.warpAffine(canvas, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=border)
        for sprite in sprites:
            sprite.draw(frame, i)
        yield frame


class _Sprite:
    """A small picture that moves over another one."""

    def __init__(self, rng: Rng, pictures: Sequence[np.ndarray], pace: float) -> None:
        side = int(rng.integers(24, 50))
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        self._alpha = np.clip(4 * (1 - np.hypot(x, y)), 0, 1).astype(np.float32)
        small = cv2.resize(_picture(rng, pictures), (side, side), interpolation=cv2.INTER_AREA)
        self._drawn = small.astype(np.float32) * self._alpha
        self._side, self._phase = side, rng.uniform(0, 2 * np.pi, 2)
        self._step = rng.uniform(0.01, 0.05, 2) * pace

    def draw(self, frame: np.ndarray, i: int) -> None:
        at = 0.5 + 0.5 * np.sin(self._phase + self._step * i)
        x, y = int(at[0] * (WIDTH - self._side)), int(at[1] * (HEIGHT - self._side))
        part = frame[y : y + self._side, x : x + self._side]
        part[:] = self._drawn + part * (1 - self._alpha)


def _picture(rng: Rng, pictures: Sequence[np.ndarray]) -> np.ndarray:
    if not pictures or rng.random() < 0.5:
        return _noise(rng)
    one, two = (_cut(rng, pictures[int(rng.integers(len(pictures)))]) for _ in range(2))
    mask = np.clip((_noise(rng).astype(np.float32) - 128) / 40 + 0.5, 0, 1)
    return (one * mask + two * (1 - mask)).astype(np.uint8)


def _cut(rng: Rng, picture: np.ndarray) -> np.ndarray:
    share = rng.uniform(0.5, 1.0)
    h, w = int(180 * share), int(320 * share)
    y, x = int(rng.integers(0, 181 - h)), int(rng.integers(0, 321 - w))
    part = picture[y : y + h, x : x + w]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return cv2.resize(np.ascontiguousarray(part), (320, 180), interpolation=cv2.INTER_LINEAR)


def _noise(rng: Rng) -> np.ndarray:
    """uint8 (180, 320): most energy in low frequencies, as in photographs."""
    spectrum = rng.normal(size=(90, 160)) + 1j * rng.normal(size=(90, 160))
    frequency = np.hypot(np.fft.fftfreq(90)[:, None], np.fft.fftfreq(160)[None])
    picture = np.fft.ifft2(spectrum / (frequency + 1 / 128) ** 1.5).real
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return cv2.resize((picture * 255).astype(np.uint8), (320, 180), interpolation=cv2.INTER_LINEAR)


def luma(frames: Iterable[np.ndarray]) -> np.ndarray:
    """uint8 (n, 64, 64): what a fingerprint is made of, of gray frames."""
    size = (LUMA_SIDE, LUMA_SIDE)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def track_of(luma_N6464: np.ndarray, pts_s: np.ndarray, end_s: float) -> Track:
    """The fingerprint that `fingerprint.decode` makes of such pictures."""
    parts = [luma_N6464[i : i + 64] for i in range(0, len(luma_N6464), 64)]
    small = [shrunk(part, HASH_SIDE) for part in parts]
    hashes = [
        np.column_stack([phash(s), window_hashes(p)]) for s, p in zip(small, parts, strict=True)
    ]
    thumbs = np.concatenate([shrunk(part, THUMB_SIDE) for part in parts])
    weights = np.concatenate([quality(s) for s in small])
    return Track(pts_s, end_s, np.concatenate(hashes), weights, thumbs)
