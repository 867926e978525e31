"""`python benchmarks/highlights.py`: this project beside ridge and the published figures.

YouTube Highlights (157 test videos, six domains) and TVSum (50 videos, each scored by a model that
has not seen it: five folds), on the features and labels in $VIDEO2GIF_REALDATA/highlights. Nothing
is chosen here: the settings stand in video2gif/ranking/neighbourhood.py and were chosen by
cross-validation inside YouTube Highlights' training split (`--cv` prints that of the product).
One thread, fixed seeds. The intervals are bootstrapped over videos, inside each domain.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from video2gif.datasets.given import GivenVideo, read_tvsum, read_youtube
from video2gif.evaluation import highlights
from video2gif.ranking import neighbourhood
from video2gif.ranking.model import Standardise
from video2gif.ranking.neighbourhood import Lesson

STREAMS = (1024, 1024, 2048)  # I3D on pictures, I3D on optical flow, PANN on sound.
RIDGE = 10.0  # Times the mean squared length of the inputs.
PUBLISHED = {"UMT (epoch very probably chosen on the test videos)": 74.93, "Joint-VA": 71.80}

Scores = list[np.ndarray]
Fit = Callable[[Sequence[GivenVideo], Sequence[GivenVideo]], Scores]
"""From training videos and videos to score to the scores of the latter's clips."""


@dataclass(frozen=True)
class Row:
    """One way of ranking: the measure of every video, by seed."""

    name: str
    values: np.ndarray
    """(seeds, videos)."""


def target(video: GivenVideo) -> np.ndarray:
    """YouTube: 1 or 0. TVSum: the mean grade, from 0 to 1."""
    if video.grades.shape[1] == 1:
        return video.truth.astype(np.float64)
    return (video.grades.mean(axis=1) - 1) / 4


def random(seed: int) -> Fit:
    """Any order."""
    rng = np.random.default_rng(seed)
    return lambda train, test: [rng.random(len(video.features)) for video in test]


def ridge(reach: int) -> Fit:
    """The peer: one ridge a domain on standardised features, each clip as the mean of ± `reach`."""

    def fit(train: Sequence[GivenVideo], test: Sequence[GivenVideo]) -> Scores:
        by_domain = {video.domain: video for video in train}
        solved = {
            domain: _ridge([v for v in train if v.domain == domain], reach) for domain in by_domain
        }
        return [solved[video.domain](video) for video in test]

    return fit


def _ridge(train: Sequence[GivenVideo], reach: int) -> Callable[[GivenVideo], np.ndarray]:
    x = np.concatenate([_window(video.features, reach) for video in train])
    y = np.concatenate([target(video) for video in train])
    mean, std = x.mean(axis=0), x.std(axis=0)
    std = np.where(std > 1e-6, std, 1)
    z = (x - mean) / std
    gram = (z @ z.T).astype(np.float64)
    strength = RIDGE * np.trace(gram) / len(gram)
    weights = z.T @ np.linalg.solve(gram + strength * np.eye(len(gram)), y - y.mean())
    return lambda video: ((_window(video.features, reach) - mean) / std) @ weights


def _window(x: np.ndarray, reach: int) -> np.ndarray:
    place = np.arange(len(x))
    near = (np.abs(place[:, None] - place) <= reach).astype(np.float32)
    mean: np.ndarray = near / near.sum(axis=1, keepdims=True) @ x.astype(np.float32)
    return mean


def ours(seed: int) -> Fit:
    """What `train` runs with `train.ranker: neighbourhood`."""

    def fit(train: Sequence[GivenVideo], test: Sequence[GivenVideo]) -> Scores:
        standardise = Standardise.fit(torch.cat([_x(video) for video in train]))
        lessons = [
            Lesson(
                standardise(_x(video)), torch.from_numpy(target(video)), video.domain, video.trust
            )
            for video in train
        ]
        learned = neighbourhood.fit(lessons, seed=seed, streams=STREAMS)
        return [learned.score(standardise(_x(v)), v.domain).numpy() for v in test]

    return fit


def _x(video: GivenVideo) -> torch.Tensor:
    return torch.from_numpy(video.features.astype(np.float32))


def youtube_value(video: GivenVideo, score: np.ndarray) -> float:
    """The papers' measure, in per cent."""
    return 100 * highlights.youtube_average_precision(truth=video.truth, score=score)


def tvsum_value(video: GivenVideo, score: np.ndarray) -> float:
    """Top-5 mAP, in per cent."""
    return 100 * highlights.tvsum_top5_precision(grades=video.grades, score=score)


def tau_value(video: GivenVideo, score: np.ndarray) -> float:
    """Kendall's tau, times 100."""
    return 100 * highlights.mean_kendall_tau(grades=video.grades, score=score)


def folds(videos: Sequence[GivenVideo], n: int, seed: int) -> list[list[GivenVideo]]:
    """Each domain's videos dealt out to `n` folds."""
    rng = np.random.default_rng(seed)
    found: list[list[GivenVideo]] = [[] for _ in range(n)]
    for domain in sorted({video.domain for video in videos}):
        own = [video for video in videos if video.domain == domain]
        for place, number in enumerate(rng.permutation(len(own))):
            found[place % n].append(own[number])
    return found


def held_out(videos: Sequence[GivenVideo], fit: Fit, n: int, seed: int) -> Scores:
    """Scores of all videos, each by what learned from the other folds."""
    scores: dict[str, np.ndarray] = {}
    for fold in folds(videos, n, seed):
        ids = {video.video_id for video in fold}
        rest = [video for video in videos if video.video_id not in ids]
        scores |= dict(zip((v.video_id for v in fold), fit(rest, fold), strict=True))
    return [scores[video.video_id] for video in videos]


