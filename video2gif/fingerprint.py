"""One decode of a file: hashes for matching, differences for shots, the time of each frame.

Reads a video or GIF; writes an item of six arrays, one row a frame (`Fingerprint`). Everything
downstream but C3D works on these rows: matches and shots are re-tuned without a second decode.

A frame is scaled once by libswscale (AREA, which averages like the INTER_AREA of the pHash
literature) to 64×64 luma; the 32×32 image of the hash is its 2×2 mean. GIF and video go the same
way, so the scaler's own bias cancels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from video2gif import config
from video2gif.errors import ItemError
from video2gif.items import Work, read_arrays, write_arrays
from video2gif.layout import FINGERPRINTS, Layout, ShardReader
from video2gif.matching.phash import HASH_SIDE, LUMA_SIDE, phash, quality, window_hashes
from video2gif.matching.track import THUMB_SIDE, Track
from video2gif.media.decode import Decoder
from video2gif.shots.content import ContentMetrics

Kind = Literal["video", "gif"]

COLUMNS = ("pts_s", "phash", "windows", "quality", "thumbs", "content")
"""The arrays of a fingerprint, in the item and in the shards."""

_BATCH = 256  # Frames hashed at once: 1 MB of luma.
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


def work(*, out: Path, params: Mapping[str, Any], path: str, kind: Kind) -> None:
    """Write a file's fingerprint to `out`. Raises `ItemError` when it is not worth keeping."""
    with Decoder(Path(path)) as decoder:
        arrays, size = _measure(decoder)
        n_frames = len(arrays["pts_s"])
        _check(decoder, n_frames, max_bad_packets=params["max_bad_packets"])
        notes = {
            "end_s": decoder.end_s,
            "width": size[0],
            "height": size[1],
            "bad_packets": decoder.bad_packets,
        }
    write_arrays(out, arrays, notes)


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


def _measure(decoder: Decoder) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    """The arrays of `COLUMNS`, and (width, height) of the first frame as shown."""
    hashes, content = _Hashes(), _Content()
    pts_s: list[float] = []
    size = (0, 0)
    for time_s, frame in decoder.frames():
        size = size if pts_s else (frame.width, frame.height)
        pts_s.append(time_s)
        hashes.push(frame)
        content.push(frame)
    arrays = {"pts_s": np.array(pts_s), "content": content.array(), **hashes.arrays()}
    return arrays, size


class _Hashes:
    """Frames to hashes, in batches so that memory does not grow with the file."""

    def __init__(self) -> None:
        # One shared reformatter: VideoFrame.reformat builds a scaler for every frame.
        self._scaler = VideoReformatter()
        self._waiting: list[np.ndarray] = []
        self._parts: list[tuple[np.ndarray, ...]] = []

    def push(self, frame: VideoFrame) -> None:
        luma = self._scaler.reformat(frame, LUMA_SIDE, LUMA_SIDE, "gray8", interpolation="AREA")
        self._waiting.append(luma.to_ndarray())
        if len(self._waiting) == _BATCH:
            self._flush()

    def arrays(self) -> dict[str, np.ndarray]:
        if self._waiting:
            self._flush()
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        return dict(zip(("phash", "windows", "quality", "thumbs"), columns, strict=True))

    def _flush(self) -> None:
        luma_N6464 = np.stack(self._waiting)
        luma_N3232 = shrunk(luma_N6464, HASH_SIDE)
        self._parts.append(
            (
                phash(luma_N3232),
                window_hashes(luma_N6464),
                quality(luma_N3232),
                shrunk(luma_N6464, THUMB_SIDE),
            )
        )
        self._waiting.clear()


def shrunk(luma_N6464: np.ndarray, side: int) -> np.ndarray:
    """The mean of square blocks, rounded half up: uint8 (n, 64, 64) → (n, side, side)."""
    block = LUMA_SIDE // side
    blocks = luma_N6464.reshape(-1, side, block, side, block)
    sums = blocks.sum(axis=(2, 4), dtype=np.uint32)
    return ((sums + block * block // 2) // (block * block)).astype(np.uint8)


class _Content:
    """Frames to PySceneDetect's differences."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()
        self._metrics = ContentMetrics()
        self._rows: list[tuple[float, float, float]] = []

    def push(self, frame: VideoFrame) -> None:
        # Full size: the detector's own resizing decides which cuts are found.
        picture = self._scaler.reformat(frame, format="bgr24")
        self._rows.append(self._metrics.push(picture.to_ndarray()))

    def array(self) -> np.ndarray:
        return np.array(self._rows, dtype=np.float64)
