"""One decode of a file: hashes for matching, differences for shots, the time of each frame.

Reads a video or GIF; writes an item of six arrays, one row a frame (`Fingerprint`). Everything
downstream but C3D works on these rows: matches and shots are re-tuned without a second decode.

A frame is scaled once by libswscale (AREA, which averages like the INTER_AREA of the pHash
literature) to 64×64 luma; the 32×32 image of the hash is its 2×2 mean. GIF and video go the same
way, so the scaler's own bias cancels. Decoding runs ahead in its own thread (and in those that
libav starts for it), measuring in this one.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import pandas as pd
from av.video.frame import VideoFrame

from video2gif import config
from video2gif.errors import ItemError
from video2gif.items import Work
from video2gif.layout import FINGERPRINTS, Layout
from video2gif.matching.phash import HASH_SIDE, LUMA_SIDE, phash, quality, window_hashes
from video2gif.matching.track import THUMB_SIDE, Track, digest_of
from video2gif.media.ahead import Ahead
from video2gif.media.columns import Columns
from video2gif.media.decode import Decoder
from video2gif.media.pictures import Colour, Luma
from video2gif.sandbox import Limits
from video2gif.shards import ShardReader
from video2gif.shots.content import ContentMetrics, analysis_size
from video2gif.store import StoredArrays, read_arrays

Kind = Literal["video", "gif"]

COLUMNS = ("pts_s", "phash", "windows", "quality", "thumbs", "content")
"""The arrays of a fingerprint, in the item and in the shards."""

_PART = 1 << 14  # Rows of a stored fingerprint read at once: 8 MB.
_BLOCK = 64  # Frames hashed at once: 1 MB as floats, which stays in the cache.
_WAITING_PIXELS = 48 << 20  # Decoded frames waiting to be measured: at most 75 MB of 4:2:0.
_WALL_S = 6 * 3600.0  # Ten hours at 720p decode in one.
_DECODING_THREADS = 3  # What libav takes on two cores; fixed, so that machines agree.
# A container may count a few frames that its edit list or a lost reference drops.
_MIN_DECODED_SHARE = 0.95


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """All that is kept of a decoded file: n frames in presentation order."""

    pts_s: np.ndarray
    """float64 (n,), strictly increasing from 0.0: seconds since the first frame."""
    end_s: float
    """When the last frame ends: its time plus its duration, seconds."""
    phash: np.ndarray
    """uint64 (n,)."""
    windows: np.ndarray
    """uint64 (n, W): hashes of `matching.phash.WINDOWS`."""
    quality: np.ndarray
    """float32 (n,) in [0, 1]: how much evidence the hash carries; 0 for flat frames."""
    thumbs: np.ndarray
    """uint8 (n, 16, 16): luma thumbnails, for the last step of matching."""
    content: np.ndarray
    """float64 (n, 3): PySceneDetect's differences of hue, saturation, brightness; row 0 zeros."""
    width: int
    height: int
    bad_packets: int

    @property
    def track(self) -> Track:
        """What matching needs of it."""
        hashes = np.column_stack([self.phash, self.windows])
        return Track(self.pts_s, self.end_s, hashes, self.quality, self.thumbs)


class Fingerprints:
    """The fingerprints of a project, memory-mapped."""

    def __init__(self, folder: Path, index: pd.DataFrame) -> None:
        self.index = index
        """The FINGERPRINTS table."""
        self._shards = ShardReader(folder)
        self._rows = {(row.kind, row.id): row for row in index.itertuples(index=False)}

    @classmethod
    def open(cls, layout: Layout) -> "Fingerprints":
        """Raises `EnvironmentProblem` when the stage has not run."""
        folder = layout.fingerprints
        return cls(folder, FINGERPRINTS.read(folder / "index.parquet"))

    def get(self, kind: Kind, item_id: str) -> Fingerprint:
        """One file's fingerprint. Raises `ItemError` (missing, or why it was quarantined)."""
        row: Any = self._rows.get((kind, item_id))
        if row is None:
            raise ItemError("missing", f"{kind} {item_id} has no fingerprint")
        if row.status != "ok":
            cause, _, message = row.reason.partition(": ")
            raise ItemError(cause, message)
        arrays = {
            name: self._shards.rows(row.shard, name, row.row, row.n_frames) for name in COLUMNS
        }
        return Fingerprint(
            **arrays,
            end_s=row.duration_s,
            width=row.width,
            height=row.height,
            bad_packets=row.bad_packets,
        )


def fingerprinting(params: config.Fingerprint) -> Work:
    """The work of an item whose input is the file's sha256 and whose args are path and kind."""
    return Work(
        function="video2gif.fingerprint:work",
        params={"max_bad_packets": params.max_bad_packets},
        libraries=("av", "numpy", "opencv-python", "scipy"),
        limits=Limits(wall_s=_WALL_S, confined=True),
    )


def read_fingerprint(payload: bytes) -> Fingerprint:
    """From the item that `work` wrote."""
    arrays, notes = read_arrays(payload)
    return Fingerprint(
        **{name: arrays[name] for name in COLUMNS},
        end_s=notes["end_s"],
        width=notes["width"],
        height=notes["height"],
        bad_packets=notes["bad_packets"],
    )


