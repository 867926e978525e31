"""Who gives the segments of a video their scores: a trained model, or the baseline without one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context, compute, payload_of
from video2gif.core.layout import Layout
from video2gif.core.store import file_digest
from video2gif.core.work import Item
from video2gif.features.extract import extraction, read_features
from video2gif.make.analysis import Analysis
from video2gif.ranking.baselines import motion_colour, segment_change
from video2gif.ranking.scorer import Scorer, feature_source

_LONG_FRAMES = 1000
"""From so many frames on, C3D takes longer than a second start of the network."""


class TrainedRanker:
    """A trained ranker on C3D features."""

    def __init__(self, path: Path, params: Params, *, root: Path) -> None:
        self._scorer = Scorer.load(path, path.with_suffix(".json"))
        self._scorer.check_features(feature_source(params.extract, root))
        self._extraction = extraction(params.extract, root=root)
        self.name = f"the model {path}"
        self.digest = file_digest(path)
        weights = params.extract.weights
        self.warnings: tuple[str, ...] = ()
        if self._scorer.card["random_weights"]:
            self.warnings = (
                f"The C3D weights are random ({weights}): this model has learned the look of its"
                " training corpus and knows nothing about videos in general.",
            )

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        return self._scorer.model.score(
            self._fc6(analysis, context),
            category="",
            tags=(),
            spans_s=analysis.spans_s,
            duration_s=analysis.fingerprint.end_s,
            change=segment_change(analysis.fingerprint.content, analysis.spans),
        )

    def _fc6(self, analysis: Analysis, context: Context) -> list[np.ndarray]:
        """fc6 of each segment's clips.

        The pipeline's own item where it is there; else a long video in two halves, side by side:
        an item runs on one core. The halves are the same on every machine.
        """
        whole = self._item(analysis, analysis.spans)
        items = [whole]
        n_frames = len(analysis.fingerprint.pts_s)
        if n_frames >= _LONG_FRAMES and not context.store.has(self._key(whole)):
            half = int(np.searchsorted(analysis.spans[:, 0], n_frames / 2))
            parts = (analysis.spans[:half], analysis.spans[half:])
            items = [self._item(analysis, part) for part in parts if len(part)]
        outcomes = compute("features", self._extraction.work, items, context)
        payloads = (payload_of(outcome, context) for outcome in outcomes)
        return [fc6 for payload in payloads for fc6 in read_features(payload).by_segment]

    def _item(self, analysis: Analysis, spans: np.ndarray) -> Item:
        return self._extraction.item(
            f"video:{analysis.path.name}", sha256=analysis.sha256, path=analysis.path, spans=spans
        )

    def _key(self, item: Item) -> str:
        return self._extraction.work.key(item.inputs)


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

    return TrainedRanker(path, params, root=layout.root)


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
