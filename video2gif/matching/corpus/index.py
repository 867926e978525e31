"""The index of a corpus: the frames of all videos, found by hash without looking at most of them.

Multi-index hashing (Norouzi, Punjani, Fleet: Fast search in Hamming space with multi-index
hashing, CVPR 2012): a hash is cut into four keys of up to 16 bits; a table for each key holds all
hashes in buckets of equal key. Two hashes that are close mostly agree in one of the keys, or but
for a bit; a GIF has many frames, so some of them do. A key gets shorter in a small corpus, so that
a bucket holds some thousand hashes, and what is found approaches all there is.

A *plane* is one column of the videos' hashes (the whole frame, or a window of it) with its four
tables. All planes share their rows: frames with a picture, without those that look like the
one before. Files are written once and mapped, never loaded; what stands in memory is the
system's page cache and can be dropped at any time (`Index.release`).

`<folder>/meta.json` is written last: a folder without it is no index.
"""

import math
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.layout import read_json, write_json
from video2gif.fingerprint.track import Track
from video2gif.matching.corpus.kernels import count_keys, probe, scatter, thinned
from video2gif.matching.corpus.queries import PLANES, Hits

_VERSION = 2
# The hash's first bit compares its mean with its median: set in every picture, no evidence.
_ROTATIONS = (1, 17, 33, 49)
_KEY_BITS = 16
# Hashes in a bucket, about. To map a page costs as much as to compare some thousand hashes: few
# large buckets are searched faster than the many small ones of the textbook.
_BUCKET = 1024
_BLOCK = 1 << 22  # Rows read at once.
_SORTED_AT_ONCE = 3 << 24  # Words of a table put in order in memory: 400 MB.
_HITS = 1 << 18
_MOST_RESIDENT = 1 << 30  # Bytes of mapped files, after which a search lets go of them.
_PROBES_UNCHECKED = 2048  # Each maps some pages: 0.3 GB at most.
_MOST_ROWS = 1 << 32

# A frame is kept when it differs from the last one kept by more than this, or is this much later.
_ALIKE_BITS, _LONGEST_S = 2, 0.5
_MIN_QUALITY = 0.3
_GAP_S = 60.0  # Between two videos on the corpus's clock: no line of hits leads across.


@dataclass(frozen=True)
class HashTable:
    """All hashes of a plane by one of their keys."""

    rotation: int
    """Hashes are rotated to the left by so many bits, so that the key stands first."""
    words: np.ndarray
    """uint64 (w,): the buckets, each its hashes, then their rows (`kernels.scatter`)."""
    starts: np.ndarray
    """int64 (2**bits + 1,): where each key's bucket begins."""
    bits: int
    """How long keys are."""
    mapped: mmap.mmap
    """The words' file."""

    def fetch(self, queries: np.ndarray, flips: np.ndarray) -> None:
        """Have the buckets that `probe` will look at read, all at once, if they are not."""
        turned = queries << np.uint64(self.rotation) | queries >> np.uint64(64 - self.rotation)
        keys = (turned >> np.uint64(64 - self.bits)).astype(np.int64)[:, None] ^ flips
        # `madvise` takes whole pages only.
        first = self.starts[keys] * 8 // mmap.PAGESIZE * mmap.PAGESIZE
        sizes = self.starts[keys + 1] * 8 - first
        for start, size in zip(first.ravel().tolist(), sizes.ravel().tolist(), strict=True):
            if size:
                self.mapped.madvise(mmap.MADV_WILLNEED, start, size)


