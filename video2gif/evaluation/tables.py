"""Read anyone's predictions and labels from csv files, to be measured. Needs no torch.

Predictions: `video_id, start, end, score`, one row a segment. An empty score means that the segment
was not scored. Labels: `video_id, start, end`, one row a GIF, and `category` if known.

Start and end are frames in both files (`start_frame`, `end_frame`, half-open), or seconds in both
(`start_s`, `end_s`); seconds are rounded to hundredths. Parts of a video that no segment covers
count as not scored. A video ends where its last segment or GIF ends, or later, if the labels say so
in `n_frames` or `duration_s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from video2gif.core.errors import UserError
from video2gif.core.readers import read_table
from video2gif.evaluation.figures import Scored
from video2gif.evaluation.videos import usable_gifs, video_metrics

GRID_FPS = 100
"""Frames a second that seconds are rounded to: GIFs count in hundredths."""

_MOST = 1e9  # A span of thirty years; more is a broken cell.


@dataclass(frozen=True)
class Read:
    """The videos that can be measured, and those that cannot."""

    videos: list[Scored]
    without_predictions: list[str]
    """Videos of the labels that have no scored segment."""
    without_labels: list[str]
    """Predicted videos without a GIF, or only with GIFs that hold none or all of their frames."""


def read(predictions: Path, labels: Path) -> Read:
    """Join both files by video. Raises `UserError` naming file, line or column, and the remedy."""
    ours, truth = _table(predictions, ("score",)), _table(labels, ())
    if ours.attrs["unit"] != truth.attrs["unit"]:
        raise UserError(
            f"{predictions} counts in {ours.attrs['unit']}, {labels} in {truth.attrs['unit']};"
            " give both the same columns: start_frame, end_frame or start_s, end_s"
        )
    by_video = {str(name): rows for name, rows in ours.groupby("video_id", sort=True)}
    videos, missing, unlabelled = [], [], []
    gifs_of = {str(name): rows for name, rows in truth.groupby("video_id", sort=True)}
    for video_id, gifs in gifs_of.items():
        rows = by_video.get(video_id)
        if rows is None or rows["score"].isna().all():
            missing.append(video_id)
            continue
        found = _scored(video_id, rows, gifs, predictions, ours.attrs["unit"])
        if found is None:
            unlabelled.append(video_id)
        else:
            videos.append(found)
    unlabelled += sorted(by_video.keys() - gifs_of.keys())
    return Read(videos, missing, unlabelled)


def _table(path: Path, more: tuple[str, ...]) -> pd.DataFrame:
    read_in = read_table(path, ("video_id", *more))
    # Cells stay text: a video may be called NA, or 007.
    table = pd.DataFrame([row for _, row in read_in.rows], columns=read_in.columns, dtype=object)
    table["line"] = [line for line, _ in read_in.rows]
    units = {"frames": ("start_frame", "end_frame"), "seconds": ("start_s", "end_s")}
    unit = next((u for u, names in units.items() if {*names} <= {*table.columns}), None)
    if unit is None:
        raise UserError(
            f"{path}: columns {', '.join(map(str, table.columns))}; needs"
            f" {', '.join(['video_id', *more])} and start_frame, end_frame or start_s, end_s"
        )
    for name in (*units[unit], *more):
        table[name] = _numbers(table, name, path, allow_empty=name == "score")
    scale = GRID_FPS if unit == "seconds" else 1
    start, end = units[unit]
    table["start"] = (table[start] * scale).round().astype(np.int64)
    table["end"] = (table[end] * scale).round().astype(np.int64)
    bad = (table["start"] < 0) | (table["end"] <= table["start"]) | (table["video_id"] == "")
    if bad.any():
        line = int(table["line"][bad.idxmax()])
        raise UserError(f"{path}:{line}: needs a video_id and 0 <= start < end")
    table.attrs["unit"] = unit
    return table


def _numbers(table: pd.DataFrame, name: str, path: Path, *, allow_empty: bool) -> pd.Series:
    """A column of numbers, NaN where it is empty and may be. Raises `UserError` naming the line."""
    column = table[name]
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    bad = (numbers.isna() & ~((column.str.strip() == "") & allow_empty)) | (numbers.abs() > _MOST)
    if bad.any():
        place = bad.idxmax()
        said = str(column[place])[:50] or "(nothing)"
        raise UserError(
            f"{path}:{int(table['line'][place])}: {name} = {said} is no number from"
            f" -{_MOST:g} to {_MOST:g}"
        )
    return numbers


def _scored(
    video_id: str, rows: pd.DataFrame, gifs: pd.DataFrame, path: Path, unit: str
) -> Scored | None:
    rows = rows.sort_values("start", kind="stable")
    spans = rows[["start", "end"]].to_numpy()
    # In order of time, so that the first overlap is one of neighbours.
    overlap = np.flatnonzero(spans[1:, 0] < spans[:-1, 1])
    if len(overlap):
        first, second = spans[overlap[0]], spans[overlap[0] + 1]
        raise UserError(
            f"{path}: segments of {video_id} overlap: {first.tolist()} and {second.tolist()};"
            " a frame can have one score"
        )
    end = _end(gifs, spans, unit)
    usable = usable_gifs(list(gifs[["start", "end"]].itertuples(index=False, name=None)), end)
    if not usable:
        return None
    spans, scores = _tiled(spans, rows["score"].to_numpy(np.float64), end)
    category = gifs["category"].iloc[0] if "category" in gifs else ""
    return Scored(
        video_id=video_id,
        category=category if isinstance(category, str) else "",
        # Frames have no seconds. It only orders the videos by length (`figures.by_length`).
        duration_s=end / GRID_FPS if unit == "seconds" else float(end),
        gifs=tuple(usable),
        spans=spans,
        scores=scores,
        metrics=video_metrics(gifs=usable, spans=spans, scores=scores),
    )


def _end(gifs: pd.DataFrame, spans: np.ndarray, unit: str) -> int:
    """The video's end on the grid: the latest of its segments, its GIFs and what the labels say."""
    declared: Mapping[str, tuple[str, int]] = {
        "frames": ("n_frames", 1),
        "seconds": ("duration_s", GRID_FPS),
    }
    name, scale = declared[unit]
    # What is no number counts as not said: the end is then that of segments and GIFs.
    values = pd.to_numeric(gifs[name], errors="coerce").dropna() if name in gifs else pd.Series()
    stated = [round(float(value) * scale) for value in values]
    return max([int(spans[-1, 1]), int(gifs["end"].max()), *stated])


def _tiled(spans: np.ndarray, scores: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Spans and scores that tile [0, end): every gap between segments becomes an unscored one."""
    full, values, at = [], [], 0
    for (start, stop), score in zip(spans.tolist(), scores.tolist(), strict=True):
        if start > at:
            full.append((at, start))
            values.append(np.nan)
        full.append((start, stop))
        values.append(score)
        at = stop
    if at < end:
        full.append((at, end))
        values.append(np.nan)
    return np.array(full), np.array(values)
