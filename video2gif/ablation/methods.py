"""Every method of the paper's table, and what goes beyond it, as ways to learn scores from videos.

The neural rows are configurations of the one trainer; the others learn by scikit-learn from the
same features, averaged over a segment's clips and standardised. The rows and the paper's figures
are those of docs/paper.md, Results table. The figures are from memory; nothing here was fitted to
them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from video2gif.core.config import TrainParams
from video2gif.evaluation.figures import frames_inside
from video2gif.ranking import baselines
from video2gif.ranking.context import CONTEXT_PARTS, hashed_tags
from video2gif.ranking.fusion import FUSED, Fusion
from video2gif.ranking.training import train
from video2gif.ranking.videos import Video

Score = Callable[[Video], np.ndarray]
"""A video → scores of its segments, (n,); NaN: unscored."""

Learn = Callable[[Sequence[Video], int], Score]
"""Training and validation videos, and a seed → what scores other videos."""

_C = 1e-3  # Of the linear machines: thousands of standardised features, few examples.
_TEXT_BUCKETS = 64
_RIDGE = 1e3


@dataclass(frozen=True)
class Method:
    """A row of the table."""

    name: str
    learn: Learn
    paper: tuple[float, float] | None = None
    """nMSD and mAP of the paper's table, as shares."""
    seeded: bool = True
    """False: every seed gives the same scores."""
    beyond: bool = False
    """Not in the paper."""


def methods(params: TrainParams) -> list[Method]:
    """All rows, the simplest first; `params` is the project's ranker, the last row."""
    bare = replace(
        params, context=[], ensemble=1, pairs="video", features="own", fusion=False, loss="huber"
    )
    adaptive = replace(bare, loss="adaptive_huber")
    context = replace(adaptive, context=list(CONTEXT_PARTS))
    # Averaging needs several, also where params.yaml trains one.
    averaged = replace(context, ensemble=max(params.ensemble, 3))
    return [
        Method("random", _random),
        Method("motion", _motion, seeded=False),
        Method("motion and colour", _motion_colour, seeded=False),
        Method("joint embedding", joint_embedding, (0.5438, 0.1236), seeded=False),
        Method("category-specific SVM", category_svm, (0.5298, 0.1346)),
        Method("domain-specific rank SVM", rank_svm, (0.4640, 0.1608)),
        _neural("classification", replace(bare, loss="classification"), (0.6137, 0.1178)),
        _neural("rank, across videos", replace(bare, pairs="across"), (0.5371, 0.1325)),
        _neural("rank, l1", replace(bare, loss="l1"), (0.4460, 0.1609)),
        _neural("rank, l2", replace(bare, loss="l2"), (0.4443, 0.1610)),
        _neural("rank, Huber", bare, (0.4443, 0.1622)),
        _neural("rank, adaptive Huber", adaptive, (0.4458, 0.1621)),
        *(_neural(f"+ {part} alone", replace(adaptive, context=[part])) for part in CONTEXT_PARTS),
        _neural("+ context", context, (0.4419, 0.1618)),
        _neural("+ context + model averaging", averaged, (0.4408, 0.1621)),
        Method("approximate bound", _bound, (0.3877, 0.2130), seeded=False),
        _neural("listwise", replace(adaptive, loss="listwise"), beyond=True),
        _neural("centred features", replace(adaptive, features="centred"), beyond=True),
        _neural("step to the neighbours", replace(adaptive, features="neighbours"), beyond=True),
        Method("several shots", partial(_several_shots, params=adaptive), beyond=True),
        Method("linear", partial(_linear, params=adaptive), seeded=False, beyond=True),
        _neural("fusion", replace(adaptive, fusion=True), beyond=True),
        _neural("as in params.yaml", params, beyond=True),
    ]


REFERENCE_METHOD = "rank, adaptive Huber"
"""The row that every other is compared with, the same videos in both."""


