"""Rank by a trained model: C3D features of the segments, then the scorer."""

from pathlib import Path

import numpy as np

from video2gif.config import Params
from video2gif.features.extract import extraction, read_features
from video2gif.items import Context, Item, compute
from video2gif.make.analysis import Analysis, payload_of
from video2gif.ranking.baselines import segment_change
from video2gif.ranking.scorer import Scorer, feature_source
from video2gif.store import file_digest

_LONG_FRAMES = 1000
"""From so many frames on, C3D takes longer than a second start of the network."""


class Model:
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
