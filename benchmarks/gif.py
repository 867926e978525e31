"""`python benchmarks/gif.py [ssim|budgets|seams|peers …] [--videos bikes,…]`: GIFs beside others.

ssim: the best moment of each real video, written by ffmpeg's two-pass palettegen recipe (10 frames
a second, 240 px, lanczos, its default dither and bayer 5), by Pillow, and by us, who get the
recipe's bytes as --max-bytes. Judged as a viewer sees it: every source frame of the span against
the GIF frame shown at that time, scaled up to the source's size. `same shape` is ours at the
recipe's own 240 px and 10 frames a second.
budgets: 500 kB and 2 MB for that moment, 8 MB for ten seconds.
seams: last frame to first, of plain cuts and of the loops chosen, for the three best moments.
peers: gifski, and ffmpeg with gifsicle, at our bytes: see gif_peers.py.

Reads $VIDEO2GIF_REALDATA (default ../shared/realdata). Seconds are CPU (wall in brackets): these
machines are shared. The time of a search is that of all its encodes.
"""

import argparse
import math
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import gif_peers
import numpy as np
from PIL import Image

from video2gif.core.config import Params
from video2gif.core.items import Context
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.gifs.encoders import Clip
from video2gif.gifs.render import GifOptions, Rendered, read_rendered, rendering, work
from video2gif.gifs.shape import ssim
from video2gif.make.analysis import Analysis, analyse
from video2gif.make.moments import Choice, choose
from video2gif.make.rankers import Baseline, rank
from video2gif.make.write import _item
from video2gif.media.decode import Decoder

ROOT = Path(__file__).parents[1]
PARAMS = Params.load(ROOT / "params.yaml")
BUDGETS = (500_000, 2_000_000, 8_000_000)
HEIGHT, FPS = 240, 10
_STRIDE = 4  # Of the source frames: passes through every phase of 10 frames a second at 24, 25, 30.


@dataclass(frozen=True)
class Source:
    """A span of a video, decoded at its own size: what a GIF of it is judged against."""

    path: Path
    start_s: float
    end_s: float
    times_s: np.ndarray
    frames: Sequence[np.ndarray]


@dataclass(frozen=True)
class Quality:
    """A GIF beside its source."""

    ssim: float
    flicker: float
    """Grey levels by which still areas change between two judged frames."""
    banding: float
    """Grey levels between smooth areas, both blurred: dither averages out, bands do not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["ssim", "budgets", "seams"])
    parser.add_argument("--videos", help="stems, separated by commas")
    args = parser.parse_args()
    folder = Path(os.environ.get("VIDEO2GIF_REALDATA", ROOT / "../shared/realdata")) / "videos"
    paths = [
        path
        for path in sorted(folder.resolve().iterdir())
        if not args.videos or path.stem in args.videos.split(",")
    ]
    cache = Path(os.environ.get("VIDEO2GIF_CACHE", tempfile.gettempdir() + "/video2gif-bench"))
    context = Context(ItemStore(cache), SerialMapper())
    analyses = [analyse(path, PARAMS, context) for path in paths]
    for part in args.parts:
        {"ssim": compare, "budgets": budgets, "seams": seams, "peers": peers}[part](
            analyses, context
        )


# SSIM at equal bytes


def compare(analyses: Sequence[Analysis], context: Context) -> None:
    print("ssim: bytes, CPU s (wall s), SSIM, flicker, banding")
    wins = dict.fromkeys(("ssim", "time", "ssim of bayer", "time of bayer"), 0)
    for analysis in analyses:
        source = decoded(analysis, *best_span(analysis, context))
        with tempfile.TemporaryDirectory() as folder:
            rows = compared(source, Path(folder))
        print(f"{analysis.path.name} {source.start_s:.2f}-{source.end_s:.2f} s", flush=True)
        for name, row in rows.items():
            print(line(name, row), flush=True)
        for recipe, ours, suffix in (
            ("ffmpeg", "ours", ""),
            ("bayer", "ours (bayer)", " of bayer"),
        ):
            wins["ssim" + suffix] += rows[ours][3].ssim >= rows[recipe][3].ssim
            wins["time" + suffix] += rows[ours][1] <= rows[recipe][1]
    print(f"of {len(analyses)} videos ours is at least as good in: {wins}")


def compared(source: Source, folder: Path) -> "dict[str, Measured]":
    """Everybody's GIF of one span."""
    bayer = "=dither=bayer:bayer_scale=5"
    rows = {
        "ffmpeg": measured(lambda p: ffmpeg(p, source, ""), folder / "r.gif", source),
        "bayer": measured(lambda p: ffmpeg(p, source, bayer), folder / "b.gif", source),
    }
    for name, recipe in (("ours", "ffmpeg"), ("ours (bayer)", "bayer")):
        budget = rows[recipe][0]
        rows[name] = measured(
            partial(make, source=source, max_bytes=budget), folder / "o.gif", source
        )
    rows["same shape"] = measured(
        lambda p: make(p, source, height=HEIGHT, fps=FPS), folder / "s.gif", source
    )
    rows["Pillow"] = pillow_at(rows["ffmpeg"][0], folder / "p.gif", source)
    return rows


