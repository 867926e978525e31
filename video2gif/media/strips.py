"""Pictures that show what is where in a video: a filmstrip, some frames, two files compared.

Each function is the work of an item: it writes one JPEG.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from video2gif.core.work import Item, Work
from video2gif.media.decode import Decoder
from video2gif.media.open import open_container, video_stream
from video2gif.media.rotate import Upright
from video2gif.media.seek import frames_between

_STRIP_FRAMES = 24
_STRIP_SIZE = 48, 54  # px; narrower than the frame, so that 24 fit side by side
_PAIR_HEIGHT, _LABEL, _GAP = 120, 14, 4  # px: a frame of a pair, the line with its time, between
_EPSILON_S = 1e-6
_QUALITY = 78  # of the JPEGs
_LIBRARIES = ("av", "opencv-python")


def filmstrip() -> Work:
    """The work of `filmstrip_item`s."""
    return Work(function=f"{__name__}:filmstrip_work", libraries=_LIBRARIES)


def filmstrip_item(item_id: str, path: Path, *, sha256: str, n_frames: int) -> Item:
    """A strip of a whole video."""
    args = {"path": str(path.resolve()), "n_frames": n_frames}
    return Item(id=item_id, inputs=(sha256,), args=args)


def window(height: int) -> Work:
    """The work of `window_item`s, frames `height` px tall."""
    return Work(
        function=f"{__name__}:window_work",
        params={"height": height},
        libraries=_LIBRARIES,
    )


def window_item(
    item_id: str, path: Path, *, sha256: str, edges_s: np.ndarray, frames: Sequence[int]
) -> Item:
    """Some frames of a video (numbers, ascending); `edges_s` (n + 1,): when each frame starts."""
    first, last = frames[0], frames[-1] + 1
    args = {
        "start_s": float(edges_s[first]),
        "end_s": float(edges_s[last]),
        "expected": last - first,
        "wanted": [int(frame) - first for frame in frames],
    }
    return Item(
        id=item_id,
        inputs=(sha256, repr(sorted(args.items()))),
        args={"path": str(path.resolve()), **args},
    )


def filmstrip_work(*, out: Path, params: dict[str, Any], path: str, n_frames: int) -> None:
    """Write a JPEG of evenly spaced frames side by side.

    If the video has enough key frames, those are used: that takes a hundredth of a full decode.
    """
    tiles = _key_tiles(Path(path))
    if len(tiles) < _STRIP_FRAMES:
        tiles = _even_tiles(Path(path), n_frames)
    out.write_bytes(_jpeg(np.concatenate(tiles, axis=1)).tobytes())


def window_work(
    *,
    out: Path,
    params: dict[str, Any],
    path: str,
    start_s: float,
    end_s: float,
    expected: int,
    wanted: list[int],
) -> None:
    """Write a JPEG of the wanted frames side by side; of several frames, their middle squares.

    `wanted` counts from the first of the `expected` frames of the window.
    """
    scaler, asked, height = VideoReformatter(), frozenset(wanted), params["height"]

    def small(number: int, frame: VideoFrame) -> np.ndarray | None:
        if number not in asked:
            return None
        whole = tile(frame, height, scaler)
        # The middle of each frame shows more than whole frames made narrower.
        width = whole.shape[1]
        left = max(0, (width - height) // 2) if len(wanted) > 1 else 0
        return whole[:, left : width - left]

    _, kept = frames_between(Path(path), start_s, end_s, expected=expected, keep=small)
    picture = np.concatenate([one for one in kept if one is not None], axis=1)
    out.write_bytes(_jpeg(picture).tobytes())


def tile(frame: VideoFrame, height: int, scaler: VideoReformatter) -> np.ndarray:
    """The frame at that height, uint8 BGR (height, width, 3)."""
    width = max(2, round(frame.width * height / frame.height))
    return scaler.reformat(frame, width=width, height=height, format="bgr24").to_ndarray()


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
    width, height = _STRIP_SIZE
    return scaler.reformat(frame, width=width, height=height, format="bgr24").to_ndarray()


def _jpeg(image: np.ndarray) -> np.ndarray:
    """An (h, w, 3) BGR picture as JPEG bytes, uint8 (n,)."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].ravel()


def side_by_side() -> Work:
    """The work of an item whose args are two files and the frames of each to show."""
    return Work(
        function=f"{__name__}:side_by_side_work",
        libraries=("av", "opencv-python"),
    )


def side_by_side_work(
    *,
    out: Path,
    params: Mapping[str, Any],
    gif: str,
    video: str,
    gif_frames: Sequence[int],
    video_frames: Sequence[int],
    from_s: float,
    mirror: bool,
) -> None:
    """Write the PNG of two rows of frames, the second mirrored if asked."""
    above = _timed_tiles(gif, gif_frames, from_s=0.0)
    below = [
        (time_s, tile[:, ::-1] if mirror else tile)
        for time_s, tile in _timed_tiles(video, video_frames, from_s=from_s)
    ]
    width = max(tile.shape[1] for _, tile in above + below)
    rows = [np.hstack([_labelled(*one, width) for one in row]) for row in (above, below)]
    out.write_bytes(cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def _timed_tiles(
    path: str, wanted: Sequence[int], *, from_s: float
) -> list[tuple[float, np.ndarray]]:
    """(seconds, uint8 BGR of `_PAIR_HEIGHT` rows) of frames counted from the one at `from_s`."""
    scaler, asked = VideoReformatter(), frozenset(wanted)
    found: dict[int, tuple[float, np.ndarray]] = {}
    with Decoder(Path(path)) as decoder:
        frames = (one for one in decoder.frames(from_s=from_s) if one[0] >= from_s - _EPSILON_S)
        for number, (time_s, frame) in enumerate(frames):
            if number in asked:
                found[number] = (time_s, tile(frame, _PAIR_HEIGHT, scaler))
            if number >= max(asked):
                break
    return [found[number] for number in wanted]


def _labelled(time_s: float, tile: np.ndarray, width: int) -> np.ndarray:
    """A tile in the middle of its column, its time below it."""
    column = np.full((_PAIR_HEIGHT + _LABEL + _GAP, width + _GAP, 3), 255, np.uint8)
    left = (width - tile.shape[1]) // 2
    column[:_PAIR_HEIGHT, left : left + tile.shape[1]] = tile
    at = (2, _PAIR_HEIGHT + _LABEL - 4)
    cv2.putText(
        column, f"{time_s:.2f} s", at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA
    )
    return column
