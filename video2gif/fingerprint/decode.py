"""Decode a file once: hashes for matching, differences for shots, the time of each frame.

Reads a video or GIF; writes an item of seven arrays, one row a frame (`Fingerprint`). All later
stages but the networks work on these rows, so matching, shot detection and the default ranking can
be tuned without a second decode.

libswscale scales each frame once to 64×64 luma (AREA, the mean of each area); means of 2×2 of these
give the 32×32 image that is hashed. GIFs and videos are scaled in the same way, so what the scaler
itself does to a picture cancels out. Decoding runs in its own thread (plus those that libav
starts), measuring in this one.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from av.video.frame import VideoFrame

from video2gif.core import config
from video2gif.core.errors import ItemError
from video2gif.core.sandbox import Limits
from video2gif.core.store import write_arrays
from video2gif.core.types import Kind
from video2gif.core.work import Work
from video2gif.fingerprint.ahead import Ahead
from video2gif.fingerprint.columns import Columns
from video2gif.fingerprint.content import ContentMetrics, analysis_size
from video2gif.fingerprint.cues import NAMES as CUES
from video2gif.fingerprint.cues import Detail, Previous, cues, detail
from video2gif.fingerprint.phash import (
    HASH_SIDE,
    LUMA_SIDE,
    WINDOWS,
    Window,
    phash,
    quality,
    window_hashes,
)
from video2gif.fingerprint.planes import Colour, Luma
from video2gif.fingerprint.track import THUMB_SIDE
from video2gif.media import given
from video2gif.media.decode import DECODING_THREADS, DecodedFilm, Decoder
from video2gif.media.shown import Painter, width_of
from video2gif.media.sniff import sniff
from video2gif.media.whole import check_whole

_BLOCK = 64  # Frames hashed at once: 1 MB as floats, which fits into the processor's cache.
_WAITING_PIXELS = 48 << 20  # Of decoded frames that wait to be measured; 75 MB in 4:2:0.
_ALONE_PIXELS = 12 << 20  # A frame as large as this waits for no other: three of them fill memory.
_WALL_S = 6 * 3600.0  # Ten hours of 720p take about one.


def fingerprinting(params: config.FingerprintParams) -> Work:
    """The work of an item whose input is the file's sha256 and whose args are path and kind."""
    return Work(
        function="video2gif.fingerprint.decode:work",
        params={"max_bad_packets": params.max_bad_packets},
        libraries=("av", "numpy", "opencv-python-headless"),
        limits=Limits(wall_s=_WALL_S),
    )


def work(
    *,
    out: Path,
    params: Mapping[str, Any],
    path: str,
    kind: Kind,
    box: tuple[float, float, float, float] | None = None,
) -> None:
    """Write a file's fingerprint to `out`; with a box, of that part of its picture.

    Raises `ItemError`: what the decoder raises; decode for too many damaged packets; truncated.
    """
    if sniff(Path(path)).kind == given.KIND:
        write_given(out, given.GivenClips.read(Path(path)).times_s)
        return
    with ExitStack() as files:
        part = Window(*box) if box else None
        found = _decoded(Path(path), Columns(out.parent, files), part, threads=DECODING_THREADS)
        if found.film.bad_packets:
            # How libav conceals damage depends on the number of threads. With one it is always the
            # same.
            found = _decoded(Path(path), Columns(out.parent, files), part, threads=1)
        _write(out, found, params)


def read(out: Path, film: DecodedFilm, *, params: Mapping[str, Any], kind: Kind) -> None:
    """Write the fingerprint of a file that is being decoded (`media.together`)."""
    with ExitStack() as files:
        _write(out, _measured(film, Columns(out.parent, files)), params)


def write_given(out: Path, times_s: np.ndarray) -> None:
    """The fingerprint of clips (`media.given`): their times, and pictures that show nothing.

    Quality 0 keeps their hashes out of every match; width 0 says that there is no picture.
    """
    n = len(times_s) - 1
    arrays = {
        "pts_s": times_s[:-1],
        "phash": np.zeros(n, np.uint64),
        "windows": np.zeros((n, len(WINDOWS)), np.uint64),
        "quality": np.zeros(n, np.float32),
        "thumbs": np.zeros((n, THUMB_SIDE, THUMB_SIDE), np.uint8),
        "content": np.zeros((n, 3)),
        "cues": np.zeros((n, len(CUES)), np.float32),
    }
    notes = {"end_s": float(times_s[-1]), "width": 0, "height": 0, "bad_packets": 0}
    write_arrays(out, arrays, notes)


class _Measured(NamedTuple):
    film: DecodedFilm
    """Ended, and maybe closed; it still has the counts."""
    columns: Columns
    size: tuple[int, int]


def _decoded(path: Path, columns: Columns, box: Window | None, *, threads: int) -> _Measured:
    with Decoder(path, threads=threads) as decoder:
        return _measured(decoder, columns, box)