Measured = tuple[int, float, float, Quality]
"""Bytes, CPU seconds, wall seconds, quality."""


def line(name: str, row: Measured) -> str:
    size, cpu_s, wall_s, q = row
    return (
        f"  {name:18}{size / 1000:8.0f} kB {cpu_s:6.2f} s ({wall_s:5.2f}) {q.ssim:8.4f}"
        f" {q.flicker:7.2f} {q.banding:7.2f}"
    )


def measured(write: Callable[[Path], None], path: Path, source: Source) -> Measured:
    cpu, wall = cpu_s(), time.perf_counter()
    write(path)
    spent, wall = cpu_s() - cpu, time.perf_counter() - wall
    return path.stat().st_size, spent, wall, judged(path, source)


def cpu_s() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def ffmpeg(path: Path, source: Source, dither: str) -> None:
    """The recipe that everybody copies: two commands, two decodes."""
    span = ["-ss", f"{source.start_s:.6f}", "-t", f"{source.end_s - source.start_s:.6f}"]
    base = ["ffmpeg", "-v", "error", "-y", *span, "-i", str(source.path)]
    shape = f"fps={FPS},scale=-2:{HEIGHT}:flags=lanczos"
    palette = path.with_suffix(".png")
    subprocess.run([*base, "-vf", f"{shape},palettegen", str(palette)], check=True)
    use = f"{shape}[x];[x][1:v]paletteuse{dither}"
    subprocess.run([*base, "-i", str(palette), "-lavfi", use, str(path)], check=True)


def make(path: Path, source: Source, **options: int) -> None:
    """Ours, from the file to the file: the item's work, in this process, with the plain span."""
    out = path.with_suffix(".item")
    work(
        out=out,
        params={**asdict(GifOptions(loop="none")), **options},
        path=str(source.path),
        pts_s=source.times_s.tolist(),
        end_s=source.end_s,
        file_end_s=source.end_s,
        hold_s=math.inf,
        moment=(0, len(source.times_s)),
        spans=[],
    )
    path.write_bytes(read_rendered(out.read_bytes()).content)


def pillow_at(budget: int, path: Path, source: Source) -> Measured:
    """Pillow at a height whose file has about the bytes; the time is of that one encode."""
    pillow(path, source, HEIGHT)
    low = round(HEIGHT * (budget / path.stat().st_size) ** 0.52)
    return measured(lambda p: pillow(p, source, low), path, source)


