"""Train the ranker on pairs of segments (docs/paper.md, Network and Loss).

Reads segments, labels, pairs, spans, sources, features and fingerprints; writes
models/ranker.safetensors, its card models/ranker.json, metrics/train.json, plots/train.csv and
plots/losses.csv.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from video2gif.core.codeversion import code_version
from video2gif.core.config import Params
from video2gif.core.items import Context, Counts
from video2gif.core.layout import Layout, read_json, write_csv, write_json
from video2gif.core.store import file_digest
from video2gif.evaluation.figures import figures
from video2gif.evaluation.videos import usable_gifs, video_metrics
from video2gif.ranking.checkpoint import Checkpoint
from video2gif.ranking.fusion import FUSED
from video2gif.ranking.losses import curves
from video2gif.ranking.member import Epoch
from video2gif.ranking.scorer import feature_source
from video2gif.ranking.training import Trained, can_validate, train
from video2gif.ranking.videos import Video, load_videos

_LIMITS = (
    "Ranks segments of one video against each other; scores of two videos are not comparable."
    " Learns what the makers of its training GIFs chose, with their tastes and their noise."
)

_LICENCE = (
    "The code is BSD-3-Clause. The model also carries what binds its data and the weights of its"
    " features (features_origin); C3D's Sports-1M weights are published for research."
)
_SAMPLES = 2000  # Of the bootstrap of the card's intervals.


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Train all members; raises `UserError` when there is no pair to learn from."""
    videos = load_videos(layout)
    source = feature_source(params.extract, layout.root)
    trained = train(
        videos,
        params.train,
        partial(_report, layout, context),
        Checkpoint(layout.checkpoint("train"), _key(layout, params)),
    )
    trained.model.ensemble.save(layout.model)
    metrics = train_metrics(trained, videos)
    write_json(layout.model_card, _card(trained, params, source, metrics, videos, layout))
    write_json(layout.train_metrics, metrics)
    _write_curve(layout, trained.history)
    write_csv(layout.loss_plot, curves(params.train.huber_delta))
    return Counts(computed=max(1, len(trained.best)))


def _report(
    layout: Layout, context: Context, history: Sequence[Epoch], done: int, total: int
) -> None:
    # The curve on disk grows with the training: whoever plots it sees how it goes.
    _write_curve(layout, history)
    context.progress("train", done, total)


def _write_curve(layout: Layout, history: Sequence[Epoch]) -> None:
    columns = [field.name for field in fields(Epoch)]  # Also without any row.
    write_csv(
        layout.train_plot, pd.DataFrame([asdict(epoch) for epoch in history], columns=columns)
    )


def _key(layout: Layout, params: Params) -> str:
    """What this training is made from: a checkpoint of any other is not its own."""
    folders = (layout.features, layout.fingerprints)
    files = [*_tables(layout).values(), *(p for one in folders for p in sorted(one.iterdir()))]
    parts = [code_version("video2gif.ranking.training"), repr(params.train), torch.__version__]
    return hashlib.sha256("\n".join([*parts, *map(file_digest, files)]).encode()).hexdigest()


def train_metrics(trained: Trained, videos: Sequence[Video]) -> dict[str, Any]:
    """What metrics/train.json holds: sizes, and each member's chosen epoch."""
    training = [video for video in videos if video.split == "train"]
    held_out = [v for v in videos if v.split == "validation" and can_validate(v)]
    return {
        "n_videos": len(training),
        "n_gifs": sum(len(video.gifs) for video in training),
        "n_pairs": trained.n_pairs,
        "n_clips": sum(len(video.clips) for video in training),
        "n_validation_videos": len(held_out),
        "stopped_by": "validation nMSD" if held_out else "training loss (no validation videos)",
        "epochs": len(trained.history),
        "loss": _mean([epoch.loss for epoch in trained.best]),
        "validation_nmsd": _mean([epoch.validation_nmsd for epoch in trained.best]),
        "members": [asdict(epoch) for epoch in trained.best],
    }


def _mean(values: Sequence[float]) -> float:
    """NaN without any: a ranker that is solved at once has no epochs."""
    return float(np.mean(values)) if values else float("nan")


def _card(
    trained: Trained,
    params: Params,
    source: dict[str, Any],
    metrics: dict[str, Any],
    videos: Sequence[Video],
    layout: Layout,
) -> dict[str, Any]:
    """The model card: what one needs to use the model, and to judge it."""
    fused = trained.model.fusion
    surroundings = trained.model.ensemble.neighbourhood
    return {
        "model": "video2gif ranker",
        "sha256": file_digest(layout.model),
        "n_members": len(trained.model.ensemble.members),
        "standardised_inputs": True,
        "context": trained.model.context.to_card(),
        "fusion": fused and dict(zip(FUSED, fused.weights, strict=True)),
        "neighbourhood": surroundings and list(surroundings.categories),
        "features": source,
        "features_origin": _origin(layout.root / params.extract.weights),
        "random_weights": source["weights"].startswith("random:"),
        "params": asdict(params.train),
        "label": asdict(params.label),
        "data": {name: file_digest(path) for name, path in _tables(layout).items()},
        "counts": _counts(videos),
        "metrics": metrics,
        "validation": _validation(trained, videos, params),
        "licence": _LICENCE,
        "limits": _LIMITS,
    }


def _tables(layout: Layout) -> dict[str, Path]:
    return {
        "segments": layout.segments,
        "labels": layout.labels,
        "pairs": layout.pairs,
        "spans": layout.spans,
        "sources": layout.sources,
        "features": layout.features / "index.parquet",
        "fingerprints": layout.fingerprints / "index.parquet",
    }


def _origin(weights: Path) -> dict[str, Any]:
    """Where the weights of C3D come from and under which licence, as their own card says."""
    card = weights.with_suffix(".json")
    if not card.is_file():
        return {"source": "seeded random numbers, or not stated", "licence": "not stated"}
    content = read_json(card)
    return {name: content.get(name, "not stated") for name in ("source", "licence", "doubts")}


def _counts(videos: Sequence[Video]) -> dict[str, dict[str, int]]:
    splits = sorted({video.split for video in videos if video.split})
    groups = {split: [video for video in videos if video.split == split] for split in splits}
    return {
        split: {
            "videos": len(group),
            "gifs": sum(len(video.gifs) for video in group),
            "segments": sum(len(video.spans) for video in group),
            "pairs": sum(len(video.pairs) for video in group),
            "with_tags": sum(bool(video.tags) for video in group),
        }
        for split, group in groups.items()
    }


def _validation(trained: Trained, videos: Sequence[Video], params: Params) -> dict[str, Any]:
    """The whole model on the validation videos, with intervals: flattered, see `note`."""
    held_out = [v for v in videos if v.split == "validation" and can_validate(v)]
    metrics = [
        video_metrics(
            gifs=usable_gifs(video.gifs, video.n_frames),
            spans=video.spans,
            scores=trained.model.score_video(video),
        )
        for video in held_out
    ]
    return {
        **figures(metrics, samples=_SAMPLES, seed=params.train.seed),
        "n_videos": len(held_out),
        "note": "These videos chose the epoch; what the model is worth stands in metrics/eval.json",
    }
