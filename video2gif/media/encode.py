"""Write videos, GIFs and clips with libav's encoders, in this process, the same bytes every time.

GIF delays are whole centiseconds. Colours of a GIF go through one filter graph:
split → palettegen → paletteuse.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

Palette = Literal["full", "diff", "web"]

_CENTISECOND = Fraction(1, 100)


def write_video(
    path: Path, frames: Iterable[np.ndarray], *, fps: Fraction | int, crf: int = 20
) -> None:
    """Encode rgb24 frames, (height, width, 3) uint8, as h264 in mp4.

    Odd sizes are kept by storing colour at full resolution (yuv444p). One thread and no
    timestamps: the same frames give the same bytes.
    """
    frames = iter(frames)
    first = next(frames)
    height, width, _ = first.shape
    with av.open(
        str(path),
        "w",
        format="mp4",
        options={"movflags": "+faststart", "fflags": "+bitexact"},
    ) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"crf": str(crf), "preset": "veryfast", "flags": "+bitexact"}
        for number, array in enumerate(chain([first], frames)):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_gif(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    delays_cs: Sequence[int] | int,
    palette: Palette = "full",
    dither: str = "bayer:bayer_scale=5",
    loop: int = 0,
) -> None:
    """Encode rgb24 frames, (height, width, 3) uint8, as a GIF.

    `delays_cs`: how long each frame stands, centiseconds, one for all or one each. `palette`:
    `full` weighs all pixels, `diff` only those that change (and redraws only their rectangle),
    `web` is the fixed 216-colour cube of older tools. `loop`: 0 for ever, -1 never, else repeats.
    """
    frames = iter(frames)
    first = next(frames)
    height, width, _ = first.shape
    shown = list(
        _quantized(_timed(chain([first], frames), delays_cs), width, height, palette, dither)
    )
    last_cs = delays_cs if isinstance(delays_cs, int) else delays_cs[len(shown) - 1]
    options = {"loop": str(loop), "final_delay": str(last_cs), "fflags": "+bitexact"}
    with av.open(str(path), "w", format="gif", options=options) as container:
        stream = container.add_stream("gif", rate=100)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        stream.codec_context.time_base = _CENTISECOND
        for frame in shown:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _timed(frames: Iterable[np.ndarray], delays_cs: Sequence[int] | int) -> Iterator[VideoFrame]:
    pts = 0
    for number, array in enumerate(frames):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
        frame.pts, frame.time_base = pts, _CENTISECOND
        pts += delays_cs if isinstance(delays_cs, int) else delays_cs[number]
        yield frame


def _quantized(
    frames: Iterable[VideoFrame], width: int, height: int, palette: Palette, dither: str
) -> Iterator[VideoFrame]:
    """Frames as pal8, through one graph."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("rgb24"), time_base=_CENTISECOND
    )
    to_rgb32 = graph.add("format", "pix_fmts=bgra")
    rectangle = ":diff_mode=rectangle" if palette == "diff" else ""
    use = graph.add("paletteuse", f"dither={dither}{rectangle}")
    sink = graph.add("buffersink")
    source.link_to(to_rgb32)
    if palette == "web":
        colours = graph.add_buffer(
            width=16, height=16, format=av.VideoFormat("bgra"), time_base=_CENTISECOND
        )
        to_rgb32.link_to(use, 0, 0)
        colours.link_to(use, 0, 1)
    else:
        _link_palettegen(graph, to_rgb32, use, palette)
    use.link_to(sink)
    graph.configure()
    if palette == "web":
        colours.push(_web_palette())
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


def _web_palette() -> VideoFrame:
    """The 216 colours whose channels are multiples of 0x33, padded to 256 with a transparent one."""
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    cube_BGR = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    colours = np.zeros((256, 4), np.uint8)  # the rest: transparent black
    colours[:216, :3], colours[:216, 3] = cube_BGR, 255
    frame = VideoFrame.from_ndarray(colours.reshape(16, 16, 4), format="bgra")
    frame.pts, frame.time_base = 0, _CENTISECOND
    return frame
