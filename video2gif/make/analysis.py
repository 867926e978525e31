"""A video, fingerprinted, cut into segments and ranked.

The same items as the pipeline's stages (so a video that the pipeline has seen is not analysed
again), for files that stand in no manifest. A `Ranker` gives each segment a score: `Baseline`
needs no model, `make.rankers.Model` is what `dvc repro` trained.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, compute, payload_of
from video2gif.core.store import file_digest
from video2gif.core.work import Item
from video2gif.fingerprint.decode import fingerprinting
from video2gif.fingerprint.read import Fingerprint, Kind, read_fingerprint
from video2gif.shots.segments import segment_video, shot_cuts


@dataclass(frozen=True)
class Analysis:
    """What is known of a video before it is ranked."""

    path: Path
    sha256: str
    fingerprint: Fingerprint
    spans: np.ndarray
    """Segments, int64 (n, 2): frames [start, end), tiling the video."""
    cuts: tuple[int, ...]
    """Frames at which a shot starts, without 0."""

    @property
    def edges_s(self) -> np.ndarray:
        """When each frame starts, and the end of the last, float64 (n + 1,)."""
        return np.append(self.fingerprint.pts_s, self.fingerprint.end_s)

    @property
    def spans_s(self) -> np.ndarray:
        """Segments in seconds, float64 (n, 2)."""
        return self.edges_s[self.spans]


def fingerprint_file(
    path: Path, kind: Kind, params: Params, context: Context
) -> tuple[str, Fingerprint]:
    """A file's sha256 and fingerprint. Raises `ItemError` for what cannot be decoded."""
    if not path.is_file():
        raise ItemError("missing", f"{path}: no such file")
    sha256 = file_digest(path)
    item = Item(
        id=f"{kind}:{path.name}",
        inputs=(sha256,),
        args={"path": str(path.resolve()), "kind": kind},
    )
    (outcome,) = compute("decode", fingerprinting(params.fingerprint), [item], context)
    return sha256, read_fingerprint(payload_of(outcome, context))


def analyse(path: Path, params: Params, context: Context) -> Analysis:
    """Decode a video once and cut it. Raises `ItemError` for what cannot be decoded."""
    sha256, fingerprint = fingerprint_file(path, "video", params, context)
    transitions = _transitions(path, sha256, params, context)
    tiles = segment_video(fingerprint, params.segment, transitions=transitions)
    starts = shot_cuts(fingerprint, params.segment, transitions=transitions)
    spans = np.array(tiles, np.int64).reshape(-1, 2)
    return Analysis(path, sha256, fingerprint, spans, tuple(starts))


def _transitions(path: Path, sha256: str, params: Params, context: Context) -> np.ndarray | None:
    """TransNetV2's probabilities, where segment.method asks for them: the stage's own item."""
    if params.segment.method != "transnetv2":
        return None
    from video2gif.shots import transnet

    item = transnet.item(f"video:{path.name}", sha256=sha256, path=path)
    (outcome,) = compute("transnetv2", transnet.detection(), [item], context)
    return transnet.read_transitions(payload_of(outcome, context))
