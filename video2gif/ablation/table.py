"""The table of all methods: each trained and scored on the same folds, with intervals.

A row's figure of a video is the mean over seeds; intervals are bootstrapped over videos, and the
difference to the reference row over the same videos in both (`bootstrap.paired_interval`).
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from video2gif.ablation.methods import REFERENCE_METHOD, Method, Score
from video2gif.core.config import TrainParams
from video2gif.evaluation.bootstrap import Interval, mean_interval, paired_interval
from video2gif.evaluation.videos import VideoMetrics, mean_metrics, usable_gifs, video_metrics
from video2gif.ranking.losses import LossName
from video2gif.ranking.training import can_validate, train
from video2gif.ranking.videos import Video

AblationProgress = Callable[[str, int, int], None]
"""`progress(what, done, total)`."""

NOISE_LOSSES: tuple[LossName, ...] = ("l1", "l2", "huber", "adaptive_huber", "listwise")
TELLING = "adaptive_huber, popularity tells"
"""The noise figure's extra line: wrong positives are unpopular, as the paper supposes."""


@dataclass(frozen=True)
class Fold:
    """Videos to learn from (splits train and validation) and those to be scored."""

    learn: list[Video]
    score: list[Video]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table; shares, not per cent."""

    name: str
    beyond: bool
    nmsd: float
    nmsd_ci: Interval
    nmsd_seeds_std: float
    """Deviation of the mean nMSD from seed to seed."""
    map: float
    map_ci: Interval
    recall_at_5: float
    to_reference: float
    """nMSD less the reference row's."""
    to_reference_ci: Interval
    paper_nmsd: float | None
    paper_map: float | None
    nmsd_by_video: list[float]
    """Mean over seeds, in the order of the videos scored: for intervals between any two rows."""


def folds(videos: Sequence[Video], count: int) -> list[Fold]:
    """The project's own split (`count` 0), or `count` folds of all videos that have a GIF.

    In folds, videos of the test split join the training; those of validation still stop it. Every
    `count`-th video by id is scored by what learned from the others; count = number of videos is
    leave-one-out.
    """
    usable = [video for video in videos if can_validate(video)]
    if not count:
        learn = [video for video in videos if video.split != "test"]
        return [Fold(learn, [video for video in usable if video.split == "test"])]
    found = []
    # More folds than videos would leave some with nothing to score.
    for first in range(min(count, len(usable))):
        held = {video.video_id for video in usable[first::count]}
        learn = [
            replace(video, split="train" if video.split == "test" else video.split)
            for video in videos
            if video.video_id not in held
        ]
        found.append(Fold(learn, usable[first::count]))
    return found


def table(
    parts: Sequence[Fold],
    rows: Sequence[Method],
    *,
    seeds: int,
    samples: int,
    seed: int,
    workers: int,
    progress: AblationProgress,
) -> list[Row]:
    """All rows, in the order given; the reference must be among them.

    The same with any number of `workers` (processes; 1: none but this).
    """
    tasks = [(method, number) for method in rows for number in range(seeds if method.seeded else 1)]
    measured: dict[str, list[list[VideoMetrics]]] = {method.name: [] for method in rows}
    with _mapper(parts, workers) as each:
        for done, ((method, _), metrics) in enumerate(zip(tasks, each(tasks), strict=True), 1):
            measured[method.name].append(metrics)
            progress(method.name, done, len(tasks))
    reference = _nmsd(measured[REFERENCE_METHOD])
    return [
        _row(method, measured[method.name], reference, samples=samples, seed=seed)
        for method in rows
    ]


Task = tuple[Method, int]


@contextmanager
def _mapper(
    parts: Sequence[Fold], workers: int
) -> Iterator[Callable[[Sequence[Task]], Iterator[list[VideoMetrics]]]]:
    if workers == 1:
        yield lambda tasks: (_run(task, parts) for task in tasks)
        return
    # Spawned: torch's threads do not survive a fork.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=_Shared.fill, initargs=(parts,)
    ) as pool:
        yield lambda tasks: pool.map(_Shared.run, tasks)


class _Shared:
    """What a worker is given once, not with every task."""

    parts: Sequence[Fold] = ()

    @classmethod
    def fill(cls, parts: Sequence[Fold]) -> None:
        cls.parts = parts

    @classmethod
    def run(cls, task: Task) -> list[VideoMetrics]:
        return _run(task, cls.parts)


def _run(task: Task, parts: Sequence[Fold]) -> list[VideoMetrics]:
    """Metrics of every scored video, by one method and seed."""
    (method, seed), found = task, []
    for part in parts:
        score = method.learn(part.learn, seed)
        found += [metrics_of(video, score) for video in part.score]
    return found


def metrics_of(video: Video, score: Score) -> VideoMetrics:
    """A video's metrics under a way of scoring it."""
    gifs = usable_gifs(video.gifs, video.n_frames)
    return video_metrics(gifs=gifs, spans=video.spans, scores=score(video))


def _nmsd(runs: Sequence[Sequence[VideoMetrics]]) -> list[float]:
    """Of each video, the mean over seeds."""
    return np.mean([[one.nmsd for one in run] for run in runs], axis=0).tolist()


