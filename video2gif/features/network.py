"""What the stages know of a network: its item, its shards, and what its features look like.

A network is described by a `Network` and run by an `Extraction`. Which there are, and how a new
one is added: features/registry.py.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.core.store import read_arrays
from video2gif.core.work import Item, Work

Timed = tuple[float, VideoFrame]
"""A frame and its time in seconds."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network, as its index and the model card name it."""

    name: str
    """Its folder below data/features."""
    width: int
    """Numbers of one row."""
    n_classes: int
    """Classes that it names; 0 for a network that gives features alone."""
    clip_frames: int
    """Frames of one input: 16 for C3D, 1 for a network of single pictures."""
    rows: int
    columns: int
    weights: str
    """`sha256:…` of the weights, or `random:SEED`."""
    licence: str
    source: str

    @property
    def is_pretrained(self) -> bool:
        """Whether its weights have learned anything."""
        return not self.weights.startswith("random:")


@dataclass(frozen=True)
class Features:
    """Features of one video's segments."""

    rows: np.ndarray
    """float16 (n, width), those of the first segment first."""
    n_clips: np.ndarray
    """int64 (segments,), rows of each; 0 for one without any, which stays unscored."""
    classes: np.ndarray
    """float16 (n, n_classes): the scores of the classes, before softmax."""
    frames: np.ndarray
    """int64 (n,): the frame that each row shows, or (C3D, which shows many) empty."""

    @classmethod
    def none(cls, network: Network, n_segments: int) -> "Features":
        """Those of a video that failed."""
        widths = (network.width, network.n_classes)
        rows, classes = (np.zeros((0, width), np.float16) for width in widths)
        return cls(rows, np.zeros(n_segments, np.int64), classes, np.zeros(0, np.int64))

    @property
    def by_segment(self) -> list[np.ndarray]:
        """Rows of each segment, (n_clips, width) each."""
        return np.split(self.rows, np.cumsum(self.n_clips)[:-1])


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """A network with all that was chosen for it: the work, and its items."""

    network: Network
    work: Work
    args: Mapping[str, Any]
    """Of the work, besides the video's path and its segments."""
    backend: str
    cosine: float
    """Of the backend's features to the reference's, the smallest of the warm-up."""
    mode: str
    """`clips` or `dense` (C3D), `pictures` for single ones."""
    by_segment: bool
    """Whether an item depends on the segments. Pictures sampled in time do not."""

    def item(self, item_id: str, *, sha256: str, path: Path, spans: np.ndarray) -> Item:
        """A video with its segments: int (n, 2) frames [start, end), ascending."""
        args = {"path": str(path.resolve()), **self.args}
        if not self.by_segment:
            return Item(id=item_id, inputs=(sha256,), args=args)
        segments = np.asarray(spans).tolist()
        digest = hashlib.sha256(json.dumps(segments).encode()).hexdigest()
        return Item(id=item_id, inputs=(sha256, digest), args={**args, "segments": segments})

    def read(self, payload: bytes, spans: np.ndarray) -> Features:
        """Features of these segments, from an item's payload."""
        arrays, _ = read_arrays(payload)
        rows = arrays["features"]
        classes = arrays.get("classes", np.zeros((len(rows), 0), np.float16))
        if self.by_segment:
            n_clips = arrays["n_clips"].astype(np.int64)
            return Features(rows, n_clips, classes, np.zeros(0, np.int64))
        # Segments tile the video, so the pictures in order of time are in order of segments.
        places = np.searchsorted(arrays["frames"], np.asarray(spans).reshape(-1, 2))
        return Features(rows, places[:, 1] - places[:, 0], classes, arrays["frames"])


def batches(items: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """`size` of them at once; the last batch may be smaller."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def to_float16(features: np.ndarray) -> np.ndarray:
    """As they are stored. Raises `ItemError` (overflow) for numbers that float16 does not reach."""
    with np.errstate(over="ignore"):  # The next line looks, and gives the reason.
        half = features.astype(np.float16)
    if not np.isfinite(half).all():
        raise ItemError("overflow", "features lie outside float16's range; check extract.weights")
    return half
