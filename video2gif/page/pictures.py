"""The pictures of a page as items: GIFs with their still, and filmstrips.

Each function is the work of an item (`video2gif.core.items`): it writes one payload, `unpack_clip`
reads the two of the first kind back.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays, write_arrays
from video2gif.media.decode import Decoder
from video2gif.media.encode import write_clip
from video2gif.media.open import open_container, video_stream
from video2gif.media.rotate import Upright

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
    """Write a JPEG of evenly spaced frames side by side: the video at a glance.

    Of key frames where there are enough of them, which takes a hundredth of a decode.
    """
    tiles = _key_tiles(Path(path))
    if len(tiles) < _STRIP_FRAMES:
        tiles = _even_tiles(Path(path), n_frames)
    out.write_bytes(_jpeg(np.concatenate(tiles, axis=1)).tobytes())


def _key_tiles(path: Path) -> list[np.ndarray]:
    """The key frames nearest to evenly spaced times; fewer than wanted if there are fewer."""
    times, tiles = [], []
    upright, scaler = Upright(), VideoReformatter()
    with open_container(path) as container:
        stream = video_stream(container)
        stream.codec_context.skip_frame = "NONKEY"
        stream.codec_context.thread_type = "AUTO"
        with suppress(av.error.FFmpegError):
            for frame in container.decode(stream):
                times.append(frame.pts or 0)
                tiles.append(_tile(upright(frame), scaler))
    if len(tiles) < _STRIP_FRAMES:
        return tiles
    wanted = np.linspace(min(times), max(times), _STRIP_FRAMES)
    return [tiles[int(np.abs(np.array(times) - time).argmin())] for time in wanted]


def _even_tiles(path: Path, n_frames: int) -> list[np.ndarray]:
    wanted = np.unique(np.linspace(0, n_frames - 1, _STRIP_FRAMES).round().astype(int))
    tiles: list[np.ndarray] = []
    scaler = VideoReformatter()
    with Decoder(path) as decoder:
        for number, (_, frame) in enumerate(decoder.frames()):
            if len(tiles) < len(wanted) and number == wanted[len(tiles)]:
                tiles.append(_tile(frame, scaler))
    return tiles


def _tile(frame: VideoFrame, scaler: VideoReformatter) -> np.ndarray:
    return scaler.reformat(frame, width=48, height=_STRIP_HEIGHT, format="bgr24").to_ndarray()


def _jpeg(image: np.ndarray) -> np.ndarray:
    """An (h, w, 3) BGR picture as JPEG bytes, uint8 (n,)."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 78])[1].ravel()