class Index:
    """An index on disk, mapped."""

    def __init__(self, folder: Path) -> None:
        """Raises `EnvironmentProblem` when there is none, or one of another version."""
        meta = read_json(folder / "meta.json")
        if meta.get("version") != _VERSION:
            raise EnvironmentProblem(
                f"{folder}: an index of version {meta.get('version')}, expected {_VERSION};"
                " delete the folder"
            )
        self.bits: int = meta["bits"]
        self.planes: tuple[int, ...] = tuple(meta["planes"])
        self.source: str = meta["source"]
        videos = pd.read_parquet(folder / "videos.parquet")
        self.video_ids: list[str] = videos.video_id.to_list()
        self.starts_s = videos.start_s.to_numpy(np.float64)
        """float64 (videos,): when each begins on the corpus's clock."""
        self.ends_s = videos.end_s.to_numpy(np.float64)
        """float64 (videos,): when each ends, on its own clock."""
        self.first_rows = np.append(videos.first_row.to_numpy(np.int64), meta["rows"])
        """int64 (videos + 1,): the rows of video v are [first_rows[v], first_rows[v + 1])."""
        self._maps: list[mmap.mmap] = []
        self._probes = 0
        self.time_s = self._mapped(folder / "time_s.f64", np.float64)
        """float64 (n,): when each row's frame appears, on the corpus's clock."""
        self.hashes = {p: self._mapped(folder / f"{p}.hashes.u64", np.uint64) for p in self.planes}
        """By plane: uint64 (n,), in order of time."""
        self._tables = {p: [self._table(folder, p, r) for r in _ROTATIONS] for p in self.planes}

    def __len__(self) -> int:
        return len(self.time_s)

    def near(self, plane: int, queries: np.ndarray, *, radius: int, reach: int = 0) -> Hits:
        """Most rows at most `radius` bits from a query: those with a key at most `reach` bits off.

        `reach` is 0 or 1. A pair is found once. At most some 260,000 hits a table are kept.
        """
        flips = _flips(self.bits, reach)
        for table in self._tables[plane]:
            table.fetch(queries, flips)
        found = [self._probed(table, queries, radius, flips) for table in self._tables[plane]]
        query, row, distance = (np.concatenate(part) for part in zip(*found, strict=True))
        _, first = np.unique(query * len(self) + row, return_index=True)
        return Hits(query[first], row[first], distance[first])

    def _probed(
        self, table: HashTable, queries: np.ndarray, radius: int, flips: np.ndarray
    ) -> np.ndarray:
        hits = np.empty((3, _HITS), np.int64)
        buckets = table.words, table.starts, self.bits, table.rotation
        count = probe(*buckets, queries, flips, np.uint64(radius), hits)
        self._probes += len(queries) * len(flips)
        if self._probes > _PROBES_UNCHECKED:
            self._probes = 0
            if _resident_bytes() > _MOST_RESIDENT:
                self.release()
        return hits[:, : min(count, _HITS)].copy()

    def release(self) -> None:
        """Let go of the memory that mapped pages take; they stay in the system's page cache."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)

    def _mapped(self, path: Path, dtype: type[np.generic]) -> np.ndarray:
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise EnvironmentProblem(f"{path}: {error}; delete its folder") from None
        # Buckets are read here and there: reading ahead would fetch what nobody asks for.
        mapped.madvise(mmap.MADV_RANDOM)
        self._maps.append(mapped)
        return np.frombuffer(mapped, dtype)

    def _table(self, folder: Path, plane: int, rotation: int) -> HashTable:
        name = f"{plane}.{rotation}"
        words = self._mapped(folder / f"{name}.words.u64", np.uint64)
        mapped = self._maps[-1]
        starts = self._mapped(folder / f"{name}.starts.i64", np.int64)
        return HashTable(rotation, words, starts, self.bits, mapped)


class IndexWriter:
    """Writes an index: `add` every video, then `finish`. Works in bounded memory."""

    def __init__(self, folder: Path, *, planes: Sequence[int] = PLANES, source: str = "") -> None:
        """`folder` is empty or does not exist; `source` says what the index was made of."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._planes = tuple(planes)
        self._source = source
        self._n = 0
        self._now_s = 0.0
        self._videos: list[dict[str, object]] = []
        self._time: IO[bytes] = (folder / "time_s.f64").open("wb")
        self._hashes: dict[int, IO[bytes]] = {
            plane: (folder / f"{plane}.hashes.u64").open("wb") for plane in self._planes
        }

    def add(self, video_id: str, track: Track) -> None:
        """Append the frames of a video that carry evidence and differ from the one before."""
        kept = kept_frames(track)
        self.append(video_id, track.pts_s[kept], track.end_s, track.hashes[kept][:, self._planes])

    def append(self, video_id: str, pts_s: np.ndarray, end_s: float, hashes_NP: np.ndarray) -> None:
        """Append frames as they are: times float64 (n,), hashes uint64 (n, planes)."""
        self._videos.append(
            {"video_id": video_id, "start_s": self._now_s, "end_s": end_s, "first_row": self._n}
        )
        (self._now_s + pts_s).astype(np.float64).tofile(self._time)
        for plane, hashes in zip(self._planes, hashes_NP.T, strict=True):
            np.ascontiguousarray(hashes, np.uint64).tofile(self._hashes[plane])
        self._n += len(pts_s)
        self._now_s += end_s + _GAP_S

    def finish(self) -> None:
        """Write the tables. Raises `UserError` for no frame at all, or more than 2**32."""
        for file in (self._time, *self._hashes.values()):
            file.close()
        if not 0 < self._n < _MOST_ROWS:
            raise UserError(
                f"the corpus has {self._n} frames with a picture; an index takes 1 to 2**32 - 1"
            )
        bits = key_bits(self._n)
        for plane in self._planes:
            for rotation in _ROTATIONS:
                _write_table(self._folder, plane, rotation, bits)
        columns = ["video_id", "start_s", "end_s", "first_row"]
        pd.DataFrame(self._videos, columns=columns).to_parquet(self._folder / "videos.parquet")
        meta = {"version": _VERSION, "bits": bits, "rows": self._n, "source": self._source}
        write_json(self._folder / "meta.json", meta | {"planes": list(self._planes)})


