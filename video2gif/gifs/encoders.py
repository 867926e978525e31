"""One clip in memory, written as GIF, WebP, AVIF or MP4 at any height, rate and quality."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.gifs.palette import Colours, colours_of
from video2gif.gifs.shape import shown_at
from video2gif.media.encode import (
    delays_cs,
    write_avif,
    write_indexed_gif,
    write_video,
    write_webp,
)

Format = Literal["gif", "webp", "avif", "mp4"]
Encoder = Literal["libav", "gifski"]

FORMATS: tuple[Format, ...] = ("gif", "webp", "avif", "mp4")
HOLD = 2


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a clip is written. The same clip and setting give the same bytes."""

    height: int
    rate: float
    """Frames a second."""
    quality: float
    """libwebp 0–100, x264 or AV1 crf, gifski 1–100; 0 where the encoder has none."""
    hold: int = HOLD
    """GIF: a pixel keeps its colour while it differs by no more than this from the source."""


@dataclass(frozen=True)
class Clip:
    """The frames that are shown, rgb24 at the largest height wanted, and when."""

    frames: Sequence[np.ndarray]
    times_s: np.ndarray
    """float64 (n,), from 0."""
    duration_s: float

    @property
    def height(self) -> int:
        return self.frames[0].shape[0]

    @property
    def width(self) -> int:
        return self.frames[0].shape[1]

    @cached_property
    def colours(self) -> Colours:
        """One palette for all sizes."""
        return colours_of(self.frames)

    def at(self, setting: Setting) -> list[np.ndarray]:
        """The frames shown at a rate and height."""
        index = shown_at(setting.rate, self.times_s, self.duration_s)
        kept, where = np.unique(index, return_inverse=True)
        small = list(_scaled((self.frames[i] for i in kept), self._size(setting.height)))
        return [small[i] for i in where]

    def _size(self, height: int) -> tuple[int, int]:
        return max(2, 2 * round(height * self.width / self.height / 2)), height


def encode(clip: Clip, setting: Setting, *, format: Format, encoder: Encoder, near: Path) -> bytes:
    """The file's content; `near` is a path beside which a temporary file may be written."""
    frames = clip.at(setting)
    delays = delays_cs(setting.rate, len(frames))
    path = near.with_suffix(f".draft.{format}")
    try:
        if format == "mp4":
            rate = Fraction(setting.rate).limit_denominator(1000)
            write_video(path, frames, fps=rate, crf=setting.quality)
        elif format == "webp":
            write_webp(path, frames, delays_cs=delays, quality=setting.quality)
        elif format == "avif":
            os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 greets on standard error.
            write_avif(path, frames, delays_cs=delays, crf=setting.quality)
        elif encoder == "gifski":
            write_gifski(path, frames, rate=setting.rate, quality=round(setting.quality))
        else:
            still = held(frames, setting.hold)
            indices = [clip.colours.indices(frame) for frame in still]
            write_indexed_gif(path, indices, colours_RGB=clip.colours.palette_RGB, delays_cs=delays)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def held(frames: Iterable[np.ndarray], tolerance: int) -> Iterator[np.ndarray]:
    """Frames in which a pixel stays as it was while no channel is off by more than `tolerance`.

    Noise in still areas then costs no bytes (an unchanged pixel is transparent) and does not
    flicker. The comparison is with what is shown, so errors never add up.
    """
    shown: np.ndarray | None = None
    for frame in frames:
        if shown is not None and tolerance:
            changed = (cv2.absdiff(frame, shown) > tolerance).any(axis=2, keepdims=True)
            frame = np.where(changed, frame, shown)
        shown = frame
        yield frame


def write_gifski(path: Path, frames: Sequence[np.ndarray], *, rate: float, quality: int) -> None:
    """Encode with the user's own gifski program. Raises `EnvironmentProblem` if there is none."""
    program = gifski_program()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        names = [f"{number:06d}.png" for number in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            cv2.imwrite(f"{folder}/{name}", frame[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        height, width, _ = frames[0].shape
        command = [program, "--quiet", "--fps", f"{rate:g}", "--quality", str(quality)]
        command += ["--width", str(width), "--height", str(height), "--output", str(path.resolve())]
        done = subprocess.run(
            [*command, *names], cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise ItemError("crash", f"gifski: {done.stderr.strip()[-200:]}")


def gifski_program() -> str:
    """The path of gifski. Raises `EnvironmentProblem` when it is not installed."""
    program = shutil.which("gifski")
    if program is None:
        raise EnvironmentProblem(
            "gifski is not installed; see https://gif.ski, or leave out --encoder"
        )
    return program


def gifski_version() -> str:
    """What `gifski --version` says."""
    done = subprocess.run([gifski_program(), "--version"], capture_output=True, text=True)
    return done.stdout.strip()


def _scaled(frames: Iterable[np.ndarray], size: tuple[int, int]) -> Iterator[np.ndarray]:
    scaler = VideoReformatter()
    for frame in frames:
        if (frame.shape[1], frame.shape[0]) == size:
            yield frame
            continue
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        yield scaler.reformat(
            picture, *size, "rgb24", interpolation=Interpolation.LANCZOS, threads=1
        ).to_ndarray()
