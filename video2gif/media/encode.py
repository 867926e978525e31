"""Write videos, GIFs, WebPs and AVIFs with libav's encoders; equal frames give equal bytes.

Everything that could change the bytes is fixed: one thread, no time stamps in the header. GIF
delays are whole centiseconds. `write_gif` chooses colours by libav's filters (split → palettegen →
paletteuse); `write_indexed_gif` is given them.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from video2gif.core.errors import EnvironmentProblem

Palette = Literal["full", "diff", "web"]

_CENTISECOND = Fraction(1, 100)


def write_video(
    path: Path, frames: Iterable[np.ndarray], *, fps: Fraction | int, crf: float = 20
) -> None:
    """Encode rgb24 frames, (height, width, 3) uint8, as h264 in mp4.

    Odd sizes are kept by storing colour at full resolution (yuv444p). One thread and no
    timestamps: the same frames give the same bytes.
    """
    first, frames = _peek(frames)
    height, width, _ = first.shape
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {
            "crf": str(crf),
            "preset": "veryfast",
            # On processors with AVX-512, x264's macroblock tree gives other bytes from run to run.
            # Its other choices depend on the processor unless it is told not to.
            "x264-params": "no-mbtree=1:cpu-independent=1",
        }
        for number, array in enumerate(frames):
            container.mux(
                stream.encode(_frame(array, pts=number, duration=1, time_base=1 / Fraction(fps)))
            )
        container.mux(stream.encode(None))


def write_webp(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    delays_cs: Sequence[int],
    quality: float = 75,
    plays: int = 0,
) -> None:
    """Encode rgb24 frames, (height, width, 3) uint8, as an animated WebP.

    `quality`: libwebp's, 0 to 100. `plays`: how often it is shown, 0 for ever.
    """
    first, frames = _peek(frames)
    height, width, _ = first.shape
    with av.open(str(path), "w", format="webp", options={"loop": str(plays)}) as container:
        stream = container.add_stream("libwebp_anim", rate=100)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _CENTISECOND
        stream.options = {"quality": f"{quality:g}"}
        for frame in _timed(frames, delays_cs):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_avif(
    path: Path, frames: Iterable[np.ndarray], *, delays_cs: Sequence[int], crf: float = 30
) -> None:
    """Encode rgb24 frames, (height, width, 3) uint8, even sizes, as an animated AVIF (AV1).

    Raises `EnvironmentProblem` when this libav has no AV1 encoder.
    """
    if "libsvtav1" not in av.codecs_available:
        raise EnvironmentProblem("this libav has no AV1 encoder; choose gif, webp or mp4")
    first, frames = _peek(frames)
    height, width, _ = first.shape
    with av.open(str(path), "w", format="avif", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libsvtav1", rate=100)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _CENTISECOND
        # lp=1 lets SVT-AV1 use one worker, so that the bytes do not depend on the machine.
        stream.options = {"crf": str(round(crf)), "preset": "8", "svtav1-params": "lp=1"}
        for frame in _timed(frames, delays_cs):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_gif(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    delays_cs: Sequence[int] | int,
    palette: Palette | np.ndarray = "full",
    dither: str = "bayer:bayer_scale=5",
    loop: int = 0,
) -> None:
    """Encode rgb24 frames, (height, width, 3) uint8, as a GIF.

    `delays_cs`: how long each frame is shown, in centiseconds; one number for all, or one for each.
    `palette`: `full` chooses colours for all pixels; `diff` for those that change, and redraws only
    their rectangle; `web` is the fixed cube of 216 colours that old tools used; an array uint8
    (n ≤ 255, 3), RGB, is used as it is. `loop`: 0 repeats for ever, -1 never, else so many times.
    """
    first, frames = _peek(frames)
    height, width, _ = first.shape
    shown = list(_quantized(_timed(frames, delays_cs), width, height, palette, dither))
    last_cs = delays_cs if isinstance(delays_cs, int) else delays_cs[len(shown) - 1]
    _mux_gif(path, shown, last_cs=last_cs, loop=loop)


def write_indexed_gif(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    colours_RGB: np.ndarray,
    delays_cs: Sequence[int],
    plays: int = 0,
) -> None:
    """Encode frames of palette indices, (height, width) uint8, as a GIF.

    `colours_RGB`: uint8 (n ≤ 255, 3). `plays`: how often it is shown, 0 for ever. What does not
    change from frame to frame is left transparent.
    """
    palette = np.ascontiguousarray(_padded(colours_RGB)[:, ::-1])  # ARGB, as PyAV has it
    shown: list[VideoFrame] = []
    pts = 0
    for array, delay_cs in zip(frames, delays_cs, strict=True):
        frame = VideoFrame.from_ndarray((array, palette), format="pal8")  # type: ignore[arg-type]
        frame.pts, frame.duration, frame.time_base = pts, delay_cs, _CENTISECOND
        shown.append(frame)
        pts += delay_cs
    _mux_gif(path, shown, last_cs=delays_cs[-1], loop=repeats(plays))


def repeats(plays: int) -> int:
    """What a GIF says of being shown `plays` times: how often it starts again; -1 never, 0 always.

    Browsers take the number in a GIF for that of the times after the first.
    """
    return plays - 1 or -1 if plays else 0


def _mux_gif(path: Path, shown: Sequence[VideoFrame], *, last_cs: int, loop: int) -> None:
    options = {"loop": str(loop), "final_delay": str(last_cs), "fflags": "+bitexact"}
    with av.open(str(path), "w", format="gif", options=options) as container:
        stream = container.add_stream("gif", rate=100)
        stream.width, stream.height, stream.pix_fmt = shown[0].width, shown[0].height, "pal8"
        stream.codec_context.time_base = _CENTISECOND
        for frame in shown:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def delays_cs(fps: float, n_frames: int) -> list[int]:
    """Whole centiseconds for each frame: 15 a second is 7, 6, 7, 7, 6, 7 …

    The ends are rounded, not the delays, so that rounding errors do not add up.
    """
    ends = [round(100 * number / fps) for number in range(n_frames + 1)]
    return [end - start for start, end in pairwise(ends)]


def _peek(frames: Iterable[np.ndarray]) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """The first frame, and all of them."""
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError("no frames to encode")
    return first, chain([first], frames)


def _frame(array: np.ndarray, *, pts: int, duration: int, time_base: Fraction) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
    frame.pts, frame.duration, frame.time_base = pts, duration, time_base
    return frame


def _timed(frames: Iterable[np.ndarray], delays_cs: Sequence[int] | int) -> Iterator[VideoFrame]:
    pts = 0
    for number, array in enumerate(frames):
        delay_cs = delays_cs if isinstance(delays_cs, int) else delays_cs[number]
        yield _frame(array, pts=pts, duration=delay_cs, time_base=_CENTISECOND)
        pts += delay_cs


def _quantized(
    frames: Iterable[VideoFrame],
    width: int,
    height: int,
    palette: Palette | np.ndarray,
    dither: str,
) -> Iterator[VideoFrame]:
    """Frames as pal8, through one graph."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=_CENTISECOND
    )
    to_rgb32 = graph.add("format", "pix_fmts=bgra")
    fixed = _web_colours() if isinstance(palette, str) and palette == "web" else palette
    rectangle = ":diff_mode=rectangle" if isinstance(fixed, str) and fixed == "diff" else ""
    use = graph.add("paletteuse", f"dither={dither}{rectangle}")
    sink = graph.add("buffersink")
    source.link_to(to_rgb32)
    if isinstance(fixed, np.ndarray):
        colours = graph.add_buffer(
            width=16, height=16, format=av.VideoFormat("bgra"), time_base=_CENTISECOND
        )
        to_rgb32.link_to(use, 0, 0)
        colours.link_to(use, 0, 1)
    else:
        _link_palettegen(graph, to_rgb32, use, fixed)
    use.link_to(sink)
    graph.configure()
    if isinstance(fixed, np.ndarray):
        colours.push(_palette_frame(fixed))
        colours.push(None)
    for frame in frames:
        source.push(frame)
    source.push(None)
    yield from _drain(graph)


def _link_palettegen(
    graph: Graph, before: FilterContext, use: FilterContext, stats_mode: str
) -> None:
    split = graph.add("split")
    generate = graph.add("palettegen", f"stats_mode={stats_mode}")
    before.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(generate, 1, 0)
    generate.link_to(use, 0, 1)


def _drain(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, VideoFrame)
        yield frame


def _web_colours() -> np.ndarray:
    """The 216 colours whose channels are multiples of 0x33, uint8 (216, 3) RGB."""
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)


def _palette_frame(colours_RGB: np.ndarray) -> VideoFrame:
    """Colours as paletteuse wants them: 16×16 BGRA."""
    frame = VideoFrame.from_ndarray(_padded(colours_RGB).reshape(16, 16, 4), format="bgra")
    frame.pts, frame.time_base = 0, _CENTISECOND
    return frame


def _padded(colours_RGB: np.ndarray) -> np.ndarray:
    """A palette of 256 in BGRA, uint8 (256, 4), padded with transparent black."""
    padded = np.zeros((256, 4), np.uint8)
    padded[: len(colours_RGB), :3] = colours_RGB[:, ::-1]
    padded[: len(colours_RGB), 3] = 255
    return padded
