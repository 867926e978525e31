"""Pictures to find one's way by: a strip of the whole video, frames of one window."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from video2gif.core.items import Context, compute, payload_of
from video2gif.core.work import Item, Work
from video2gif.make.analysis import Analysis
from video2gif.media.seek import frames_between

_LIBRARIES = ("av", "opencv-python")


def whole_strip(analysis: Analysis, context: Context) -> bytes:
    """A JPEG of the video from start to end. Raises `ItemError`."""
    work = Work(function="video2gif.page.pictures:strip_work", libraries=_LIBRARIES)
    item = Item(
        id=f"strip:{analysis.path.name}",
        inputs=(analysis.sha256,),
        args={
            "path": str(analysis.path.resolve()),
            "n_frames": len(analysis.fingerprint.pts_s),
        },
    )
    (outcome,) = compute("filmstrip", work, [item], context)
    return payload_of(outcome, context)


def window_strip(
    analysis: Analysis, frames: Sequence[int], *, height: int, context: Context
) -> bytes:
    """A JPEG of some frames (numbers, ascending) side by side, each `height` px tall."""
    edges_s = analysis.edges_s
    first, last = frames[0], frames[-1] + 1
    args = {
        "start_s": float(edges_s[first]),
        "end_s": float(edges_s[last]),
        "expected": last - first,
        "wanted": [int(frame) - first for frame in frames],
    }
    work = Work(function=f"{__name__}:work", params={"height": height}, libraries=_LIBRARIES)
    item = Item(
        id=f"frames:{analysis.path.name}",
        inputs=(analysis.sha256, repr(sorted(args.items()))),
        args={"path": str(analysis.path.resolve()), **args},
    )
    (outcome,) = compute("frames", work, [item], context)
    return payload_of(outcome, context)


def tile(frame: VideoFrame, height: int, scaler: VideoReformatter) -> np.ndarray:
    """The frame at that height, uint8 BGR (height, width, 3)."""
    width = max(2, round(frame.width * height / frame.height))
    return scaler.reformat(frame, width=width, height=height, format="bgr24").to_ndarray()


def work(
    *,
    out: Path,
    params: dict[str, Any],
    path: str,
    start_s: float,
    end_s: float,
    expected: int,
    wanted: list[int],
) -> None:
    """Write the JPEG; of several frames their middle squares.

    `wanted` counts from the first of the `expected` frames of the window.
    """
    scaler, asked, height = VideoReformatter(), frozenset(wanted), params["height"]

    def small(number: int, frame: VideoFrame) -> np.ndarray | None:
        if number not in asked:
            return None
        whole = tile(frame, height, scaler)
        # Side by side, the middle of each tells more than the whole squeezed.
        width = whole.shape[1]
        left = max(0, (width - height) // 2) if len(wanted) > 1 else 0
        return whole[:, left : width - left]

    _, kept = frames_between(Path(path), start_s, end_s, expected=expected, keep=small)
    picture = np.concatenate([one for one in kept if one is not None], axis=1)
    out.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())
