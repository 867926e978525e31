"""Read what `fingerprint.decode` wrote, from an item or from the project's shards.

No decoder is imported here, so that a stage which only reads fingerprints does not depend on one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from video2gif.core.errors import ItemError
from video2gif.core.layout import Layout
from video2gif.core.shards import ShardReader
from video2gif.core.store import StoredArrays, read_arrays
from video2gif.core.types import Kind
from video2gif.fingerprint.track import Track, digest_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("pts_s", "phash", "windows", "quality", "thumbs", "content", "cues")
"""The arrays of a fingerprint, in the item and in the shards."""


_PART = 1 << 14  # Rows of a stored fingerprint read at once: 8 MB.


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
    """uint64 (n, W): hashes of `fingerprint.phash.WINDOWS`."""
    quality: np.ndarray
    """float32 (n,) in [0, 1]: how much evidence the hash carries; 0 for flat frames."""
    thumbs: np.ndarray
    """uint8 (n, 16, 16): luma thumbnails, for the last step of matching."""
    content: np.ndarray
    """float64 (n, 3): PySceneDetect's differences of hue, saturation, brightness; row 0 zeros."""
    cues: np.ndarray
    """float32 (n, 9): `fingerprint.cues.NAMES`; the first frame changes by nothing."""
    width: int
    height: int
    bad_packets: int

    @property
    def has_pictures(self) -> bool:
        """False for clips of which only features are given (`media.given`)."""
        return self.width > 0

    @property
    def edges_s(self) -> np.ndarray:
        """When each frame starts, and the end of the last, float64 (n + 1,)."""
        return np.append(self.pts_s, self.end_s)

    @property
    def track(self) -> Track:
        """What matching needs of it."""
        hashes = np.column_stack([self.phash, self.windows])
        return Track(self.pts_s, self.end_s, hashes, self.quality, self.thumbs)


class Fingerprints:
    """The fingerprints of a project, memory-mapped."""

    def __init__(self, folder: Path, index: "pd.DataFrame") -> None:
        self.index = index
        """The FINGERPRINTS table."""
        self._shards = ShardReader(folder)
        self._rows = {(row.kind, row.id): row for row in index.itertuples(index=False)}

    @classmethod
    def open(cls, layout: Layout) -> "Fingerprints":
        """Raises `EnvironmentProblem` when the stage has not run."""
        from video2gif.core.tables import FINGERPRINTS  # A single film needs no tables.

        folder = layout.fingerprints
        return cls(folder, FINGERPRINTS.read(folder / "index.parquet"))

    def get(self, kind: Kind, item_id: str) -> Fingerprint:
        """One file's fingerprint. Raises `ItemError` (missing, or why it was quarantined)."""
        row: Any = self._rows.get((kind, item_id))
        if row is None:
            raise ItemError("missing", f"{kind} {item_id} has no fingerprint")
        if row.status != "ok":
            raise ItemError("missing", f"{kind} {item_id} has no fingerprint: {row.reason}")
        return of_row(self._shards, row._asdict())


def of_row(shards: ShardReader, row: Mapping[str, Any]) -> Fingerprint:
    """Of a row of the FINGERPRINTS table; its arrays are memory-mapped, read where they are used.

    Of the row: shard, row, n_frames, duration_s, width, height, bad_packets.
    """
    arrays = {
        name: shards.rows(row["shard"], name, row["row"], row["n_frames"]) for name in COLUMNS
    }
    return Fingerprint(
        **arrays,
        end_s=row["duration_s"],
        width=row["width"],
        height=row["height"],
        bad_packets=row["bad_packets"],
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