def parts(stored: StoredArrays) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of `COLUMNS` of an item that `work` wrote, some rows at a time."""
    for start in range(0, len(stored), _PART):
        yield {name: stored.rows(name, start, start + _PART) for name in COLUMNS}


def track_digest(stored: StoredArrays) -> str:
    """`Track.digest` of an item that `work` wrote, which may be larger than memory should hold."""

    def part_by_part(*names: str) -> Iterator[np.ndarray]:
        for start in range(0, len(stored), _PART):
            found = [stored.rows(name, start, start + _PART) for name in names]
            yield np.column_stack(found) if len(found) > 1 else found[0]

    columns = (("pts_s",), ("phash", "windows"), ("quality",), ("thumbs",))
    end_s = stored.notes["end_s"]
    return digest_of(len(stored), end_s, (part_by_part(*names) for names in columns))


def work(*, out: Path, params: Mapping[str, Any], path: str, kind: Kind) -> None:
    """Write a file's fingerprint to `out`. Raises `ItemError` when it is not worth keeping."""
    cv2.setNumThreads(1)  # Pictures are small: handing out their parts costs more than it gains.
    with ExitStack() as files:
        found = _decoded(Path(path), Columns(out.parent, files), threads=_DECODING_THREADS)
        if found.decoder.bad_packets:
            # What libav makes of damaged pictures depends on the number of its threads.
            found = _decoded(Path(path), Columns(out.parent, files), threads=1)
        decoder = found.decoder
        _check(decoder, found.columns.n_rows, max_bad_packets=params["max_bad_packets"])
        notes = {
            "end_s": decoder.end_s,
            "width": found.size[0],
            "height": found.size[1],
            "bad_packets": decoder.bad_packets,
        }
        found.columns.write(out, notes)


class _Decoded(NamedTuple):
    decoder: Decoder
    """Closed; holds the counts."""
    columns: Columns
    size: tuple[int, int]


def _decoded(path: Path, columns: Columns, *, threads: int) -> _Decoded:
    with Decoder(path, threads=threads) as decoder:
        measuring = Measuring(decoder)
        for block in measuring.blocks():
            columns.append(block)
    return _Decoded(decoder, columns, measuring.size)


def _check(decoder: Decoder, n_frames: int, *, max_bad_packets: float) -> None:
    if decoder.bad_packets > max_bad_packets * max(decoder.packets, 1):
        raise ItemError(
            "decode",
            f"{decoder.bad_packets} of {decoder.packets} packets are damaged;"
            f" fingerprint.max_bad_packets allows {max_bad_packets:.0%}",
        )
    declared = decoder.info.n_packets
    if n_frames < _MIN_DECODED_SHARE * declared:
        raise ItemError("truncated", f"{n_frames}/{declared} frames")


class Measuring:
    """One decode of a file, measured in blocks so that memory does not grow with its length."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._luma = Luma(LUMA_SIDE)
        self._colour = Colour()
        self._metrics = ContentMetrics()
        self.size = (0, 0)
        """Width and height of the first frame as shown."""

    def blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of `COLUMNS` for some frames, then for the next ones, to the end."""
        rows: list[_Row] = []
        with Ahead(self._decoder.frames(), size=_pixels, most=_WAITING_PIXELS) as frames:
            for time_s, frame in frames:
                if self.size == (0, 0):
                    self.size = (frame.width, frame.height)
                rows.append(self._row(time_s, frame))
                if len(rows) == _BLOCK:
                    yield _block(rows)
                    rows.clear()
        if rows:
            yield _block(rows)

    def _row(self, time_s: float, frame: VideoFrame) -> "_Row":
        # The detector's own resizing, or what equals it: it decides which cuts are found.
        picture = self._colour(frame, analysis_size(frame.width, frame.height))
        return _Row(time_s, self._luma(frame), self._metrics.push(picture))


class _Row(NamedTuple):
    pts_s: float
    luma_6464: np.ndarray
    content: tuple[float, float, float]


def _pixels(timed_frame: tuple[float, VideoFrame]) -> int:
    _, frame = timed_frame
    return frame.width * frame.height


def _block(rows: list[_Row]) -> dict[str, np.ndarray]:
    luma_N6464 = np.stack([row.luma_6464 for row in rows])
    luma_N3232 = shrunk(luma_N6464, HASH_SIDE)
    return {
        "pts_s": np.array([row.pts_s for row in rows]),
        "phash": phash(luma_N3232),
        "windows": window_hashes(luma_N6464),
        "quality": quality(luma_N3232),
        "thumbs": shrunk(luma_N6464, THUMB_SIDE),
        "content": np.array([row.content for row in rows]),
    }


def shrunk(luma_N6464: np.ndarray, side: int) -> np.ndarray:
    """The mean of square blocks, rounded half up: uint8 (n, 64, 64) → (n, side, side)."""
    sums = luma_N6464.astype(np.uint16)
    block = LUMA_SIDE // side
    for _ in range(block.bit_length() - 1):  # Halve both sides: sums of 4, 16, … pixels.
        rows = sums[:, ::2] + sums[:, 1::2]
        sums = rows[:, :, ::2] + rows[:, :, 1::2]
    return ((sums + block * block // 2) // (block * block)).astype(np.uint8)
