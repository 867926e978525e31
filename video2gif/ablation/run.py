"""Fill the paper's table with this project's data: every method, every loss under wrong labels.

Reads what train reads; writes ablation/<name>.csv and, on what was measured, <name>.json. The
report shows them beside the paper's figures. No stage of dvc.yaml, as it trains hundreds of
rankers: `video2gif ablate` runs it, and a report made afterwards is another (dvc.yaml names the
folder).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from video2gif.ablation.methods import REFERENCE_METHOD, methods
from video2gif.ablation.table import AblationProgress, Fold, as_frame, folds, noise_rows, table
from video2gif.core.config import Params
from video2gif.core.errors import UserError
from video2gif.core.layout import Layout, write_csv, write_json
from video2gif.core.store import file_digest
from video2gif.ranking.loading import feature_sources, load_videos

NOISE_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What is measured how often."""

    name: str
    """Of the file, without suffix."""
    n_folds: int
    """0: the project's own split."""
    seeds: int
    workers: int
    """Processes."""
    noise: bool
    """Also the losses under 0 to 40 % wrong positives."""


def run(layout: Layout, params: Params, choice: Ablation, progress: AblationProgress) -> Path:
    """Write the table; returns its path. Raises `UserError` when there is nothing to score."""
    videos = load_videos(layout, params.train.inputs)
    parts = folds(videos, choice.n_folds)
    if not any(part.score for part in parts):
        raise UserError(
            "ablate: no video to score: none with a placed GIF and features is in the test split;"
            " give --folds to score every video by what learned from the others"
        )
    section = params.evaluate
    rows = table(
        parts,
        methods(params.train),
        seeds=choice.seeds,
        samples=section.bootstrap_samples,
        seed=section.seed,
        workers=choice.workers,
        progress=progress,
    )
    # A generator: without `choice.noise` it is not asked, and nothing is trained.
    noise = noise_rows(
        parts,
        params.train,
        shares=NOISE_SHARES,
        seeds=choice.seeds,
        samples=section.bootstrap_samples,
        seed=section.seed,
        progress=progress,
    )
    path = layout.ablation / f"{choice.name}.csv"
    # In the order in which `table` scores them: `as_frame` names its columns by it.
    scored = [video.video_id for part in parts for video in part.score]
    write_csv(path, as_frame(rows, noise if choice.noise else (), scored))
    write_json(path.with_suffix(".json"), _about(layout, params, parts, choice))
    return path


def _about(
    layout: Layout, params: Params, parts: Sequence[Fold], choice: Ablation
) -> dict[str, Any]:
    scored = [video for part in parts for video in part.score]
    inputs = params.train.inputs
    networks = feature_sources(layout, inputs)
    return {
        "name": choice.name,
        "folds": choice.n_folds,
        "seeds": choice.seeds,
        "reference": REFERENCE_METHOD,
        "n_videos": len(scored),
        "n_gifs": sum(len(video.gifs) for video in scored),
        "features": networks,
        "random_weights": not all(one["is_pretrained"] for one in networks.values()),
        "train": asdict(params.train),
        "data": {
            "pairs": file_digest(layout.pairs),
            **{
                f"features/{name}": file_digest(layout.features_of(name) / "index.parquet")
                for name in inputs
            },
        },
    }
