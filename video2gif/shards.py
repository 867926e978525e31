"""Arrays of many items packed into a few files: 16 buckets by a hash of the item's id.

Buckets, not runs of sorted ids: one new video rewrites one bucket. `data/fingerprints/` and
`data/features/` are such folders beside an index table (`video2gif.layout`).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from video2gif.errors import EnvironmentProblem


def shard_of(item_id: str) -> str:
    """The bucket of an id: one hex digit of its sha256 (16 buckets)."""
    return hashlib.sha256(item_id.encode()).hexdigest()[0]


class ShardWriter:
    """Packs named arrays of many items into bucket files `<folder>/<bucket>.<column>.npy`.

    Items are appended in the order given within their bucket; give them sorted by id.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[tuple[str, str], list[np.ndarray]] = {}
        self._rows: dict[str, int] = {}

    def add(self, item_id: str, columns: Mapping[str, np.ndarray]) -> tuple[str, int]:
        """Append an item's arrays (equal first axes); returns its shard and first row."""
        shard = shard_of(item_id)
        lengths = {len(array) for array in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"{item_id}: columns of different lengths {sorted(lengths)}")
        row = self._rows.get(shard, 0)
        for name, array in columns.items():
            self._parts.setdefault((shard, name), []).append(array)
        self._rows[shard] = row + lengths.pop()
        return shard, row

    def close(self) -> None:
        """Write the bucket files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for (shard, name), parts in sorted(self._parts.items()):
            np.save(self._folder / f"{shard}.{name}.npy", np.concatenate(parts))


class ShardReader:
    """Memory-mapped access to what `ShardWriter` wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[tuple[str, str], np.ndarray] = {}

    def rows(self, shard: str, column: str, start: int, count: int) -> np.ndarray:
        """`count` rows of a column, a view of the mapped file."""
        if (shard, column) not in self._open:
            path = self._folder / f"{shard}.{column}.npy"
            try:
                self._open[shard, column] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise EnvironmentProblem(f"{path}: {error}; run `dvc repro`") from None
        return self._open[shard, column][start : start + count]
