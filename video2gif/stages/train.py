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
from video2gif.core.layout import Layout, write_csv, write_json
from video2gif.core.store import file_digest
from video2gif.evaluation.figures import figures
from video2gif.evaluation.videos import usable_gifs, video_metrics
from video2gif.ranking.checkpoint import Checkpoint
from video2gif.ranking.fusion import FUSED
from video2gif.ranking.loading import feature_sources, load_videos
from video2gif.ranking.losses import curves
from video2gif.ranking.member import Epoch
from video2gif.ranking.training import Trained, can_validate, train
from video2gif.ranking.videos import Video

_LIMITS = (
    "Ranks segments of one video against each other; scores of two videos are not comparable."
    " Learns what the makers of its training GIFs chose, with their tastes and their noise."
)

_LICENCE = (
    "The code is BSD-3-Clause. The licences of the training data and of the weights behind the"
    " features (features_origin) may restrict the use of the model too; C3D's Sports-1M weights"
    " are published for research."
)
_SAMPLES = 2000  # Bootstrap samples for the intervals in the model card.


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Train all members; raises `UserError` when there is no pair to learn from."""
    videos = load_videos(layout, params.train.inputs)
    networks = feature_sources(layout, params.train.inputs)
    trained = train(
        videos,
        params.train,
        partial(_report, layout, context),
        Checkpoint(layout.checkpoint("train"), _key(layout, params)),
    )
    # Before the card, which has the digest of this file.
    trained.model.ensemble.save(layout.model)
    metrics = train_metrics(trained, videos)
    write_json(layout.model_card, _card(trained, params, networks, metrics, videos, layout))
    write_json(layout.train_metrics, metrics)
    _write_curve(layout, trained.history)
    write_csv(layout.loss_plot, curves(params.train.huber_delta))
    # A ranker that is solved at once has no epochs, and is one model.
    return Counts(computed=max(1, len(trained.best)))


def _report(
    layout: Layout, context: Context, history: Sequence[Epoch], done: int, total: int
) -> None:
    # Written after every epoch, so that one can watch the training with `dvc plots`.
    _write_curve(layout, history)
    context.progress("train", done, total)


def _write_curve(layout: Layout, history: Sequence[Epoch]) -> None:
    columns = [field.name for field in fields(Epoch)]  # Also without any row.
    write_csv(
        layout.train_plot, pd.DataFrame([asdict(epoch) for epoch in history], columns=columns)
    )


def _key(layout: Layout, params: Params) -> str:
    """A digest of all that this training depends on; a checkpoint with another one is not used."""
    folders = (*map(layout.features_of, params.train.inputs), layout.fingerprints)
    tables = _tables(layout, params.train.inputs)
    # The shards too: features of other weights may have the same index.
    files = [*tables.values(), *(p for one in folders for p in sorted(one.iterdir()))]
    # Another torch may compute other bits: a training is not half of one and half of the other.
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
    networks: dict[str, dict[str, Any]],
    metrics: dict[str, Any],
    videos: Sequence[Video],
    layout: Layout,
) -> dict[str, Any]:
    """The model card: everything one needs to use the model and to judge it."""
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
        "features": networks,
        "features_origin": {
            name: {"source": one["source"], "licence": one["licence"]}
            for name, one in networks.items()
        },
        "random_weights": not all(one["is_pretrained"] for one in networks.values()),
        "rendered_sample": _is_rendered_sample(layout, params),
        "params": asdict(params.train),
        "label": asdict(params.label),
        "data": {
            name: file_digest(path) for name, path in _tables(layout, params.train.inputs).items()
        },
        "counts": _counts(videos),
        "metrics": metrics,
        "validation": _validation(trained, videos, params),
        "licence": _LICENCE,
        "limits": _LIMITS,
    }


def _tables(layout: Layout, inputs: Sequence[str]) -> dict[str, Path]:
    return {
        "segments": layout.segments,
        "labels": layout.labels,
        "pairs": layout.pairs,
        "spans": layout.spans,
        "sources": layout.sources,
        **{f"features/{name}": layout.features_of(name) / "index.parquet" for name in inputs},
        "fingerprints": layout.fingerprints / "index.parquet",
    }


def _is_rendered_sample(layout: Layout, params: Params) -> bool:
    """Whether its videos are the ones that this project renders, which look like no others."""
    manifest = layout.root / params.download.manifest
    # The column after a video's id is its address.
    return manifest.is_file() and ",sample:" in manifest.read_text(errors="replace")


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
    """The whole model on the validation videos, with intervals. Too optimistic: see `note`."""
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
        "note": "These videos chose the epoch, so this is too good; see metrics/eval.json instead.",
    }
