"""Who gives the segments of a video their scores: the default ranking, or a trained model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.items import Context
from video2gif.core.layout import Layout, read_json
from video2gif.core.store import file_digest
from video2gif.features import classes as named
from video2gif.features.network import Extraction, Features
from video2gif.features.registry import LITE0, extraction, feature_sources
from video2gif.fingerprint.defects import Clean, run_means
from video2gif.make.analysis import Analysis, analyse
from video2gif.make.features import film_features
from video2gif.make.words import reasons
from video2gif.ranking import default
from video2gif.ranking.baselines import motion_colour, segment_cues


@dataclass(frozen=True)
class Moment:
    """A ranked segment. `rank` counts from 1; an unscored segment has score NaN and stands last."""

    rank: int
    start_s: float
    end_s: float
    score: float
    start_frame: int
    end_frame: int
    why: tuple[str, ...] = ()
    """What the ranker says for it, in a few words each."""


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

    def why(self, analysis: Analysis, context: Context) -> Sequence[tuple[str, ...]]:
        """For each segment what speaks for it, in words; nothing at all if it cannot say."""
        ...

    @property
    def looks_with(self) -> Extraction | None:
        """A network that may look at a video while it is decoded."""
        ...


class _Mute:
    """A ranker that gives numbers alone."""

    looks_with: Extraction | None = None

    def why(self, analysis: Analysis, context: Context) -> Sequence[tuple[str, ...]]:
        return [() for _ in analysis.spans]


class Baseline(_Mute):
    """Motion and colour: no model, no weights, nothing learned."""

    name = "the motion-and-colour baseline (no model)"
    warnings = (
        "These moments were chosen by how much moves in them and how much their colours change."
        " What people like in a GIF was not learned: --ranker MODEL uses a model that did.",
    )
    digest = "baseline"

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        return motion_colour(analysis.fingerprint.content, analysis.spans)


class TrainedRanker(_Mute):
    """A trained ranker on the features that its card names."""

    def __init__(self, path: Path, params: Params, *, root: Path) -> None:
        from video2gif.ranking.scorer import Scorer  # PyTorch, for a trained model alone.

        self._scorer = Scorer.load(path, path.with_suffix(".json"))
        names = list(self._scorer.card["features"])
        self._scorer.check_features(feature_sources(params.extract, names, root=root))
        self._params, self._names, self._root = params, names, root
        self.name = f"the model {path}"
        self.digest = file_digest(path)
        self.warnings: tuple[str, ...] = ()
        if self._scorer.card["random_weights"]:
            self.warnings = (
                "Some of this model's features come from random weights: it has learned the look"
                " of its training corpus and knows nothing about videos in general.",
            )

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        from video2gif.ranking.videos import side_by_side

        return self._scorer.model.score(
            side_by_side([one.by_segment for one in self._features(analysis, context)]),
            category="",
            tags=(),
            spans_s=analysis.spans_s,
            duration_s=analysis.fingerprint.end_s,
            cues=segment_cues(
                analysis.fingerprint.content, analysis.fingerprint.cues, analysis.spans
            ),
        )

    def _features(self, analysis: Analysis, context: Context) -> list[Features]:
        return [
            film_features(
                extraction(name, self._params.extract, root=self._root, context=context),
                analysis,
                context,
            )
            for name in self._names
        ]


class Default:
    """Cues and appearance, weighted by hand: no labels, nothing learned from GIFs."""

    name = "the default ranking (motion, what is in the picture, what stands out; no labels)"
    digest = "default"

    def __init__(self, params: Params, *, root: Path, warnings: Sequence[str] = ()) -> None:
        self._params, self._root, self.warnings = params, root, tuple(warnings)
        self._known: tuple[str, default.Terms, list[Clean]] | None = None
        self._extraction: Extraction | None = None

    @property
    def looks_with(self) -> Extraction:
        return self._network(None)

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        return self._terms(analysis, context)[0].score

    def why(self, analysis: Analysis, context: Context) -> Sequence[tuple[str, ...]]:
        return reasons(*self._terms(analysis, context))

    def _network(self, context: Context | None) -> Extraction:
        if self._extraction is None:
            self._extraction = extraction(
                LITE0, self._params.extract, root=self._root, context=context
            )
        return self._extraction

    def _terms(self, analysis: Analysis, context: Context) -> tuple[default.Terms, list[Clean]]:
        # `score` and `why` of one video come one after the other.
        if self._known is None or self._known[0] != analysis.sha256:
            seen = film_features(self._network(context), analysis, context)
            self._known = (analysis.sha256, *_terms(analysis, seen))
        return self._known[1:]


def _terms(analysis: Analysis, seen: Features) -> tuple[default.Terms, list[Clean]]:
    """The terms of the default ranking, from the pictures of each segment's good part."""
    clean = analysis.clean
    rows = [_pictures(part, seen) for part in clean]
    probabilities = named.probabilities(seen.classes)
    terms = default.terms(
        cues=run_means(analysis.fingerprint.cues, clean),
        defective=np.array([part.is_defective for part in clean]),
        features=[seen.rows[chosen] for chosen in rows],
        classes=[probabilities[chosen] for chosen in rows],
        groups=_groups(),
    )
    return terms, clean