def _neural(
    name: str,
    params: TrainParams,
    paper: tuple[float, float] | None = None,
    *,
    beyond: bool = False,
) -> Method:
    return Method(name, partial(_ranker, params=params), paper, beyond=beyond)


def _ranker(videos: Sequence[Video], seed: int, *, params: TrainParams) -> Score:
    # Members take the seeds from here on: two runs must not share one.
    start = params.seed + 1000 * seed
    return train(videos, replace(params, seed=start)).model.score_video


def _linear(videos: Sequence[Video], seed: int, *, params: TrainParams) -> Score:
    # Of the model only the linear ranker is used, so one epoch is enough for the network.
    model = train(videos, replace(params, fusion=True, epochs=1)).model
    alone = Fusion(tuple(float(name == "linear") for name in FUSED))
    return replace(model, fusion=alone).score_video


def _several_shots(videos: Sequence[Video], seed: int, *, params: TrainParams) -> Score:
    ranker = _ranker(videos, seed, params=params)
    return lambda video: best_union(ranker(video), video.n_clips)


def best_union(scores: np.ndarray, n_clips: np.ndarray) -> np.ndarray:
    """The best score of any candidate that holds a segment: itself, or it and one beside it.

    For GIFs over several shots, the paper's open problem. A union scores the mean of all its
    clips. `scores` (n,), NaN for a segment without clips: it joins no union.
    """
    together = n_clips[:-1] + n_clips[1:]
    sums = scores * n_clips
    # Of two segments without clips the sums are NaN anyway.
    unions = (sums[:-1] + sums[1:]) / np.maximum(together, 1)
    candidates = np.stack([scores, np.append(unions, np.nan), np.insert(unions, 0, np.nan)])
    best = np.where(np.isnan(candidates), -np.inf, candidates).max(axis=0)
    return np.where(np.isnan(scores), np.nan, best)


# Without learning


def _random(videos: Sequence[Video], seed: int) -> Score:
    return lambda video: baselines.random(video.video_id, len(video.spans), seed=seed)


def _motion(videos: Sequence[Video], seed: int) -> Score:
    return lambda video: video.motion


def _motion_colour(videos: Sequence[Video], seed: int) -> Score:
    rank = baselines.rank_in_video
    return lambda video: (rank(video.motion) + rank(video.colour)) / 2


def _bound(videos: Sequence[Video], seed: int) -> Score:
    """The truth itself as the score: what these segments allow at best, nearly.

    The share of a segment that lies in the video's GIFs. Segments and GIFs do not end together,
    and of two GIFs each counts the other's frames against itself: so it is above perfect.
    """
    return gif_share


def gif_share(video: Video) -> np.ndarray:
    """Share of each segment's frames inside any GIF, (n,)."""
    start, end = video.spans.T
    return frames_inside(video.spans, video.gifs) / (end - start)


# By scikit-learn


