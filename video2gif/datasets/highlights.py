"""Highlights of other data sets as GIFs of ours, so that one may train on one and test on another.

PHD2's csv holds seconds; TVSum's and YouTube Highlights' files hold frames. What counts as a
highlight is a choice where the data set only grades, and it stands beside each reader. Labels go
to a csv that `video2gif evaluate` takes, or to a manifest whose spans are declared, with a split.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.errors import UserError
from video2gif.datasets import read_manifest
from video2gif.datasets.given import runs

READERS = ("phd2", "tvsum", "youtube-highlights")
_URL = "https://www.youtube.com/watch?v={}"


@dataclass(frozen=True)
class Highlight:
    """A span of a video that people chose, in frames or in seconds."""

    video_id: str
    start: float
    end: float
    category: str
    length: float | None
    """Of the video, in the same unit, where the data set says."""


def read(layout: str, path: Path, *, best_share: float = 0.15) -> tuple[str, list[Highlight]]:
    """The unit ("frames" or "seconds") and all highlights, by video. Raises `UserError`."""
    if layout == "phd2":
        return "seconds", list(_phd2(path))
    if layout == "tvsum":
        return "frames", list(tvsum(path, best_share=best_share))
    if layout == "youtube-highlights":
        return "frames", list(youtube_highlights(path))
    raise UserError(f"{layout}: unknown data set; choose {', '.join(READERS)}")


def _phd2(path: Path) -> Iterator[Highlight]:
    for row in sorted(read_manifest(path).rows, key=lambda row: (row.video_id, row.gif_id)):
        if row.start_s is not None and row.end_s is not None:
            yield Highlight(row.video_id, row.start_s, row.end_s, row.category, None)


def tvsum(path: Path, *, best_share: float) -> Iterator[Highlight]:
    """ydata-tvsum50-anno.tsv: a line an annotator, `video, category, grade of every frame`.

    The grades of all annotators are averaged; a highlight is a run of frames in the best
    `best_share` of the video (0.15 is the usual length of a TVSum summary), ties at its edge left
    out unless all would be.
    """
    grades: dict[str, list[np.ndarray]] = {}
    category: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split("\t")
        try:
            values = np.array([float(value) for value in cells[2].split(",")])
        except (IndexError, ValueError):
            raise UserError(
                f"{path}:{number}: not a line of TVSum: needs video, category and comma-separated"
                " grades between tabs"
            ) from None
        own = grades.setdefault(cells[0], [])
        if own and len(own[0]) != len(values):
            raise UserError(
                f"{path}:{number}: {len(values)} grades of {cells[0]}, {len(own[0])} before"
            )
        own.append(values)
        category[cells[0]] = cells[1]
    for video_id in sorted(grades):
        mean = np.mean(grades[video_id], axis=0)
        edge = np.quantile(mean, 1 - best_share)
        best = mean > edge if (mean > edge).any() else mean >= edge
        for start, end in runs(best):
            yield Highlight(video_id, start, end, category[video_id], len(mean))


def youtube_highlights(folder: Path) -> Iterator[Highlight]:
    """`<category>/<video>/match_label.json`: clips as frames [start, end], and their labels.

    1: matched by the edited video, 0: borderline, -1: not. Clips overlap by half: those that touch
    are one highlight.
    """
    files = sorted(folder.glob("*/*/match_label.json"))
    if not files:
        raise UserError(f"{folder}: no CATEGORY/VIDEO/match_label.json below it")
    for file in files:
        try:
            clips, labels = json.loads(file.read_text())[:2]
            spans = [(int(start), int(end)) for start, end in clips]
            chosen = [span for span, label in zip(spans, labels, strict=True) if label == 1]
        except (ValueError, TypeError) as error:
            raise UserError(f"{file}: not clips and labels of equal number: {error}") from None
        n_frames = max((end for _, end in spans), default=0)
        mask = np.zeros(n_frames, bool)
        for start, end in chosen:
            mask[start:end] = True
        for start, end in runs(mask):
            yield Highlight(file.parent.name, start, end, file.parent.parent.name, n_frames)


def labels_table(unit: str, found: list[Highlight]) -> pd.DataFrame:
    """For `video2gif evaluate`."""
    start, end, length = {
        "frames": ("start_frame", "end_frame", "n_frames"),
        "seconds": ("start_s", "end_s", "duration_s"),
    }[unit]
    kind: Any = int if unit == "frames" else float
    rows = [
        {
            "video_id": one.video_id,
            start: kind(one.start),
            end: kind(one.end),
            "category": one.category,
            length: "" if one.length is None else kind(one.length),
        }
        for one in found
    ]
    return pd.DataFrame(rows, columns=["video_id", start, end, "category", length])


def manifest_table(
    unit: str, found: list[Highlight], *, split: str, fps: float | None
) -> pd.DataFrame:
    """A manifest for `download.manifest`: spans declared, nothing to be matched.

    Two of them one below the other, with split train and test, train on one data set and test on
    the other. Frames need `fps` to become seconds.
    """
    if unit == "frames" and fps is None:
        raise UserError("labels in frames need --fps to become the seconds of a manifest")
    scale = fps if unit == "frames" and fps is not None else 1.0
    counts: dict[str, int] = {}
    rows = []
    for one in found:
        counts[one.video_id] = counts.get(one.video_id, 0) + 1
        rows.append(
            {
                "video_id": one.video_id,
                "video_url": _URL.format(one.video_id),
                "gif_id": f"{one.video_id}-{counts[one.video_id]}",
                "gif_url": "",
                "start_s": one.start / scale,
                "end_s": one.end / scale,
                "category": one.category,
                "split": split,
            }
        )
    return pd.DataFrame(rows)