def _pictures(part: Clean, seen: Features) -> np.ndarray:
    """Rows of the pictures of a segment's good part; the nearest one where none was taken."""
    start, end = part.run
    found = np.flatnonzero((seen.frames >= start) & (seen.frames < end))
    if len(found):
        return found
    return np.array([int(np.abs(seen.frames - start).argmin())])


def _groups() -> default.Groups:
    return default.Groups(
        people=named.members(named.PEOPLE),
        animals=named.members(named.ANIMALS),
        vehicles=named.members(named.VEHICLES),
        food=named.members(named.FOOD),
        pages=named.called(named.PAGES),
    )


class About(Default):
    """What a person asked for: segments that show it first, defects last."""

    def __init__(self, word: str, params: Params, *, root: Path) -> None:
        super().__init__(params, root=root)
        self._word, self._classes = word, named.about(word)
        self.name = f"how much of {word!r} a network sees in it"
        self.digest = hashlib.sha256(f"about {word}".encode()).hexdigest()

    def score(self, analysis: Analysis, context: Context) -> np.ndarray:
        terms, _ = self._terms(analysis, context)
        shown = terms.classes[:, self._classes].sum(axis=1)
        return np.asarray(shown - default.DEFECT * terms.defective)


def choose_ranker(
    name: str | None, params: Params, *, layout: Layout, about: str | None = None
) -> Ranker:
    """`default`, `baseline`, a model's path, or (None) what suits a video that nobody labelled.

    That is the project's model if it has learned from real videos with trained features, else the
    default ranking. With `about`, what a person asked for.
    """
    if about is not None:
        return About(about, params, root=layout.root)
    if name == "baseline":
        return Baseline()
    if name == "default":
        return Default(params, root=layout.root)
    if name is None:
        refused = _why_not(layout.model)
        if refused is not None:
            return Default(params, root=layout.root, warnings=refused)
    path = layout.model if name is None else Path(name)
    if not path.is_file():
        raise UserError(
            f"--ranker {name}: no such file; give `default`, `baseline` or a .safetensors model"
        )
    return TrainedRanker(path, params, root=layout.root)


def _why_not(model: Path) -> tuple[str, ...] | None:
    """Why the project's model is not used on a foreign video; None where it is."""
    if not model.is_file():
        return ()
    card = read_json(model.with_suffix(".json"))
    reasons_ = []
    if card.get("random_weights", True):
        reasons_.append("its features come from random weights")
    if card.get("rendered_sample", True):
        reasons_.append("it has learned from the rendered sample, which looks like no real video")
    if not reasons_:
        return None
    return (
        f"The model {model} is not used: {' and '.join(reasons_)}. --ranker {model} uses it all"
        " the same.",
    )


def analysed(path: Path, ranker: Ranker, params: Params, context: Context) -> Analysis:
    """Decode a video and cut it; meanwhile the ranker's network looks at it, if it can."""
    network = ranker.looks_with
    return analyse(path, params, context, meanwhile=() if network is None else (network,))


def rank(analysis: Analysis, ranker: Ranker, context: Context) -> list[Moment]:
    """All segments, best first; equal scores in order of time, unscored ones last."""
    scores = ranker.score(analysis, context)
    whys = ranker.why(analysis, context)
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
            tuple(whys[i]),
        )
        for position, i in enumerate(order, start=1)
    ]