def pillow(path: Path, source: Source, height: int) -> None:
    wanted = np.arange(source.start_s, source.end_s - 0.05, 1 / FPS)
    index = np.abs(source.times_s[None] - wanted[:, None]).argmin(axis=1)
    tall, wide, _ = source.frames[0].shape
    size = round(wide * height / tall), height
    pictures = [
        Image.fromarray(source.frames[i]).resize(size, Image.Resampling.LANCZOS) for i in index
    ]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=1000 // FPS, loop=0, optimize=True
    )


def judged(path: Path, source: Source) -> Quality:
    """A GIF against every frame of its source."""
    with Decoder(path) as decoder:
        shown = [(t, f.to_ndarray(format="rgb24")) for t, f in decoder.frames()]
    starts_s = np.array([t for t, _ in shown])
    height, width, _ = source.frames[0].shape
    values, flicker, banding = [], [], []
    before: tuple[np.ndarray, np.ndarray] | None = None
    shown_s = source.times_s - source.start_s
    for time_s, frame in list(zip(shown_s, source.frames, strict=True))[::_STRIDE]:
        at = int(np.searchsorted(starts_s, time_s + 1e-6) - 1)
        picture = cv2.resize(shown[max(0, at)][1], (width, height), interpolation=cv2.INTER_CUBIC)
        grey, theirs = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (frame, picture))
        values.append(ssim(grey, theirs))
        smooth = cv2.Laplacian(cv2.GaussianBlur(grey, (9, 9), 2).astype(np.float32), cv2.CV_32F)
        still = np.abs(smooth) < 0.5
        blurred = [cv2.blur(x.astype(np.float32), (9, 9)) for x in (grey, theirs)]
        banding.append(np.abs(blurred[0] - blurred[1])[still].mean() if still.any() else 0.0)
        if before:
            same = cv2.absdiff(grey, before[0]) <= 1
            flicker.append(cv2.absdiff(theirs, before[1])[same].mean() if same.any() else 0.0)
        before = grey, theirs
    return Quality(float(np.mean(values)), float(np.mean(flicker)), float(np.mean(banding)))


# Other encoders at our bytes


def peers(analyses: Sequence[Analysis], context: Context) -> None:
    if absent := gif_peers.missing():
        raise SystemExit(f"not on PATH: {', '.join(absent)}; gif_peers.py says where they are from")
    print("peers: kB, share of our bytes, CPU s, SSIM, dE, flicker")
    same: dict[str, int] = {}
    free: dict[str, int] = {}
    for analysis in analyses:
        start_s, _ = best_span(analysis, context)
        end_s = analysis.fingerprint.end_s
        start_s = max(0.0, min(start_s, end_s - gif_peers.SECONDS))
        source = decoded(analysis, start_s, min(end_s, start_s + gif_peers.SECONDS))
        times_s = source.times_s - source.start_s
        clip = Clip(source.frames, times_s, source.end_s - source.start_s)
        rows = gif_peers.same_shape(clip, cpu_s)
        print(f"{analysis.path.name} {source.start_s:.2f}-{source.end_s:.2f} s, same shape")
        for row in rows:
            print(gif_peers.table_row(row.name, row, row.same, rows[0]), flush=True)
        gif_peers.wins([(row.name, row.same) for row in rows], same)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "o.gif"
            cpu = cpu_s()
            make(path, source, max_bytes=len(rows[0].content))
            mine = gif_peers.Row("ours", path.read_bytes(), cpu_s() - cpu, rows[0].same)
            recipe = read_rendered(path.with_suffix(".item").read_bytes()).recipe
        looks = [
            (row.name, gif_peers.viewed(row.content, times_s[::_STRIDE], source.frames[::_STRIDE]))
            for row in [mine, *rows[1:]]
        ]
        print(f" free shape: ours {recipe.height} px, {recipe.rate:.3g} a second")
        for row, (name, look) in zip([mine, *rows[1:]], looks, strict=True):
            print(gif_peers.table_row(name, row, look, rows[0]), flush=True)
        gif_peers.wins(looks, free)
    print(f"of {len(analyses)} clips ours is at least as good: same shape {same}; free {free}")