def _resident_bytes() -> int:
    """Memory that mapped files take in this process; 0 where the system does not say."""
    try:
        shared_pages = int(Path("/proc/self/statm").read_text().split()[2])
    except OSError:
        return 0
    return shared_pages * mmap.PAGESIZE


def _flips(bits: int, reach: int) -> np.ndarray:
    """What to turn over in a key to get it and all keys at most `reach` (0 or 1) bits from it."""
    return np.append(0, 1 << np.arange(bits)) if reach else np.zeros(1, np.int64)


def key_bits(n: int) -> int:
    """How long keys are so that buckets hold `_BUCKET` of n hashes, if they are spread evenly."""
    return min(max(round(math.log2(n / _BUCKET)), 1), _KEY_BITS)


def kept_frames(track: Track) -> np.ndarray:
    """Frames with a picture, without those that look like the last one kept: int64 (k,)."""
    useful = np.flatnonzero(track.quality >= _MIN_QUALITY)
    whole = np.ascontiguousarray(track.hashes[useful, 0])
    return useful[thinned(whole, track.pts_s[useful], _ALIKE_BITS, _LONGEST_S)]


def _blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, hashes) of a plane's file."""
    first = 0
    with path.open("rb") as file:
        while len(block := np.fromfile(file, np.uint64, _BLOCK)):
            yield first, block
            first += len(block)


def _write_table(folder: Path, plane: int, rotation: int, bits: int) -> None:
    """Sort a plane's hashes into buckets, as many buckets at once as fit into memory."""
    source, name = folder / f"{plane}.hashes.u64", f"{plane}.{rotation}"
    counts = np.zeros(1 << bits, np.int64)
    for _, block in _blocks(source):
        count_keys(block, rotation, bits, counts)
    starts = np.concatenate([[0], np.cumsum(counts + (counts + 1) // 2)])
    starts.tofile(folder / f"{name}.starts.i64")
    with (folder / f"{name}.words.u64").open("wb") as file:
        low = 0
        while low < len(counts):
            high = int(np.searchsorted(starts, starts[low] + _SORTED_AT_ONCE, side="right")) - 1
            high = min(max(high, low + 1), len(counts))
            words = np.zeros(starts[high] - starts[low], np.uint64)
            filled = np.zeros(len(counts), np.int64)
            for first, block in _blocks(source):
                scatter(
                    block, first, rotation, bits, low, high, starts - starts[low], filled, words
                )
            words.tofile(file)
            low = high
