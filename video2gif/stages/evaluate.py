"""Score every segment and compare with the GIFs people made (docs/paper.md, Metrics).

Reads the model, features, segments, labels (splits), spans (the truth), sources, pairs and
fingerprints (the motion baseline); writes data/predictions.parquet, metrics/eval.json and three
plots.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.config import EvaluateParams, Params, TrainParams
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout, write_csv, write_json
from video2gif.core.tables import PREDICTIONS, SPANS
from video2gif.evaluation import figures
from video2gif.evaluation.figures import Scored
from video2gif.evaluation.videos import VideoMetrics, mean_metrics, usable_gifs, video_metrics
from video2gif.ranking import baselines
from video2gif.ranking.loading import feature_sources, load_videos
from video2gif.ranking.scorer import Scorer
from video2gif.ranking.training import train
from video2gif.ranking.videos import Video

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ranked:
    """A video and the scores of its segments, (n,) each; NaN: unscored."""

    video: Video
    score: np.ndarray
    motion: np.ndarray


@dataclass(frozen=True)
class Evaluated:
    """One video's metrics, of the ranker and of the baselines on the same GIFs."""

    scored: Scored
    random: VideoMetrics
    motion: VideoMetrics

    @property
    def ranker(self) -> VideoMetrics:
        return self.scored.metrics


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Evaluate the split. One without usable videos gives nulls and a warning, not an error."""
    scorer = Scorer.load(layout.model, layout.model_card)
    inputs = params.train.inputs
    # Before anything is scored: features of other weights would give scores that are noise.
    scorer.check_features(feature_sources(layout, inputs))
    videos = load_videos(layout, inputs)
    score = scorer.model.score_video
    split = params.evaluate.split
    if params.evaluate.protocol == "leave_one_out":
        score, split = partial(score_left_out, videos=videos, params=params.train), "all"
    ranked = _rank_all(videos, score, context)
    # Of every video, whatever its split: the report shows them all.
    rows = [_prediction_rows(one) for one in ranked]
    PREDICTIONS.write(layout.predictions, pd.concat(rows) if rows else [])
    evaluated = [
        evaluate_video(one, params.evaluate)
        for one in ranked
        if in_split(one.video, split) and can_evaluate(one)
    ]
    metrics = {
        **summary(evaluated, params.evaluate),
        **_not_evaluated(layout, ranked, evaluated, split),
        "split": split,
        "random_weights": bool(scorer.card["random_weights"]),
    }
    if not evaluated:
        _log.warning(
            "evaluate: no video of split %s has a placed GIF and features; metrics are null",
            split,
        )
    write_json(layout.eval_metrics, metrics)
    _write_plots(layout, evaluated, metrics)
    return Counts(computed=len(evaluated))


# Pure computation


def in_split(video: Video, split: str) -> bool:
    """Whether the video belongs to `evaluate.split` ("all": any)."""
    return split in (video.split, "all")


def score_left_out(video: Video, *, videos: Sequence[Video], params: TrainParams) -> np.ndarray:
    """Scores (n,) of a video by a ranker trained on all others; NaN if it has no GIF to find.

    Videos of the test split are trained on as well. Those of validation still decide when training
    stops.
    """
    # There is nothing to measure, and a training costs as much as for any other video.
    if not usable_gifs(video.gifs, video.n_frames) or not video.n_clips.any():
        return np.full(len(video.spans), np.nan)
    others = [
        replace(other, split="train" if other.split == "test" else other.split)
        for other in videos
        if other.video_id != video.video_id
    ]
    return train(others, params).model.score_video(video)


def can_evaluate(one: Ranked) -> bool:
    """Whether the video has a usable GIF and at least one segment with a score."""
    gifs = usable_gifs(one.video.gifs, one.video.n_frames)
    return bool(gifs) and not np.isnan(one.score).all()


def evaluate_video(one: Ranked, params: EvaluateParams) -> Evaluated:
    """Metrics of the ranker, of the motion baseline, and of random rankings (their mean)."""
    video = one.video
    gifs = usable_gifs(video.gifs, video.n_frames)
    n_segments = len(video.spans)
    seeds = range(params.seed, params.seed + params.random_seeds)
    random = [
        video_metrics(
            gifs=gifs,
            spans=video.spans,
            scores=baselines.random(video.video_id, n_segments, seed=seed),
        )
        for seed in seeds
    ]
    return Evaluated(
        scored=Scored(
            video_id=video.video_id,
            category=video.category,
            duration_s=video.duration_s,
            gifs=tuple(gifs),
            spans=video.spans,
            scores=one.score,
            metrics=video_metrics(gifs=gifs, spans=video.spans, scores=one.score),
        ),
        random=mean_metrics(random),
        motion=video_metrics(gifs=gifs, spans=video.spans, scores=one.motion),
    )


def summary(evaluated: Sequence[Evaluated], params: EvaluateParams) -> dict[str, Any]:
    """What metrics/eval.json holds: means over videos with bootstrap 95 % intervals."""
    options: dict[str, int] = {"samples": params.bootstrap_samples, "seed": params.seed}
    ours = [one.ranker for one in evaluated]
    baseline = {
        "random": [one.random for one in evaluated],
        "motion": [one.motion for one in evaluated],
    }
    return {
        **figures.full([one.scored for one in evaluated], **options),
        "protocol": params.protocol,
        "baselines": {
            name: {
                **figures.figures(metrics, **options),
                "ranker_less_baseline": figures.difference(ours, metrics, **options),
            }
            for name, metrics in baseline.items()
        },
    }


# Input and output


def _rank_all(
    videos: Sequence[Video],
    score: Callable[[Video], np.ndarray],
    context: Context,
) -> list[Ranked]:
    ranked = []
    for done, video in enumerate(videos, start=1):
        ranked.append(Ranked(video, score(video), video.motion))
        context.progress("evaluate", done, len(videos))
    return ranked


def _prediction_rows(one: Ranked) -> pd.DataFrame:
    video = one.video
    return pd.DataFrame(
        {
            "split": video.split,
            "video_id": video.video_id,
            "segment_id": video.segment_ids,
            "start_frame": video.spans[:, 0],
            "end_frame": video.spans[:, 1],
            "start_s": video.spans_s[:, 0],
            "end_s": video.spans_s[:, 1],
            "score": one.score,
            "motion": one.motion,
        }
    )


def _not_evaluated(
    layout: Layout, ranked: Sequence[Ranked], evaluated: Sequence[Evaluated], split: str
) -> dict[str, int]:
    """How many GIFs the metrics do not include.

    `n_skipped`: those of the split without a certain place, or whose video has no features.
    `n_without_video`: those of videos that could not be read and so belong to no split.
    """
    known = {one.video.video_id for one in ranked}
    chosen = {one.video.video_id for one in ranked if in_split(one.video, split)}
    video_ids = SPANS.read(layout.spans)["video_id"]
    n_evaluated = sum(len(one.scored.gifs) for one in evaluated)
    return {
        "n_skipped": int(video_ids.isin(chosen).sum()) - n_evaluated,
        "n_without_video": int((~video_ids.isin(known)).sum()),
    }


def _write_plots(layout: Layout, evaluated: Sequence[Evaluated], metrics: dict[str, Any]) -> None:
    write_csv(layout.eval_videos_plot, _video_rows(evaluated))
    write_csv(layout.eval_categories_plot, _category_rows(metrics))
    write_csv(layout.eval_histogram_plot, histogram(evaluated))


def _video_rows(evaluated: Sequence[Evaluated]) -> pd.DataFrame:
    rows = [
        {
            "video_id": one.scored.video_id,
            "category": one.scored.category,
            "n_gifs": len(one.scored.gifs),
            "nmsd": one.ranker.nmsd,
            "average_precision": one.ranker.average_precision,
            "random_nmsd": one.random.nmsd,
            "motion_nmsd": one.motion.nmsd,
        }
        for one in evaluated
    ]
    columns = [
        "video_id",
        "category",
        "n_gifs",
        "nmsd",
        "average_precision",
        "random_nmsd",
        "motion_nmsd",
    ]
    return pd.DataFrame(rows, columns=columns)


def _category_rows(metrics: dict[str, Any]) -> pd.DataFrame:
    rows = [
        {"category": name, "nmsd": figures["nmsd"], "n_videos": figures["n_videos"]}
        for name, figures in metrics["per_category"].items()
    ]
    return pd.DataFrame(rows, columns=["category", "nmsd", "n_videos"])


def histogram(evaluated: Sequence[Evaluated], n_bins: int = 10) -> pd.DataFrame:
    """Videos by nMSD in bins of equal width over [0, 1]: plots/nmsd_histogram.csv."""
    edges = np.linspace(0, 1, n_bins + 1)
    columns = {
        name: np.histogram([getattr(one, name).nmsd for one in evaluated], edges)[0]
        for name in ("ranker", "random", "motion")
    }
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], **columns})
