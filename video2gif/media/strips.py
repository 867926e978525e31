"""Pictures to find one's way in a video by: a strip of the whole, some frames of a window.

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

from video2gif.core.work import Item, Work
from video2gif.media.decode import Decoder
from video2gif.media.open import decoder_of, open_container, packets, video_stream
from video2gif.media.seek import frames_between
from video2gif.media.shown import Painter, Shown, stored_aspect, width_of

_STRIP_FRAMES = 24
_STRIP_SIZE = 48, 54  # px; squeezed: it is an index, not a picture
_PAIR_HEIGHT, _LABEL, _GAP = 120, 14, 4  # px: a frame of a pair, the line with its time, between
_EPSILON_S = 1e-6
_QUALITY = 78  # of the JPEGs
_LIBRARIES = ("av", "opencv-python-headless")


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
        "file_end_s": float(edges_s[-1]),
        "wanted": [int(frame) - first for frame in frames],
    }
    return Item(
        id=item_id,
        inputs=(sha256, repr(sorted(args.items()))),
        args={"path": str(path.resolve()), **args},
    )


def filmstrip_work(*, out: Path, params: dict[str, Any], path: str, n_frames: int) -> None:
    """Write a JPEG of evenly spaced frames side by side: the video at a glance.

    Of key frames where there are enough of them, which takes a hundredth of a decode.
    """
    tiles = _key_tiles(Path(path))
    if len(tiles) < _STRIP_FRAMES:
        tiles = _even_tiles(Path(path), n_frames)
    out.write_bytes(jpeg(np.concatenate(tiles, axis=1)).tobytes())


def window_work(
    *,
    out: Path,
    params: dict[str, Any],
    path: str,
    start_s: float,
    end_s: float,
    expected: int,
    file_end_s: float,
    wanted: list[int],
) -> None:
    """Write the JPEG; of several frames their middle squares.

    `wanted` counts from the first of the `expected` frames of the window.
    """
    painter, asked, height = Painter(), frozenset(wanted), params["height"]

    def small(number: int, frame: VideoFrame) -> np.ndarray | None:
        if number not in asked:
            return None
        whole = tile(frame, height, painter)
        # Side by side, the middle of each tells more than the whole squeezed.
        width = whole.shape[1]
        left = max(0, (width - height) // 2) if len(wanted) > 1 else 0
        return whole[:, left : width - left]

    _, kept = frames_between(
        Path(path), start_s, end_s, expected=expected, keep=small, file_end_s=file_end_s
    )
    picture = np.concatenate([one for one in kept if one is not None], axis=1)
    out.write_bytes(jpeg(picture).tobytes())


def tile(frame: VideoFrame, height: int, painter: Painter) -> np.ndarray:
    """The frame at that height, uint8 BGR (height, width, 3)."""
    width = max(2, round(width_of(frame) * height / frame.height))
    return painter.pixels(frame, width, height, order="bgr24")


def _key_tiles(path: Path) -> list[np.ndarray]:
    """The key frames nearest to evenly spaced times; fewer than wanted if there are fewer."""
    times, tiles = [], []
    painter = Painter()
    with open_container(path) as container:
        stream = video_stream(container)
        shown = Shown(stored_aspect(container, stream))
        codec = decoder_of(container, stream, threads=0)
        codec.skip_frame = "NONKEY"
        with suppress(av.error.FFmpegError):
            for packet in packets(container, stream):
                for frame in codec.decode(packet if packet.size else None):
                    times.append(frame.pts or 0)
                    tiles.append(_tile(shown(frame), painter))
    if len(tiles) < _STRIP_FRAMES:
        return tiles
    wanted = np.linspace(min(times), max(times), _STRIP_FRAMES)
    return [tiles[int(np.abs(np.array(times) - time).argmin())] for time in wanted]


def _even_tiles(path: Path, n_frames: int) -> list[np.ndarray]:
    wanted = np.unique(np.linspace(0, n_frames - 1, _STRIP_FRAMES).round().astype(int))
    tiles: list[np.ndarray] = []
    painter = Painter()
    with Decoder(path) as decoder:
        for number, (_, frame) in enumerate(decoder.frames()):
            if len(tiles) < len(wanted) and number == wanted[len(tiles)]:
                tiles.append(_tile(frame, painter))
    return tiles


def _tile(frame: VideoFrame, painter: Painter) -> np.ndarray:
    return painter.pixels(frame, *_STRIP_SIZE, order="bgr24")


def jpeg(image: np.ndarray, *, quality: int = _QUALITY) -> np.ndarray:
    """An (h, w, 3) BGR picture as JPEG bytes, uint8 (n,)."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].ravel()


def side_by_side() -> Work:
    """The work of an item whose args are two files and the frames of each to show."""
    return Work(
        function=f"{__name__}:side_by_side_work",
        libraries=("av", "opencv-python-headless"),
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
    painter, asked = Painter(), frozenset(wanted)
    found: dict[int, tuple[float, np.ndarray]] = {}
    with Decoder(Path(path)) as decoder:
        frames = (one for one in decoder.frames(from_s=from_s) if one[0] >= from_s - _EPSILON_S)
        for number, (time_s, frame) in enumerate(frames):
            if number in asked:
                found[number] = (time_s, tile(frame, _PAIR_HEIGHT, painter))
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
