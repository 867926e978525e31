"""What matching needs of a file: when each frame is shown, its hashes and its thumbnail."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from video2gif.fingerprint.phash import WHOLE, WINDOWS, Window

THUMB_SIDE = 16
"""Side of the thumbnails, pixels."""


def column(window: Window) -> int:
    """The column of `Track.hashes` that holds a window's hash."""
    return 0 if window == WHOLE else 1 + WINDOWS.index(window)


@dataclass(frozen=True, eq=False)
class Track:
    """The hashes of one GIF or video, in presentation order."""

    pts_s: np.ndarray
    """float64 (n,), strictly increasing, 0.0 first: when each frame appears, seconds."""
    end_s: float
    """When the last frame disappears, seconds."""
    hashes: np.ndarray
    """uint64 (n, 1 + len(WINDOWS)): the whole frame, then its windows."""
    quality: np.ndarray
    """float32 (n,) in [0, 1]: the evidence in each frame's hash."""
    thumbs: np.ndarray
    """uint8 (n, 16, 16): the luma, averaged over areas."""

    def __len__(self) -> int:
        return len(self.pts_s)

    def __post_init__(self) -> None:
        if self.thumbs.shape != (len(self), THUMB_SIDE, THUMB_SIDE):
            raise ValueError(f"thumbs of shape {self.thumbs.shape} for {len(self)} frames")
        if self.hashes.shape != (len(self), 1 + len(WINDOWS)):
            raise ValueError(f"hashes of shape {self.hashes.shape} for {len(self)} frames")

    def shown_at(self, time_s: np.ndarray) -> np.ndarray:
        """The number of the frame on screen at each time; before and after the file its ends."""
        frames = np.searchsorted(self.pts_s, time_s, side="right") - 1
        return np.clip(frames, 0, len(self) - 1)

    def backwards(self) -> "Track":
        """The file played backwards; every frame keeps its duration."""
        edges = np.append(self.pts_s, self.end_s)
        flipped = slice(None, None, -1)
        return Track(
            self.end_s - edges[1:][flipped],
            self.end_s,
            self.hashes[flipped],
            self.quality[flipped],
            self.thumbs[flipped],
        )

    def part(self, start: int, stop: int) -> "Track":
        """The frames [start, stop), not empty; times count from the first of them."""
        begin_s = float(self.pts_s[start])
        end_s = float(self.pts_s[stop]) if stop < len(self) else self.end_s
        return Track(
            self.pts_s[start:stop] - begin_s,
            end_s - begin_s,
            self.hashes[start:stop],
            self.quality[start:stop],
            self.thumbs[start:stop],
        )

    def first(self, n: int) -> "Track":
        """The first n frames, n below the number of frames."""
        return Track(
            self.pts_s[:n],
            float(self.pts_s[n]),
            self.hashes[:n],
            self.quality[:n],
            self.thumbs[:n],
        )

    def digest(self) -> str:
        """A digest of all that decides a match: equal digests give equal matches."""
        columns = (self.pts_s, self.hashes, self.quality, self.thumbs)
        return digest_of(len(self), self.end_s, ([column] for column in columns))


def digest_of(n: int, end_s: float, columns: Iterable[Iterable[np.ndarray]]) -> str:
    """sha256 of a track whose four arrays come in parts, in the order of `Track`'s fields."""
    digest = hashlib.sha256(f"{n} {end_s!r}\n".encode())
    for column in columns:
        for part in column:
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def nearest_frame(time_s: float, times_s: np.ndarray) -> int:
    """The index whose time is nearest (the earlier one on a tie); `times_s` non-decreasing."""
    after = int(np.searchsorted(times_s, time_s))
    if after == 0 or after == len(times_s):
        return min(after, len(times_s) - 1)
    is_before_nearer = time_s - times_s[after - 1] <= times_s[after] - time_s
    return after - 1 if is_before_nearer else after