def _measured(film: DecodedFilm, columns: Columns, box: Window | None = None) -> _Measured:
    cv2.setNumThreads(1)  # The pictures are so small that more threads cost more than they gain.
    measuring = Measuring(film, box)
    for block in measuring.blocks():
        columns.append(block)
    return _Measured(film, columns, measuring.size)


def _write(out: Path, found: _Measured, params: Mapping[str, Any]) -> None:
    film = found.film
    _check(film, max_bad_packets=params["max_bad_packets"])
    notes = {
        "end_s": film.end_s,
        "width": found.size[0],
        "height": found.size[1],
        "bad_packets": film.bad_packets,
    }
    found.columns.write(out, notes)


def _check(film: DecodedFilm, *, max_bad_packets: float) -> None:
    if film.bad_packets > max_bad_packets * max(film.packets, 1):
        raise ItemError(
            "decode",
            f"{film.bad_packets} of {film.packets} packets are damaged;"
            f" fingerprint.max_bad_packets allows {max_bad_packets:.0%}",
        )
    check_whole(film.info, film.counts, all_streams=False)


class Measuring:
    """One decode of a file, measured in blocks so that memory does not grow with its length."""

    def __init__(self, film: DecodedFilm, box: Window | None = None) -> None:
        self._film = film
        self._box = box
        self._luma = Luma(LUMA_SIDE)
        self._colour = Colour()
        self._metrics = ContentMetrics()
        self._previous = Previous()
        self.size = (0, 0)
        """Width and height of the first frame as shown, in square pixels."""

    def blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of `COLUMNS` for some frames, then for the next ones, to the end."""
        rows: list[_Row] = []
        with self._frames() as frames:
            for time_s, frame in frames:
                if self.size == (0, 0):
                    self.size = (width_of(frame), frame.height)
                rows.append(self._row(time_s, frame))
                if len(rows) == _BLOCK:
                    yield _block(rows, self._previous)
                    rows.clear()
        if rows:
            yield _block(rows, self._previous)

    def _frames(self) -> AbstractContextManager[Iterable[tuple[float, VideoFrame]]]:
        info, frames = self._film.info, self._film.frames()
        if self._box is not None:
            frames = _inside(frames, self._box)
        if info.width * info.height >= _ALONE_PIXELS:
            return closing(cast(Generator[tuple[float, VideoFrame], None, None], frames))
        return Ahead(frames, size=_pixels, most=_WAITING_PIXELS)

    def _row(self, time_s: float, frame: VideoFrame) -> "_Row":
        # Scaled exactly as PySceneDetect would: another scaling finds other cuts.
        picture = self._colour(frame, analysis_size(frame.width, frame.height))
        picture = self._metrics.scaled(picture)
        return _Row(time_s, self._luma(frame), self._metrics.push(picture), detail(picture))


class _Row(NamedTuple):
    pts_s: float
    luma_6464: np.ndarray
    content: tuple[float, float, float]
    detail: Detail


def _inside(
    frames: Iterable[tuple[float, VideoFrame]], box: Window
) -> Generator[tuple[float, VideoFrame], None, None]:
    """What a box of each picture shows."""
    painter = Painter()
    for time_s, frame in frames:
        picture = painter.pixels(frame, frame.width, frame.height)
        height, width = picture.shape[:2]
        rows = slice(round(box.y0 * height), max(round(box.y1 * height), 1))
        columns = slice(round(box.x0 * width), max(round(box.x1 * width), 1))
        part = np.ascontiguousarray(picture[rows, columns])
        yield time_s, VideoFrame.from_ndarray(part, format="rgb24")


def _pixels(timed_frame: tuple[float, VideoFrame]) -> int:
    _, frame = timed_frame
    return frame.width * frame.height


def _block(rows: list[_Row], previous: Previous) -> dict[str, np.ndarray]:
    luma_N6464 = np.stack([row.luma_6464 for row in rows])
    luma_N3232 = shrunk(luma_N6464, HASH_SIDE)
    return {
        "pts_s": np.array([row.pts_s for row in rows]),
        "phash": phash(luma_N3232),
        "windows": window_hashes(luma_N6464),
        "quality": quality(luma_N3232),
        "thumbs": shrunk(luma_N6464, THUMB_SIDE),
        "content": np.array([row.content for row in rows]),
        "cues": cues(luma_N6464, [row.detail for row in rows], previous),
    }


def shrunk(luma_N6464: np.ndarray, side: int) -> np.ndarray:
    """The mean of square blocks, rounded half up: uint8 (n, 64, 64) → (n, side, side)."""
    sums = luma_N6464.astype(np.uint16)
    block = LUMA_SIDE // side
    # Halving both sides again and again gives sums of 4, 16, … pixels, all exact.
    for _ in range(block.bit_length() - 1):
        rows = sums[:, ::2] + sums[:, 1::2]
        sums = rows[:, :, ::2] + rows[:, :, 1::2]
    return ((sums + block * block // 2) // (block * block)).astype(np.uint8)
