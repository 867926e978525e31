"""A ranker that follows a person's marks: `video2gif personalise`, and the review page."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context
from video2gif.datasets.marks import Mark, read_marks
from video2gif.features.network import Extraction
from video2gif.make.analysis import Analysis, analyse
from video2gif.make.rankers import Ranker
from video2gif.make.taste import Marked, Taste, look, standardised

_LEAST_SHARE = 0.5  # A mark speaks of the segments that it covers by half.


class Personal:
    """Another ranker's scores plus what the user's marks say of a segment.

    Scores are in standard deviations within the video.
    """

    def __init__(self, base: Ranker, taste: Taste, *, marks: Sequence[Mark]) -> None:
        self._base, self._taste = base, taste
        self.name = f"{base.name}, re-ranked by {len(marks)} marks"
        self.warnings = base.warnings
        told = repr((base.digest, sorted(marks)))
        self.digest = hashlib.sha256(told.encode()).hexdigest()

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        prior = standardised(self._base.score(analysis, context))
        return self._taste.rerank(_features(analysis), prior)

    def why(self, analysis: Analysis, context: Context) -> Sequence[tuple[str, ...]]:
        return self._base.why(analysis, context)

    @property
    def looks_with(self) -> Extraction | None:
        return self._base.looks_with


def personal(
    base: Ranker, marks: Sequence[Mark], *, folder: Path, params: Params, context: Context
) -> Ranker:
    """`base` adjusted by the marks of videos in `folder`; `base` itself when there are none.

    Videos that are gone or cannot be decoded teach nothing.
    """
    taught = []
    for name in sorted({mark.video for mark in marks}):
        try:
            analysis = analyse(_inside(folder, name), params, context)
        except ItemError:
            continue
        own = [mark for mark in marks if mark.video == name]
        taught.append(_marked(analysis, own, base, context))
    return Personal(base, Taste.of(taught), marks=marks) if taught else base


def personal_of_file(base: Ranker, path: Path, params: Params, context: Context) -> Ranker:
    """`base` adjusted by the marks of a file. Raises `UserError` when it holds none."""
    marks = read_marks(path)
    if not marks:
        raise UserError(f"{path}: no marks there; `video2gif serve {path.parent}` makes some")
    return personal(base, marks, folder=path.parent, params=params, context=context)


def _marked(analysis: Analysis, marks: Sequence[Mark], base: Ranker, context: Context) -> Marked:
    prior, features = standardised(base.score(analysis, context)), _features(analysis)
    segments, good = [], []
    for mark in marks:
        for segment in _covered(analysis.spans_s, mark):
            if not np.isnan(prior[segment]):
                segments.append(segment)
                good.append(mark.verdict == "good")
    return Marked(features[segments], prior[segments], np.array(good, bool))


def _covered(spans_s: np.ndarray, mark: Mark) -> list[int]:
    """Segments that a mark covers by half, or the one it lies in."""
    shared = np.minimum(spans_s[:, 1], mark.end_s) - np.maximum(spans_s[:, 0], mark.start_s)
    half = np.flatnonzero(shared >= _LEAST_SHARE * (spans_s[:, 1] - spans_s[:, 0]))
    if len(half) or shared.max(initial=0) <= 0:
        return [int(one) for one in half]
    return [int(shared.argmax())]


def _features(analysis: Analysis) -> np.ndarray:
    found = analysis.fingerprint
    return look(found.content, found.thumbs, analysis.spans)


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder. Raises `ItemError` (missing) for a name that leads elsewhere."""
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise ItemError("missing", f"{name}: no such file beside the marks")
    return path