def _row(
    method: Method,
    runs: Sequence[Sequence[VideoMetrics]],
    reference: list[float],
    *,
    samples: int,
    seed: int,
) -> Row:
    # Seeds first, then videos: a video counts once however many seeds there are.
    by_video = [mean_metrics(of_video) for of_video in zip(*runs, strict=True)]
    nmsd = [one.nmsd for one in by_video]
    precision = [one.average_precision for one in by_video]
    paper = method.paper or (None, None)
    return Row(
        name=method.name,
        beyond=method.beyond,
        nmsd=float(np.mean(nmsd)),
        nmsd_ci=mean_interval(nmsd, samples=samples, seed=seed),
        nmsd_seeds_std=float(np.std([np.mean([one.nmsd for one in run]) for run in runs])),
        map=float(np.mean(precision)),
        map_ci=mean_interval(precision, samples=samples, seed=seed),
        recall_at_5=float(np.mean([one.recall_at_5 for one in by_video])),
        to_reference=float(np.mean(nmsd) - np.mean(reference)),
        to_reference_ci=paired_interval(nmsd, reference, samples=samples, seed=seed),
        paper_nmsd=paper[0],
        paper_map=paper[1],
        nmsd_by_video=nmsd,
    )


# Wrong labels


@dataclass(frozen=True)
class NoiseRow:
    """A point of the noise figure."""

    name: str
    """Of the loss."""
    noise: float
    """Share of wrong positives."""
    nmsd: float
    nmsd_low: float
    nmsd_high: float


def noise_rows(
    parts: Sequence[Fold],
    params: TrainParams,
    *,
    shares: Sequence[float],
    seeds: int,
    samples: int,
    seed: int,
    progress: AblationProgress,
) -> Iterator[NoiseRow]:
    """Each loss under each share of wrong positives; validation keeps its true labels."""
    bare = replace(params, context=[], ensemble=1, fusion=False, pairs="video", features="own")
    lines: list[tuple[str, LossName, bool]] = [(loss, loss, False) for loss in NOISE_LOSSES]
    lines.append((TELLING, "adaptive_huber", True))
    for done, (name, loss, tells) in enumerate(lines, start=1):
        progress(f"label noise: {name}", done, len(lines))
        for share in shares:
            runs = []
            for number in range(seeds):
                # A thousand seeds apart, as in `methods._ranker`: members and folds take the ones
                # in between.
                trained = replace(bare, loss=loss, seed=params.seed + 1000 * number)
                metrics: list[VideoMetrics] = []
                for part in parts:
                    learn = [with_noise(v, share, seed=number, tells=tells) for v in part.learn]
                    score = train(learn, trained).model.score_video
                    metrics += [metrics_of(video, score) for video in part.score]
                runs.append(metrics)
            values = _nmsd(runs)
            low, high = mean_interval(values, samples=samples, seed=seed)
            yield NoiseRow(name, share, float(np.mean(values)), low, high)


def with_noise(video: Video, share: float, *, seed: int, tells: bool) -> Video:
    """A training video with `share` of its positives wrong.

    A wrong positive is one of its negatives at random; the true one takes that one's place among
    the negatives. `tells`: wrong ones get the popularity 0. The positives that are wrong at a
    share are wrong at every larger one.
    """
    if video.split != "train" or not len(video.pairs):
        return video
    from video2gif.ranking.baselines import random

    pairs, popularity = video.pairs.copy(), video.popularity.copy()
    positives = np.unique(pairs[:, 0])
    # Two numbers a positive whatever the share, so that what is wrong at one is wrong at a larger
    # one.
    luck = random(f"noise:{video.video_id}", 2 * len(positives), seed=seed).reshape(2, -1)
    for positive, draw, choice in zip(positives, *luck, strict=True):
        if draw >= share:
            continue
        own = video.pairs[:, 0] == positive
        negatives = np.unique(video.pairs[own, 1])
        wrong = negatives[int(choice * len(negatives))]
        pairs[own, 0] = wrong
        pairs[own & (video.pairs[:, 1] == wrong), 1] = positive
        if tells:
            popularity[own] = 0.0
    return replace(video, pairs=pairs, popularity=popularity)


def as_frame(
    rows: Sequence[Row], noise: Iterable[NoiseRow], video_ids: Sequence[str]
) -> pd.DataFrame:
    """A line a method, then a line a point of the noise figure, whose columns `noise` tells them.

    An interval stands as two columns, `…_low` and `…_high`; the mean nMSD of a video as one.
    """
    return pd.DataFrame([*(_line(row, video_ids) for row in rows), *map(asdict, noise)])


def _line(row: Row, video_ids: Sequence[str]) -> dict[str, object]:
    flat: dict[str, object] = {"name": row.name, "noise": None}
    for name, value in asdict(row).items():
        if name.endswith("_ci"):
            bound = name.removesuffix("_ci")
            flat |= zip((f"{bound}_low", f"{bound}_high"), value, strict=True)
        elif name == "nmsd_by_video":
            flat |= {f"nmsd of {v}": one for v, one in zip(video_ids, value, strict=True)}
        else:
            flat[name] = value
    return flat
