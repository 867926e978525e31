"""Arrays of many items packed into a few files: 16 buckets by a hash of the item's id.

Buckets, not runs of sorted ids: one new video rewrites one bucket. `data/fingerprints/` and
`data/features/` are such folders beside an index table (`video2gif.core.layout`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from video2gif.core.errors import EnvironmentProblem


def shard_of(item_id: str) -> str:
    """The bucket of an id: one hex digit of its sha256 (16 buckets)."""
    return hashlib.sha256(item_id.encode()).hexdigest()[0]


class ShardWriter:
    """Packs named arrays of many items into bucket files `<folder>/<bucket>.<column>.npy`.

    Items are appended in the order given within their bucket; give them sorted by id. Rows are
    written as they come: memory holds no item.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, str], _GrowingArray] = {}
        self._rows: dict[str, int] = {}

    def add(self, item_id: str, columns: Mapping[str, np.ndarray]) -> tuple[str, int]:
        """Append an item's arrays (equal first axes); returns its shard and first row."""
        return self.add_parts(item_id, [columns])

    def add_parts(self, item_id: str, parts: Iterable[Mapping[str, np.ndarray]]) -> tuple[str, int]:
        """The same for an item that comes some rows at a time; each part has every column."""
        shard = shard_of(item_id)
        first = self._rows.get(shard, 0)
        for columns in parts:
            lengths = {len(array) for array in columns.values()}
            # A short column would shift the rows of all items behind it.
            if len(lengths) != 1:
                raise ValueError(f"{item_id}: columns of different lengths {sorted(lengths)}")
            for name, array in columns.items():
                self._file(shard, name, array).append(array)
            self._rows[shard] = self._rows.get(shard, 0) + lengths.pop()
        return shard, first

    def close(self) -> None:
        """Complete the bucket files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in self._files.values():
            file.close()

    def _file(self, shard: str, name: str, like: np.ndarray) -> "_GrowingArray":
        if (shard, name) not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{shard}.{name}.npy"
            self._files[shard, name] = _GrowingArray(path, like.dtype, like.shape[1:])
        return self._files[shard, name]


class _GrowingArray:
    """A .npy file that grows by rows; its bytes are those of `np.save`."""

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        self._file = path.open("wb")
        self._dtype, self._shape = dtype, shape
        self._n = 0
        self._write_header()

    def append(self, rows: np.ndarray) -> None:
        if rows.dtype != self._dtype or rows.shape[1:] != self._shape:
            raise ValueError(
                f"{self._file.name}: rows of {rows.dtype}{rows.shape[1:]}, not"
                f" {self._dtype}{self._shape}"
            )
        self._file.write(np.ascontiguousarray(rows).data)
        self._n += len(rows)

    def close(self) -> None:
        # How many rows there are is known only now.
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        """Of the same length whatever the number of rows: numpy leaves room for it to grow."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._n, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


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
