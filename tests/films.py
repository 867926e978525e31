"""A small film for the tests of the pages."""

from pathlib import Path

import numpy as np

from video2gif.media.encode import write_video


def film_of_shots(path: Path) -> Path:
    """Four shots of two seconds at 20 frames a second, of different liveliness; the last moves
    most."""
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 255, (4, 12, 16, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    frames = [
        np.roll(scenes[shot], speed * n, axis=1)
        for shot, speed in enumerate((1, 5, 2, 9))
        for n in range(40)
    ]
    write_video(path, frames, fps=20)
    return path
