"""`python benchmarks/ranker.py`: training pairs a second, beside the plain whole-tensor loop.

Synthetic features with a planted direction, seeded. The peer is LIMITS' baseline: whole tensors,
random batches of pairs, both sides of every pair scored anew. Ours takes the steps of
`ranking.training`: the segments of some videos scored once, their pairs indexed. Both in one
thread, one after the other, in one run; each line says what nMSD its model reaches on videos it
has not seen, after the epochs given.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from video2gif.core.config import Params, TrainParams
from video2gif.evaluation.videos import video_metrics
from video2gif.ranking.baselines import CUES
from video2gif.ranking.losses import adaptive_huber
from video2gif.ranking.model import Ensemble, RankNet, Standardise
from video2gif.ranking.training import train
from video2gif.ranking.videos import Video

PARAMS = Params.load(Path(__file__).parents[1] / "params.yaml").train
BARE = replace(PARAMS, context=[], fusion=False, ensemble=1)
WIDTH = 4096  # fc6, the widest features there are.
STRENGTH = 3.0  # Of the planted direction, in standard deviations along it.


def make_videos(n_videos: int, n_segments: int, n_positive: int) -> list[Video]:
    """One clip a segment, the positives shifted; the last fifth of the videos is the test."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=WIDTH) / np.sqrt(WIDTH)
    return [
        _video(number, n_videos, n_segments, n_positive, direction, rng)
        for number in range(n_videos)
    ]


def _video(
    number: int,
    n_videos: int,
    n_segments: int,
    n_positive: int,
    direction: np.ndarray,
    rng: np.random.Generator,
) -> Video:
    positives = np.sort(rng.choice(n_segments, n_positive, replace=False))
    clips = rng.normal(size=(n_segments, WIDTH))
    clips[positives] += STRENGTH * direction
    start = np.arange(n_segments) * 30
    negatives = np.setdiff1d(np.arange(n_segments), positives)
    pairs = np.array([(p, n) for p in positives for n in negatives])
    return Video(
        video_id=f"v{number}",
        split="train" if number < 0.8 * n_videos else "test",
        category="",
        tags=(),
        segment_ids=np.arange(n_segments),
        spans=np.stack([start, start + 30], axis=1),
        spans_s=np.stack([start, start + 30], axis=1) / 25,
        n_clips=np.ones(n_segments, np.int64),
        clips=clips.astype(np.float16),
        gifs=tuple((int(start[p]), int(start[p]) + 30) for p in positives),
        cues=np.zeros((n_segments, len(CUES))),
        pairs=pairs,
        popularity=rng.random(len(pairs)),
    )


def pairwise(videos: list[Video], params: TrainParams) -> Ensemble:
    """The peer: every pair's two segments scored for every pair."""
    torch.manual_seed(params.seed)
    clips = torch.cat([torch.from_numpy(v.clips).float() for v in videos])
    standardise = Standardise.fit(clips)
    x = standardise(clips)
    first = np.cumsum([0, *(len(v.spans) for v in videos)])
    pairs = torch.cat(
        [torch.from_numpy(v.pairs + at) for v, at in zip(videos, first, strict=False)]
    )
    popularity = torch.cat([torch.from_numpy(v.popularity).float() for v in videos])
    ranker = RankNet(WIDTH, params.hidden, params.dropout)
    optimiser = torch.optim.SGD(
        ranker.parameters(),
        lr=params.learning_rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
        nesterov=True,
    )
    for _ in range(params.epochs):
        order = torch.randperm(len(pairs))
        for start in range(0, len(pairs), params.batch_pairs):
            batch = order[start : start + params.batch_pairs]
            positive, negative = x[pairs[batch, 0]], x[pairs[batch, 1]]
            u = 1 - ranker(positive) + ranker(negative)
            loss = adaptive_huber(u, params.huber_delta, popularity[batch])
            optimiser.zero_grad()
            loss.mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return Ensemble(standardise, (ranker.eval(),))


def test_nmsd(ensemble: Ensemble, videos: list[Video]) -> float:
    """Mean nMSD over the videos of the test split."""
    values = []
    for video in (v for v in videos if v.split == "test"):
        scores = ensemble.score_segments(
            torch.from_numpy(video.clips),
            torch.zeros(len(video.spans), 0),
            torch.from_numpy(video.n_clips),
        )
        found = video_metrics(gifs=video.gifs, spans=video.spans, scores=scores.numpy())
        values.append(found.nmsd)
    return float(np.mean(values))


def compare(options: argparse.Namespace) -> None:
    """A line for each way of training, on the same videos for the same epochs."""
    videos = make_videos(options.videos, options.segments, options.positives)
    training = [video for video in videos if video.split == "train"]
    n_pairs = sum(len(video.pairs) for video in training)
    params = replace(BARE, epochs=options.epochs, patience=10**6)
    wide = replace(params, batch_pairs=400, learning_rate=4 * params.learning_rate)
    print(f"{len(training)} training videos, {n_pairs} pairs, {params.epochs} epochs, 1 thread")
    ways: dict[str, Callable[[], Ensemble]] = {
        f"pair by pair, {params.batch_pairs} a step": lambda: pairwise(training, params),
        f"ours, {params.batch_pairs} a step": lambda: train(training, params).model.ensemble,
        f"ours, {wide.batch_pairs} a step": lambda: train(training, wide).model.ensemble,
    }
    for name, fit in ways.items():
        began = time.perf_counter()
        ensemble = fit()
        rate = n_pairs * params.epochs / (time.perf_counter() - began)
        print(f"{name:24} {rate:9.0f} pairs/s, nMSD unseen {test_nmsd(ensemble, videos):.3f}")


def minute(options: argparse.Namespace) -> None:
    """How long 100,000 pairs take, from features in memory to a stopped training."""
    per_video = options.positives * (options.segments - options.positives)
    n_training = -(-100_000 // per_video)
    videos = make_videos(round(n_training / 0.8), options.segments, options.positives)
    training = [video for video in videos if video.split == "train"][:n_training]
    watched = [replace(v, split="validation") for v in videos if v.split == "test"][:50]
    params = replace(BARE, batch_pairs=400, learning_rate=0.004, epochs=20, patience=2)
    began = time.perf_counter()
    trained = train([*training, *watched], params)
    seconds = time.perf_counter() - began
    print(
        f"{trained.n_pairs} pairs of {len(training)} videos: {seconds:.1f} s,"
        f" {len(trained.history)} epochs until validation nMSD rose twice,"
        f" best {trained.best[0].validation_nmsd:.3f} after {trained.best[0].epoch + 1}"
    )


def digests(options: argparse.Namespace) -> None:
    """The sha256 of the weights of five trainings, fusion and all."""
    videos = make_videos(20, options.segments, options.positives)
    params = replace(PARAMS, epochs=3)
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights"
            train(videos, params).model.ensemble.save(path)
            print(hashlib.sha256(path.read_bytes()).hexdigest())


def main() -> None:
    """Run what was asked for, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"compare": compare, "minute": minute, "digests": digests}
    parser.add_argument("--only", choices=parts, help="one of the three parts")
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--segments", type=int, default=30)
    parser.add_argument("--positives", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in [options.only] if options.only else parts:
        parts[part](options)


if __name__ == "__main__":
    main()
