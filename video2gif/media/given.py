"""A video of which only its clips' features are known: one npz file in place of pixels.

Such a file goes through the pipeline like any other: its clips are its frames and its segments, and
its features are those that `extract` would have computed. `datasets.given` writes these files from
published data sets, with a manifest beside them whose spans are declared.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video2gif.core.errors import ItemError

KIND = "npz"
"""What `media.sniff` calls such a file, and its extension."""
_MOST_BYTES = 1 << 30  # Of an array unpacked: half a million clips of 1,024 numbers.


@dataclass(frozen=True, eq=False)
class GivenClips:
    """n clips, one after the other."""

    times_s: np.ndarray
    """(n + 1,) float64: when each begins, strictly rising from 0, and the end of the last."""
    features: np.ndarray
    """(n, width) float16, finite."""

    def write(self, path: Path) -> None:
        """Equal clips, equal bytes (numpy writes no clock into the archive)."""
        with path.open("wb") as file:
            np.savez(file, times_s=self.times_s, features=self.features)

    @classmethod
    def read(cls, path: Path) -> "GivenClips":
        """Read and check a file. Raises `ItemError` (given) that says what is wrong with it."""
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                    raise ItemError("too_large", f"{path.name} unpacks to more than a gigabyte")
            with np.load(path, allow_pickle=False) as arrays:
                found = cls(arrays["times_s"], arrays["features"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ItemError("given", f"no npz of times_s and features: {error}") from None
        found._check()
        return found

    def _check(self) -> None:
        times, features = self.times_s, self.features
        n_clips = len(features) if features.ndim == 2 else 0
        if not n_clips or features.dtype != np.float16:
            raise ItemError("given", f"features are {features.dtype} {features.shape}")
        if times.dtype != np.float64 or times.shape != (n_clips + 1,):
            raise ItemError("given", f"times_s {times.shape} of {n_clips} clips; needs one more")
        if times[0] != 0 or not np.isfinite(times[-1]) or not (np.diff(times) > 0).all():
            raise ItemError("given", "times_s must rise strictly from 0")
        if not np.isfinite(features).all():
            raise ItemError("given", "features hold NaN or infinity")
