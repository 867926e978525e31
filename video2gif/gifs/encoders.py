"""Write one clip in memory as GIF, WebP, AVIF or MP4, at any height, frame rate and quality."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.gifs.palette import colours_of
from video2gif.gifs.pixels import indexed
from video2gif.gifs.shape import shown_at
from video2gif.media.encode import (
    delays_cs,
    repeats,
    write_avif,
    write_indexed_gif,
    write_video,
    write_webp,
)

Format = Literal["gif", "webp", "avif", "mp4"]
Encoder = Literal["libav", "gifski"]

HOLD = 3  # levels of 255; noise up to it costs no bytes


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a clip is written. The same clip and setting give the same bytes."""

    height: int
    rate: float
    """Frames a second."""
    quality: float
    """libwebp 0–100, x264 or AV1 crf, gifski 1–100; 0 where the encoder has none."""
    hold: int = HOLD
    """GIF: a pixel keeps its colour until the source differs by more than this, levels of 255."""


@dataclass(frozen=True)
class Clip:
    """Frames, rgb24 (h, w, 3) at the largest height wanted, and the times at which they show."""

    frames: Sequence[np.ndarray]
    times_s: np.ndarray
    """float64 (n,), from 0."""
    duration_s: float
    plays: int = 0
    """How often it is shown; 0 for ever."""

    @property
    def height(self) -> int:
        return self.frames[0].shape[0]

    @property
    def width(self) -> int:
        return self.frames[0].shape[1]

    def at(self, setting: Setting) -> list[np.ndarray]:
        """The frames at a rate and height, each scaled once even if it is shown several times."""
        index = shown_at(setting.rate, self.times_s, self.duration_s)
        kept, where = np.unique(index, return_inverse=True)
        small = list(_scaled((self.frames[i] for i in kept), self._size(setting.height)))
        return [small[i] for i in where]

    def _size(self, height: int) -> tuple[int, int]:
        return max(2, 2 * round(height * self.width / self.height / 2)), height


def encode(clip: Clip, setting: Setting, *, format: Format, encoder: Encoder, near: Path) -> bytes:
    """The content of the file. A temporary file is written beside the path `near`."""
    frames = clip.at(setting)
    delays = delays_cs(setting.rate, len(frames))
    path = near.with_suffix(f".draft.{format}")
    try:
        if format == "mp4":
            rate = Fraction(setting.rate).limit_denominator(1000)
            write_video(path, frames, fps=rate, crf=setting.quality)
        elif format == "webp":
            write_webp(path, frames, delays_cs=delays, quality=setting.quality, plays=clip.plays)
        elif format == "avif":
            # Else SVT-AV1 prints its version and settings to standard error for each file.
            os.environ.setdefault("SVT_LOG", "1")
            write_avif(path, frames, delays_cs=delays, crf=setting.quality)
        elif encoder == "gifski":
            write_gifski(
                path,
                frames,
                rate=setting.rate,
                quality=round(setting.quality),
                plays=clip.plays,
            )
        else:
            # Of the frames that are shown: a fade's others have other colours.
            colours = colours_of(frames)
            write_indexed_gif(
                path,
                indexed(frames, colours, setting.hold),
                colours_RGB=colours.palette_RGB,
                delays_cs=delays,
                plays=clip.plays,
            )
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def write_gifski(
    path: Path, frames: Sequence[np.ndarray], *, rate: float, quality: int, plays: int = 0
) -> None:
    """Encode with the user's own gifski program. Raises `EnvironmentProblem` if there is none."""
    program = gifski_program()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        names = [f"{number:06d}.png" for number in range(len(frames))]
        for name, frame in zip(names, frames, strict=True):
            # OpenCV takes B, G, R. Compression 1: the files live for a second.
            cv2.imwrite(f"{folder}/{name}", frame[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        height, width, _ = frames[0].shape
        command = [program, "--quiet", "--fps", f"{rate:g}", "--quality", str(quality)]
        command += ["--repeat", str(repeats(plays))] if plays else []
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
