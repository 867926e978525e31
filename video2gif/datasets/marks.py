"""Marks: which moments of which videos a person called good or bad.

A file of marks is also a manifest of the project (`video2gif.datasets`). A good moment is a GIF of
which only the span is known; a bad moment has `verdict` bad. So `dvc exp run -S
download.manifest=DIR/marks.csv` trains on the marks. The videos lie in the same folder as the file.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from video2gif.core.errors import UserError
from video2gif.core.names import item_id
from video2gif.core.readers import read_table
from video2gif.core.store import atomic_path

Verdict = Literal["good", "bad"]

_COLUMNS = (
    "video_id",
    "video_url",
    "gif_id",
    "gif_url",
    "start_s",
    "end_s",
    "split",
    "verdict",
)
_MAX_S = 1e6  # eleven days


@dataclass(frozen=True, order=True)
class Mark:
    """One verdict on the span [start_s, end_s) of a video, seconds."""

    video: str
    """Name of the video's file, in the folder of the marks."""
    start_s: float
    end_s: float
    verdict: Verdict

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes two marks the same: video and span in whole milliseconds, as they are written.

        There is one verdict for each key.
        """
        return self.video, round(1000 * self.start_s), round(1000 * self.end_s)


def read_marks(path: Path) -> list[Mark]:
    """The marks of a file; none if there is no file. Raises `UserError` naming the line."""
    if not path.exists():
        return []
    table = read_table(path, _COLUMNS)
    return [_mark(row, f"{path}:{line}") for line, row in table.rows]


def write_marks(path: Path, marks: Iterable[Mark]) -> None:
    """Write the marks, sorted, the file whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(mark) for mark in sorted(marks))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def with_mark(marks: Sequence[Mark], new: Mark) -> list[Mark]:
    """`new` in place of an earlier verdict on the same span."""
    return [*without_mark(marks, new), new]


def without_mark(marks: Sequence[Mark], gone: Mark) -> list[Mark]:
    """All marks but those on one span."""
    return [mark for mark in marks if mark.key != gone.key]


def _row(mark: Mark) -> dict[str, str]:
    # A spreadsheet takes a cell that begins with = + - @ for a formula. An encoded name and a path
    # that begins with a dot never do.
    video_id = item_id(mark.video)
    return {
        "video_id": video_id,
        "video_url": f"./{mark.video}",
        "gif_id": f"{video_id}:{mark.key[1]}-{mark.key[2]}",
        "gif_url": "",
        "start_s": f"{mark.start_s:.3f}",
        "end_s": f"{mark.end_s:.3f}",
        # Without a split, a hash of the id would decide, and might put the video into the test
        # set. Nobody marks videos for that.
        "split": "train",
        "verdict": mark.verdict,
    }


def _mark(row: dict[str, str], where: str) -> Mark:
    try:
        start_s, end_s, verdict = float(row["start_s"]), float(row["end_s"]), row["verdict"]
    except (TypeError, ValueError):
        raise UserError(f"{where}: start_s and end_s are not numbers") from None
    if not (0 <= start_s < end_s <= _MAX_S):
        raise UserError(f"{where}: {start_s:g}–{end_s:g} s is no span; start_s must be below end_s")
    if verdict not in ("good", "bad"):
        raise UserError(f"{where}: verdict {verdict!r}; write good or bad")
    return Mark(row["video_url"].removeprefix("./"), start_s, end_s, verdict)  # type: ignore[arg-type]
