"""fc6 features of one video's segments: decode once, cut clips, run C3D.

Only the result grows with the video (8 KB a clip): 16 small frames wait for their clip, `BATCH`
clips for the network. One thread in each worker: the result is the same whatever their number.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from video2gif.config import Extract
from video2gif.errors import ItemError
from video2gif.features import weights as c3d_weights
from video2gif.features.preprocess import (
    clip_starts,
    clips,
    load_mean,
    located_mean,
    mean_digest,
    needed,
    network_input,
    small_frame,
)
from video2gif.items import Item, Work, read_arrays, write_arrays
from video2gif.media.decode import Decoder
from video2gif.sandbox import Limits

BACKEND = "torch-fp32"

# Two clips at once are 1.4 × as fast as one, four no faster. The last batch is filled up, so that
# every clip meets the same arithmetic whatever its neighbours are.
BATCH = 2

# Hours of video take hours here. A decoder that hangs has hung in the fingerprint stage already,
# which reads the same bytes within minutes.
_LIMITS = Limits(wall_s=24 * 3600, memory_bytes=12 << 30)  # torch maps far more than it touches.

Network = Callable[[np.ndarray], np.ndarray]
"""x_BCTHW float32 (B, 3, 16, 112, 112) → fc6 float32 (B, 4096), after ReLU."""


@dataclass(frozen=True)
class Extraction:
    """Features by one choice of weights, mean and clips: the work, and its items."""

    work: Work
    weights: str
    mean: str

    def item(self, item_id: str, *, sha256: str, path: Path, spans: np.ndarray) -> Item:
        """A video with its segments: int (n, 2) frames [start, end), ascending."""
        segments = np.asarray(spans).tolist()
        return Item(
            id=item_id,
            inputs=(sha256, hashlib.sha256(json.dumps(segments).encode()).hexdigest()),
            args={
                "path": str(path.resolve()),
                "segments": segments,
                "weights": self.weights,
                "mean": self.mean,
            },
        )


def extraction(chosen: Extract, *, root: Path) -> Extraction:
    """What params.yaml's `extract` asks for; relative paths in it start at `root`.

    Raises `UserError` for weights or a mean cube that cannot be used.
    """
    weights, mean = c3d_weights.located(chosen.weights, root), located_mean(chosen.mean, root)
    work = Work(
        function=f"{__name__}:work",
        params={
            "weights": c3d_weights.digest(weights),
            "mean": mean_digest(mean),
            "clip_stride": chosen.clip_stride,
            "mirror": chosen.mirror,
        },
        libraries=("av", "numpy", "opencv-python", "torch"),
        limits=_LIMITS,
    )
    return Extraction(work, weights, mean)


@dataclass(frozen=True)
class Features:
    """What `work` wrote for one video."""

    fc6: np.ndarray
    """float16 (n, 4096), the clips of the first segment first."""
    n_clips: np.ndarray
    """int64 (segments,); 0 for one shorter than a clip, which stays unscored."""
    backend: str

    @classmethod
    def none(cls, n_segments: int) -> "Features":
        """Those of a video that failed."""
        n_fc6 = c3d_weights.ARCHITECTURE.n_fc6
        return cls(np.zeros((0, n_fc6), np.float16), np.zeros(n_segments, np.int64), "")

    @property
    def by_segment(self) -> list[np.ndarray]:
        """fc6 of each segment's clips, (n_clips, 4096) each."""
        return np.split(self.fc6, np.cumsum(self.n_clips)[:-1])


def read_features(payload: bytes) -> Features:
    """The features in an item's payload."""
    arrays, notes = read_arrays(payload)
    return Features(arrays["fc6"], arrays["n_clips"].astype(np.int64), notes["backend"])


def work(
    *,
    out: Path,
    params: dict[str, Any],
    path: str,
    segments: list[tuple[int, int]],
    weights: str,
    mean: str,
) -> None:
    """Write `fc6` float16 (n, 4096), clips in order of time, and `n_clips` of each segment.

    `segments` are [start, end) frames, ascending; one under 16 frames gets no clip. `params` has
    clip_stride, mirror, and the digests of what `weights` and `mean` name (they make the key).
    Raises `ItemError`: what the decoder raises; decode if the video ends before its last clip;
    overflow if the weights drive fc6 out of float16's range.
    """
    starts = [clip_starts(*segment, stride=params["clip_stride"]) for segment in segments]
    fc6 = clip_features(
        video_clips(Path(path), list(itertools.chain(*starts))),
        network=_network(weights, params["weights"]),
        mean_THWC=_mean(mean, params["mean"]),
        mirror=params["mirror"],
    )
    n_clips = np.array([len(of_segment) for of_segment in starts], np.int32)
    write_arrays(out, {"fc6": fc6, "n_clips": n_clips}, {"backend": BACKEND})


def video_clips(path: Path, starts: Sequence[int]) -> Iterator[np.ndarray]:
    """The clips that start at these frames, uint8 (16, 112, 112, 3), from one decode."""
    if not starts:
        return
    with Decoder(path) as decoder:
        yield from clips(_small_frames(decoder, starts), starts)


def clip_features(
    clips_THWC: Iterable[np.ndarray], *, network: Network, mean_THWC: np.ndarray, mirror: bool
) -> np.ndarray:
    """uint8 clips (16, 112, 112, 3) → fc6 float16 (n, 4096).

    With `mirror`, the mean of a clip's fc6 and of its mirror image's.
    """

    def forward(batch: list[np.ndarray]) -> np.ndarray:
        filled = np.stack(batch + batch[-1:] * (BATCH - len(batch)))
        x_BCTHW = network_input(filled, mean_THWC)
        fc6 = network(x_BCTHW)
        if mirror:
            fc6 = (fc6 + network(mirrored(x_BCTHW))) / 2
        return fc6[: len(batch)]

    parts = [_to_float16(forward(batch)) for batch in _batches(clips_THWC, BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, c3d_weights.ARCHITECTURE.n_fc6), "f2")


def mirrored(x_BCTHW: np.ndarray) -> np.ndarray:
    """Left and right exchanged, channels kept innermost in memory.

    As in the authors' data layer, after mean and crop (which is off the centre by half a pixel).
    """
    return np.ascontiguousarray(np.moveaxis(x_BCTHW[..., ::-1], 1, -1)).transpose(0, 4, 1, 2, 3)


def _small_frames(decoder: Decoder, starts: Sequence[int]) -> Iterator[np.ndarray | None]:
    reformatter = VideoReformatter()  # Shared: a new one for each frame rebuilds its tables.
    for is_needed, (_, frame) in zip(needed(starts), decoder.frames(), strict=False):
        if is_needed:
            yield small_frame(reformatter.reformat(frame, format="bgr24").to_ndarray())
        else:
            yield None


def _to_float16(fc6: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # The next line looks, and gives the reason.
        half = fc6.astype(np.float16)
    if not np.isfinite(half).all():
        raise ItemError("overflow", "fc6 lies outside float16's range; check extract.weights")
    return half


def _batches(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


# Kept for the life of a worker; the digest is part of the key so that a changed file is read anew.
@lru_cache(maxsize=1)
def _network(spec: str, digest: str) -> Network:
    del digest
    from video2gif.features.c3d import C3D, torch_network  # torch takes a second to import.

    cv2.setNumThreads(1)
    return torch_network(C3D.with_weights(c3d_weights.load(spec)), threads=1)


@lru_cache(maxsize=1)
def _mean(spec: str, digest: str) -> np.ndarray:
    del digest
    return load_mean(spec)
