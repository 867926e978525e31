"""Rank by a trained model: C3D features of the segments, then the scorer."""

from pathlib import Path

import numpy as np

from video2gif.config import Params
from video2gif.features.extract import extraction, read_features
from video2gif.items import Context, compute
from video2gif.make.analysis import Analysis, file_digest, payload_of
from video2gif.ranking.baselines import segment_change
from video2gif.ranking.scorer import Scorer, feature_source


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
        item = self._extraction.item(
            f"video:{analysis.path.name}",
            sha256=analysis.sha256,
            path=analysis.path,
            spans=analysis.spans,
        )
        (outcome,) = compute("features", self._extraction.work, [item], context)
        return self._scorer.model.score(
            read_features(payload_of(outcome, context)).by_segment,
            category="",
            tags=(),
            spans_s=analysis.spans_s,
            duration_s=analysis.fingerprint.end_s,
            change=segment_change(analysis.fingerprint.content, analysis.spans),
        )
