"""Read the highlights of other data sets, to train on one data set and test on another.

PHD2's csv gives seconds; the files of TVSum and YouTube Highlights give frames. A data set that
only grades frames names no highlights: what counts as one is then our choice, stated at its reader.
The result is a csv for `video2gif evaluate`, or a manifest with declared spans and a split.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from video2gif.core.errors import UserError
from video2gif.core.readers import parsed_json
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
    """The unit of start and end ("frames" or "seconds"), and all highlights, sorted by video.

    `layout` is one of `READERS`. Raises `UserError` for another one and for an unreadable file.
    """
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
    """Highlights from ydata-tvsum50-anno.tsv: `video, category, grade of every frame`.

    There is one line for each video and annotator. The grades of all annotators are averaged. A
    highlight is a run of frames whose mean grade is among the best `best_share` of the video (0.15
    is the usual length of a TVSum summary). Frames whose grade equals the limit are left out,
    except where nothing would remain.
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
        # All annotators grade every frame: another number of grades means a damaged line.
        if own and len(own[0]) != len(values):
            raise UserError(
                f"{path}:{number}: {len(values)} grades of {cells[0]}, {len(own[0])} before"
            )
        own.append(values)
        category[cells[0]] = cells[1]
    for video_id in sorted(grades):
        mean = np.mean(grades[video_id], axis=0)
        edge = np.quantile(mean, 1 - best_share)
        # Many frames may share the grade at the limit; taking all could double the share. Only if
        # no frame lies above it (all grades equal, say) are they taken.
        best = mean > edge if (mean > edge).any() else mean >= edge
        for start, end in runs(best):
            yield Highlight(video_id, start, end, category[video_id], len(mean))


def youtube_highlights(folder: Path) -> Iterator[Highlight]:
    """Highlights from `<category>/<video>/match_label.json`: clips as frames, and their labels.

    Label 1: the clip is part of the edited video; 0: borderline; -1: it is not. Only 1 counts.
    Clips overlap by half, so chosen clips that overlap or touch become one highlight.
    """
    files = sorted(folder.glob("*/*/match_label.json"))
    if not files:
        raise UserError(f"{folder}: no CATEGORY/VIDEO/match_label.json below it")
    for file in files:
        try:
            clips, labels = parsed_json(file.read_bytes())[:2]
            spans = [(int(start), int(end)) for start, end in clips]
            chosen = [span for span, label in zip(spans, labels, strict=True) if label == 1]
        except (ValueError, TypeError) as error:
            raise UserError(f"{file}: not clips and labels of equal number: {error}") from None
        # The files do not give the length of the video; the end of its last clip stands in for it.
        n_frames = max((end for _, end in spans), default=0)
        mask = np.zeros(n_frames, bool)
        for start, end in chosen:
            mask[start:end] = True
        for start, end in runs(mask):
            yield Highlight(file.parent.name, start, end, file.parent.parent.name, n_frames)


def labels_table(unit: str, found: list[Highlight]) -> pd.DataFrame:
    """The labels csv that `video2gif evaluate` reads, one row a highlight."""
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
    """A manifest for `download.manifest` with declared spans: there are no GIF files to match.

    To train on one data set and test on another, write one manifest with split train and one with
    split test, and join them. `fps` turns frames into seconds; without it they raise `UserError`.
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
                # Numbered within its video: the data sets give no ids of their own.
                "gif_id": f"{one.video_id}-{counts[one.video_id]}",
                "gif_url": "",
                "start_s": one.start / scale,
                "end_s": one.end / scale,
                "category": one.category,
                "split": split,
            }
        )
    return pd.DataFrame(rows)
