"""Synthetic pictures that move, for tests that need frames to tell apart."""

import cv2
import numpy as np


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
