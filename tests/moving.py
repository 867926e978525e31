"""Synthetic pictures that move, for tests that need frames to tell apart."""

import math

import cv2
import numpy as np
from PIL import Image


def moving_frames(
    n: int, *, seed: int, width: int = 192, height: int = 108, cut_every: int = 40
) -> list[np.ndarray]:
    """Frames uint8 (height, width, 3): shots of a texture that pans and zooms, cut now and then."""
    rng = np.random.default_rng(seed)
    frames: list[np.ndarray] = []
    while len(frames) < n:
        canvas = _texture(rng)
        centre, step = rng.uniform(90, 160, 2), rng.uniform(-1.5, 1.5, 2)
        zoom, growth = rng.uniform(0.5, 0.8), rng.uniform(0.99, 1.01)
        for i in range(min(cut_every, n - len(frames))):
            x, y = centre + step * i
            scale = zoom * growth**i * 200 / width
            matrix = np.array(
                [[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2]]
            )
            frames.append(
                cv2.warpAffine(
                    canvas,
                    matrix,
                    (width, height),
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REFLECT,
                )
            )
    return frames


def _texture(rng: np.random.Generator) -> np.ndarray:
    """A 256×256 colour picture with most energy in low frequencies."""
    spectrum = rng.normal(size=(3, 256, 256)) + 1j * rng.normal(size=(3, 256, 256))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    picture = np.fft.ifft2(spectrum / (frequency + 1 / 256) ** 1.5).real
    picture -= picture.min(axis=(1, 2), keepdims=True)
    picture /= picture.max(axis=(1, 2), keepdims=True)
    return (picture * 255).astype(np.uint8).transpose(1, 2, 0).copy()


def textured(*, seed: int = 0, height: int = 96, width: int = 128) -> np.ndarray:
    """A smooth picture of many colours: what cameras see, not noise."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def swinging(n: int, *, period: int, seed: int = 0) -> list[np.ndarray]:
    """A picture that moves to and fro: frame i + period is frame i."""
    picture = textured(seed=seed)
    at = [round(20 * math.sin(2 * math.pi * i / period)) for i in range(n)]
    return [np.roll(picture, shift, axis=1) for shift in at]


def panning(n: int, *, seed: int = 0) -> list[np.ndarray]:
    """A picture that never comes back."""
    wide = textured(seed=seed, width=128 + 3 * n)
    return [wide[:, 3 * i : 3 * i + 128] for i in range(n)]
