"""A video, fingerprinted, cut into segments and ranked.

The same items as the pipeline's stages (so a video that the pipeline has seen is not analysed
again), for files that stand in no manifest. A `Ranker` gives each segment a score: `Baseline`
needs no model, `make.model.Model` is what `dvc repro` trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from video2gif.config import Params
from video2gif.errors import ItemError, UserError
from video2gif.fingerprint import Fingerprint, Kind, fingerprinting, read_fingerprint
from video2gif.items import Context, Item, Outcome, compute
from video2gif.layout import Layout
from video2gif.ranking.baselines import motion_colour
from video2gif.shots.segments import segment_video, shot_cuts
from video2gif.store import file_digest


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


@dataclass(frozen=True)
class Moment:
    """A ranked segment. `rank` counts from 1; an unscored segment has score NaN and stands last."""

    rank: int
    start_s: float
    end_s: float
    score: float
    start_frame: int
    end_frame: int


class Ranker(Protocol):
    """Scores the segments of a video: float64 (n,), higher is better, NaN where it cannot."""

    @property
    def name(self) -> str: ...

    @property
    def warnings(self) -> Sequence[str]: ...

    @property
    def digest(self) -> str:
        """Of the model: its file's sha256, or a word for what needs no file."""
        ...

    def score(self, analysis: Analysis, context: Context) -> np.ndarray: ...


class Baseline:
    """Motion and colour: no model, no weights, nothing learned."""

    name = "the motion-and-colour baseline (no model)"
    warnings = (
        "Ranked by motion and colour only: no trained model was used. `make repro` trains one;"
        " --ranker MODEL names another.",
    )
    digest = "baseline"

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        return motion_colour(analysis.fingerprint.content, analysis.spans)


def choose_ranker(name: str | None, params: Params, *, layout: Layout) -> Ranker:
    """`baseline`, a model's path, or (None) the project's model if there is one."""
    if name == "baseline" or (name is None and not layout.model.is_file()):
        return Baseline()
    path = layout.model if name is None else Path(name)
    if not path.is_file():
        raise UserError(f"--ranker {name}: no such file; give `baseline` or a .safetensors model")
    from video2gif.make.model import Model  # torch takes a second to import.

    return Model(path, params, root=layout.root)


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
    from video2gif.features import transnet

    item = transnet.item(f"video:{path.name}", sha256=sha256, path=path)
    (outcome,) = compute("transnetv2", transnet.detection(), [item], context)
    return transnet.read_transitions(payload_of(outcome, context))


def rank(analysis: Analysis, ranker: Ranker, context: Context) -> list[Moment]:
    """All segments, best first; equal scores in order of time, unscored ones last."""
    scores = ranker.score(analysis, context)
    spans_s = analysis.spans_s
    order = np.lexsort((spans_s[:, 0], np.nan_to_num(-scores, nan=np.inf)))
    return [
        Moment(
            position,
            float(spans_s[i, 0]),
            float(spans_s[i, 1]),
            float(scores[i]),
            int(analysis.spans[i, 0]),
            int(analysis.spans[i, 1]),
        )
        for position, i in enumerate(order, start=1)
    ]


def payload_of(outcome: Outcome, context: Context) -> bytes:
    """The item's payload; its `ItemError` if it was quarantined."""
    if not outcome.ok:
        cause, _, message = outcome.reason.partition(": ")
        raise ItemError(cause, message)
    return context.store.read(outcome.key)
