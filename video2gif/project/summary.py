"""Sum up a finished project: which items were left out, and how good the ranker is.

Reads the tables' status columns and metrics/eval.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from video2gif.core.layout import Layout, read_json
from video2gif.core.tables import DOWNLOADS, FINGERPRINTS, SPANS, feature_status


@dataclass(frozen=True)
class LeftOut:
    """One item that a stage could not use, and why."""

    stage: str
    kind: str
    id: str
    reason: str


@dataclass(frozen=True)
class Figure:
    """A metric's mean over videos and its bootstrap interval; None where nothing was evaluated."""

    mean: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.mean is None or self.low is None or self.high is None:
            return "–"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Quality:
    """Metrics of the ranker beside its baselines: `rows[name][metric]`."""

    rows: Mapping[str, Mapping[str, Figure]]
    n_videos: int
    n_gifs: int
    random_weights: bool
    """Whether C3D had random weights; the figures then say little about the method."""


SHOWN = ("nmsd", "map", "recall_at_5")


def left_out(layout: Layout) -> list[LeftOut]:
    """Every id with a status of quarantined or missing, in the order of stages and ids."""
    return [
        *_rows("download", DOWNLOADS.read(layout.downloads)),
        *_rows("fingerprint", FINGERPRINTS.read(layout.fingerprints / "index.parquet")),
        *_rows("label", SPANS.read(layout.spans).assign(kind="gif"), id_column="gif_id"),
        *_rows(
            "extract",
            feature_status(layout.feature_folders()).assign(kind="video"),
            id_column="video_id",
        ),
    ]


def _rows(stage: str, table: pd.DataFrame, id_column: str = "id") -> list[LeftOut]:
    bad = table[table["status"].isin(["quarantined", "missing"])]
    columns = zip(bad["kind"], bad[id_column], bad["reason"], strict=True)
    return [LeftOut(stage, *values) for values in columns]


def quality(layout: Layout) -> Quality:
    """Metrics and intervals of metrics/eval.json."""
    metrics = read_json(layout.eval_metrics)
    named = {"ranker": metrics, **metrics["baselines"]}
    return Quality(
        rows={name: _figures(figures) for name, figures in named.items()},
        n_videos=metrics["n_videos"],
        n_gifs=metrics["n_gifs"],
        random_weights=metrics["random_weights"],
    )


def _figures(metrics: Mapping[str, Any]) -> dict[str, Figure]:
    def figure(name: str) -> Figure:
        interval: Sequence[float | None] = metrics.get(f"{name}_ci") or (None, None)
        return Figure(metrics.get(name), *interval)

    return {name: figure(name) for name in SHOWN}


def worse(after: Quality, *, than: Quality) -> bool:
    """Whether the ranker's nMSD is above the interval of the one before it (lower is better)."""
    now, before = after.rows["ranker"]["nmsd"], than.rows["ranker"]["nmsd"]
    return now.mean is not None and before.high is not None and now.mean > before.high