class _Means:
    """Features averaged over each segment's clips, standardised by the training videos'."""

    def __init__(self, videos: Sequence[Video]) -> None:
        rows = np.concatenate([segment_features(video)[video.n_clips > 0] for video in videos])
        std = rows.std(axis=0)
        self._mean, self._std = rows.mean(axis=0), np.where(std > 1e-6, std, 1.0)

    def __call__(self, video: Video) -> np.ndarray:
        """(n, width); NaN for a segment without clips."""
        return (segment_features(video) - self._mean) / self._std

    def score(self, video: Video, linear: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """`linear` of every segment that has clips, NaN for the others."""
        scores = np.full(len(video.spans), np.nan)
        scored = video.n_clips > 0
        if scored.any():
            scores[scored] = linear(self(video)[scored])
        return scores


def segment_features(video: Video) -> np.ndarray:
    """The mean features of each segment's clips, (n, width) float64; NaN without clips."""
    owner = np.repeat(np.arange(len(video.n_clips)), video.n_clips)
    sums = np.zeros((len(video.n_clips), video.clips.shape[1]))
    np.add.at(sums, owner, video.clips.astype(np.float64))
    with np.errstate(invalid="ignore"):
        return sums / np.where(video.n_clips > 0, video.n_clips, np.nan)[:, None]


def category_svm(videos: Sequence[Video], seed: int) -> Score:
    """A linear SVM a category: segments of GIFs against the others (all videos if unknown)."""
    from sklearn.svm import LinearSVC

    means = _Means(_taught(videos))

    def fit(group: Sequence[Video]) -> Callable[[np.ndarray], np.ndarray]:
        rows, labels = [], []
        for video in group:
            features = means(video)
            # Column 0 of the pairs holds positives, column 1 negatives.
            for column, label in ((0, 1), (1, 0)):
                # A segment is in many pairs, and is one example.
                named = np.unique(_scored_pairs(video)[:, column])
                rows.append(features[named])
                labels += [label] * len(named)
        # A video has many more segments without a GIF than with one.
        machine = LinearSVC(C=_C, class_weight="balanced", random_state=seed)
        return machine.fit(np.concatenate(rows), labels).decision_function

    return _by_category(videos, means, fit)


def rank_svm(videos: Sequence[Video], seed: int) -> Score:
    """A linear rank SVM a category: differences of pairs, without intercept (Joachims 2002)."""
    from sklearn.svm import LinearSVC

    means = _Means(_taught(videos))

    def fit(group: Sequence[Video]) -> Callable[[np.ndarray], np.ndarray]:
        differences = np.concatenate([_pair_differences(means(v), _scored_pairs(v)) for v in group])
        # A classifier needs two classes: each difference, and the same the other way round.
        both = np.concatenate([differences, -differences])
        signs = np.repeat([1, -1], len(differences))
        machine = LinearSVC(C=_C, fit_intercept=False, random_state=seed).fit(both, signs)
        weights = machine.coef_[0]
        return lambda rows: rows @ weights

    return _by_category(videos, means, fit)


def joint_embedding(videos: Sequence[Video], seed: int) -> Score:
    """How well a segment fits the video's own title and tags, in a space learned from GIFs.

    Ridge regression from the features of GIF segments to the hashed words of their video; a segment
    scores the cosine between what it predicts and its video's words. Without words: 0 for all.
    """
    from sklearn.linear_model import Ridge

    taught = _taught(videos)
    means = _Means(taught)
    rows, words = [], []
    for video in taught:
        named = np.unique(_scored_pairs(video)[:, 0])
        rows.append(means(video)[named])
        words.append(np.tile(_words(video), (len(named), 1)))
    machine = Ridge(alpha=_RIDGE).fit(np.concatenate(rows), np.concatenate(words))

    def cosine(video: Video, features: np.ndarray) -> np.ndarray:
        predicted = machine.predict(features)
        return predicted @ _words(video) / np.maximum(np.linalg.norm(predicted, axis=1), 1e-9)

    return lambda video: means.score(video, partial(cosine, video))


def _words(video: Video) -> np.ndarray:
    return hashed_tags([*video.title.split(), *video.tags], _TEXT_BUCKETS)


def _by_category(
    videos: Sequence[Video],
    means: _Means,
    fit: Callable[[Sequence[Video]], Callable[[np.ndarray], np.ndarray]],
) -> Score:
    """One machine a category that was taught; another category gets the machine of all."""
    taught = _taught(videos)
    general = fit(taught)
    machines: Mapping[str, Any] = {
        category: fit([video for video in taught if video.category == category])
        for category in sorted({video.category for video in taught})
    }
    return lambda video: means.score(video, machines.get(video.category, general))


def _taught(videos: Sequence[Video]) -> list[Video]:
    return [v for v in videos if v.split == "train" and len(_scored_pairs(v))]


def _scored_pairs(video: Video) -> np.ndarray:
    return video.pairs[(video.n_clips[video.pairs] > 0).all(axis=1)]


def _pair_differences(rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return rows[pairs[:, 0]] - rows[pairs[:, 1]]
