"""The pictures of a page as items: GIFs with their still, and filmstrips.

Each function is the work of an item (`video2gif.items`): it writes one payload, `unpack_clip`
reads the two of the first kind back.
"""

import math
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from video2gif.errors import ItemError
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_clip
from video2gif.store import read_arrays, write_arrays

_TRIES = 8
_MIN_HEIGHT = 32  # px; below it nobody sees what happens
_STRIP_FRAMES = 24
_STRIP_HEIGHT = 54  # px; frames are squeezed to 30 px wide: it is an index, not a picture


def clip_work(
    *, out: Path, params: dict[str, Any], path: str, start_s: float, end_s: float
) -> None:
    """Write the GIF of [start_s, end_s) and its first frame as a JPEG, packed in one payload.

    params: `height` (px) and `fps` of the GIF, `format` (gif, webp, mp4) and `max_bytes` (None
    for no limit; the picture shrinks until the file fits).
    """
    clip = out.with_suffix(f".{params['format']}")
    height = params["height"]
    try:
        for _ in range(_TRIES):
            write_clip(
                Path(path),
                clip,
                start_s=start_s,
                end_s=end_s,
                height=height,
                fps=params["fps"],
                format=params["format"],
            )
            excess = clip.stat().st_size / (params["max_bytes"] or math.inf)
            if excess <= 1:
                break
            # Bytes grow about with the area; 4 % on the safe side.
            height = int(height * 0.96 / math.sqrt(excess)) // 2 * 2
            if height < _MIN_HEIGHT:
                break
        if excess > 1:
            raise ItemError(
                "too_large",
                f"{start_s:.1f}-{end_s:.1f} s does not fit into {params['max_bytes']} bytes even"
                f" at {_MIN_HEIGHT} px; allow more, or lower --fps",
            )
        with Decoder(clip) as decoder:
            _, first = next(decoder.frames())
            still = _jpeg(first.to_ndarray(format="bgr24"))
        write_arrays(out, {"clip": np.frombuffer(clip.read_bytes(), np.uint8), "still": still})
    finally:
        clip.unlink(missing_ok=True)


def unpack_clip(payload: bytes) -> tuple[bytes, bytes]:
    """The GIF (or WebP, MP4) and its still (JPEG) from a `clip_work` payload."""
    arrays, _ = read_arrays(payload)
    return arrays["clip"].tobytes(), arrays["still"].tobytes()


def strip_work(*, out: Path, params: dict[str, Any], path: str, n_frames: int) -> None:
    """Write a JPEG of evenly spaced frames side by side: the video at a glance."""
    wanted = np.unique(np.linspace(0, n_frames - 1, _STRIP_FRAMES).round().astype(int))
    tiles: list[np.ndarray] = []
    reformatter = av.video.reformatter.VideoReformatter()
    with Decoder(Path(path)) as decoder:
        for number, (_, frame) in enumerate(decoder.frames()):
            if len(tiles) < len(wanted) and number == wanted[len(tiles)]:
                small = reformatter.reformat(frame, width=48, height=_STRIP_HEIGHT, format="bgr24")
                tiles.append(small.to_ndarray())
    out.write_bytes(_jpeg(np.concatenate(tiles, axis=1)).tobytes())


def _jpeg(image: np.ndarray) -> np.ndarray:
    """An (h, w, 3) BGR picture as JPEG bytes, uint8 (n,)."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 78])[1].ravel()