def table(
    videos: Sequence[GivenVideo],
    rows: Sequence[Row],
    reference: Row,
    samples: int = 10_000,
) -> None:
    """Means over domains, with intervals, and how much each row gains on the reference."""
    domains = np.array([video.domain for video in videos])
    names = sorted(set(domains))
    print(f"{'':34} mean  [95 %]         less {reference.name} [95 %]   seeds  {'  '.join(names)}")
    for row in rows:
        mean = row.values.mean(axis=0)
        total, by_domain = highlights.mean_of_domains(mean.tolist(), domains.tolist())
        low, high = interval(mean, domains, samples)
        gain, _ = highlights.mean_of_domains(
            (mean - reference.values.mean(axis=0)).tolist(), domains.tolist()
        )
        less = interval(mean - reference.values.mean(axis=0), domains, samples)
        spread = np.std(
            [highlights.mean_of_domains(v.tolist(), domains.tolist())[0] for v in row.values]
        )
        print(
            f"{row.name:34} {total:5.2f} [{low:5.2f}, {high:5.2f}]"
            f"  {gain:+5.2f} [{less[0]:+5.2f}, {less[1]:+5.2f}]"
            f"  {len(row.values)}, sd {spread:.2f}  "
            + "  ".join(f"{by_domain[name]:.1f}" for name in names)
        )


def interval(values: np.ndarray, domains: np.ndarray, samples: int) -> tuple[float, float]:
    """95 % of the mean over domains when each domain's videos are drawn again."""
    rng = np.random.default_rng(0)
    means = []
    for name in sorted(set(domains)):
        own = values[domains == name]
        means.append(own[rng.integers(len(own), size=(samples, len(own)))].mean(axis=1))
    low, high = np.quantile(np.mean(means, axis=0), [0.025, 0.975])
    return float(low), float(high)


def measured(
    name: str,
    videos: Sequence[GivenVideo],
    value: Callable[[GivenVideo, np.ndarray], float],
    scores: Sequence[Scores],
) -> Row:
    """A row from the scores of each seed."""
    return Row(
        name,
        np.array([[value(v, s) for v, s in zip(videos, one, strict=True)] for one in scores]),
    )


def youtube(folder: Path, *, seeds: int, cross_validate: bool) -> None:
    """Test videos, or the training split's own cross-validation."""
    every = read_youtube(folder)
    train = [video for video in every if video.part == "train"]
    test = train if cross_validate else [video for video in every if video.part == "test"]

    def scored(fit: Fit, seed: int) -> Scores:
        return held_out(train, fit, 5, seed) if cross_validate else fit(train, test)

    again = seeds if cross_validate else 1  # The folds differ; ridge itself has no seed.
    rows = [
        measured("random", test, youtube_value, [scored(random(s), s) for s in range(20)]),
        measured("ridge", test, youtube_value, [scored(ridge(0), s) for s in range(again)]),
        measured("ridge ± 2", test, youtube_value, [scored(ridge(2), s) for s in range(again)]),
    ]
    began = time.perf_counter()
    rows.append(measured("ours", test, youtube_value, [scored(ours(s), s) for s in range(seeds)]))
    seconds = (time.perf_counter() - began) / seeds
    kind = "cross-validation of the training split" if cross_validate else "test"
    print(f"YouTube Highlights, {kind}: {len(test)} videos; ours {seconds:.0f} s a seed")
    table(test, rows, rows[2])
    if cross_validate:
        asked = np.array([video.trust == 1 for video in test])
        print(f"of these the {asked.sum()} videos that people were asked about, as all test videos")
        kept = [video for video, is_asked in zip(test, asked, strict=True) if is_asked]
        part = [replace(row, values=row.values[:, asked]) for row in rows]
        table(kept, part, part[2])
    else:
        for name, mean in PUBLISHED.items():
            print(f"{name:34} {mean:5.2f}")


def tvsum(folder: Path, *, seeds: int) -> None:
    """All 50 videos, each held out once."""
    videos = read_tvsum(folder)
    ways: dict[str, list[Scores]] = {
        "random": [held_out(videos, random(s), 5, s) for s in range(20)],
        "ridge": [held_out(videos, ridge(0), 5, s) for s in range(seeds)],
        "ridge ± 2": [held_out(videos, ridge(2), 5, s) for s in range(seeds)],
        "ours": [held_out(videos, ours(s), 5, s) for s in range(seeds)],
        "the mean grade itself": [[target(video) for video in videos]],
    }
    for title, value in (("top-5 mAP", tvsum_value), ("Kendall's tau × 100", tau_value)):
        print(f"TVSum, every one of {len(videos)} videos held out once: {title}")
        rows = [measured(name, videos, value, scores) for name, scores in ways.items()]
        table(videos, rows, rows[1])


def main() -> None:
    """Run what was asked for, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("youtube", "tvsum"))
    parser.add_argument("--cv", action="store_true", help="the training split only, no test video")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("VIDEO2GIF_REALDATA", "../shared/realdata")) / "highlights",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only != "tvsum":
        youtube(options.data / "youtube", seeds=options.seeds, cross_validate=options.cv)
    if options.only != "youtube" and not options.cv:
        tvsum(options.data / "tvsum", seeds=options.seeds)


if __name__ == "__main__":
    main()