# Budgets


def budgets(analyses: Sequence[Analysis], context: Context) -> None:
    print("budgets: kB (share of the budget) height@rate; full: the source has no more to give")
    counts = {"hit": 0, "full": 0, "missed": 0}
    for analysis in analyses:
        texts = []
        short = best_span(analysis, context)
        end_s = analysis.fingerprint.end_s
        start = min(short[0], max(0.0, end_s - 10))
        for (start_s, stop_s), budget in [
            *((short, budget) for budget in BUDGETS[:2]),
            ((start, min(end_s, start + 10)), BUDGETS[-1]),
        ]:
            text, state = filled(decoded(analysis, start_s, stop_s), budget)
            counts[state] += 1
            texts.append(text)
        print(f"  {analysis.path.name:20} " + " | ".join(texts), flush=True)
    print(f"  {counts}")


def filled(source: Source, budget: int) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "o.gif"
        wall = time.perf_counter()
        make(path, source, max_bytes=budget)
        wall = time.perf_counter() - wall
        recipe = read_rendered(path.with_suffix(".item").read_bytes()).recipe
        size = path.stat().st_size
    fps = len(source.times_s) / (source.end_s - source.start_s)
    is_full = recipe.height == recipe.master_height and recipe.rate >= 0.95 * fps
    state = "hit" if 0.9 * budget <= size <= budget else "missed"
    state = "full" if state == "missed" and is_full and size < budget else state
    shape = f"{recipe.height}@{recipe.rate:.3g}"
    return f"{size / 1000:5.0f} ({size / budget:4.0%}) {shape} {wall:.1f} s {state}", state


# Seams


def seams(analyses: Sequence[Analysis], context: Context) -> None:
    print("seams: grey levels from the last frame to the first, at 72 px")
    jumps: dict[str, list[float]] = {"plain": [], "auto": [], "cut": []}
    modes: dict[str, int] = {}
    for analysis in analyses:
        chosen = choose(analysis, rank(analysis, Baseline(), context), Choice(top=3))
        for one in chosen:
            for wish in ("auto", "cut"):
                found = rendered(analysis, one, GifOptions(loop=wish, height=96), context)
                jumps[wish].append(found.seam.jump)
                if wish == "auto":
                    jumps["plain"].append(found.plain.jump)
                    modes[found.recipe.loop] = modes.get(found.recipe.loop, 0) + 1
    for name, values in jumps.items():
        print(f"  {name:6} median {np.median(values):6.2f}  mean {np.mean(values):6.2f}")
    print(f"  {len(jumps['plain'])} GIFs: {modes}")


def rendered(analysis: Analysis, one: object, options: GifOptions, context: Context) -> Rendered:
    from video2gif.core.items import compute

    (outcome,) = compute("encode", rendering(options), [_item(analysis, one)], context)  # type: ignore[arg-type]
    return read_rendered(context.store.read(outcome.key))


# Sources


def best_span(analysis: Analysis, context: Context) -> tuple[float, float]:
    """The best moment as it is ranked, inside its shot."""
    (one,) = choose(analysis, rank(analysis, Baseline(), context), Choice(top=1))
    start, end = one.within.core
    return float(analysis.edges_s[start]), float(analysis.edges_s[end])


def decoded(analysis: Analysis, start_s: float, end_s: float) -> Source:
    times_s, frames = [], []
    with Decoder(analysis.path) as decoder:
        for time_s, frame in decoder.frames(from_s=start_s):
            if time_s >= end_s - 1e-6:
                break
            if time_s >= start_s - 1e-6:
                times_s.append(time_s)
                frames.append(frame.to_ndarray(format="rgb24"))
    return Source(analysis.path, times_s[0], end_s, np.array(times_s), frames)


if __name__ == "__main__":
    if shutil.which("ffmpeg") is None:
        raise SystemExit("the comparison needs the ffmpeg program: apt-get install ffmpeg")
    main()
