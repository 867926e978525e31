"""Small files that say how they are to be shown, encoded where a test needs them."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

RED = (200, 30, 30)


def bars(height: int = 96, width: int = 128) -> np.ndarray:
    """Four bars of plain colours, uint8 (height, width, 3)."""
    colours = np.array([RED, (30, 180, 60), (40, 60, 190), (210, 210, 210)], np.uint8)
    return np.broadcast_to(colours.repeat(width // 4, axis=0), (height, width, 3)).copy()


def written(
    path: Path,
    frames: Iterable[np.ndarray | VideoFrame],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[Fraction] | None = None,
    fps: int = 10,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    tags: Callable[[Any], None] = lambda stream: None,
) -> Path:
    """A film of rgb24 (or rgba) frames; `tags` sets what its stream says of itself."""
    shown = iter(frames)
    first = next(shown)
    size = (first.height, first.width) if isinstance(first, VideoFrame) else first.shape[:2]
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.options = options or {}
        tick = Fraction(1, 90000) if times else Fraction(1, fps)
        stream.codec_context.time_base = tick
        tags(stream)
        for number, one in enumerate([first, *shown]):
            frame = one
            if not isinstance(frame, VideoFrame):
                name = "rgba" if frame.shape[2] == 4 else "rgb24"
                frame = VideoFrame.from_ndarray(frame, format=name)
            frame.pts = int(times[number] / tick) if times else number
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
