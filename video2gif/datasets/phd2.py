"""Read PHD2 (gifs.com): spans in seconds that users chose. There are no GIF files to match.

209 rows of the published test file have a video_duration of -1, which means unknown. Such a span
cannot be checked and is not used. One further span ends after its video.

`is_last` marks the GIF of each user that PHD2's own experiment holds out. It says nothing about a
video, so it is not used here.
"""

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from video2gif.core.errors import ItemError, UserError
from video2gif.datasets.rows import (
    Cells,
    GifError,
    Manifest,
    SourceRow,
    check_id,
    check_youtube_id,
    collected,
    first_line,
    lines_after_header,
    local_videos,
    number,
    shown,
)

PHD2_COLUMNS = ("youtubeId", "start", "duration", "user_id", "video_duration", "is_last")
# Durations in the file are cut to whole seconds, so a span may end up to a second later.
_TOLERANCE_S = 1.0
_URL = "https://www.youtube.com/watch?v={}"


def is_header(line: str) -> bool:
    """Whether a file with this first line is meant to be PHD2's, complete or not."""
    names = set(line.split(","))
    # video_url tells a manifest of ours, which may have columns of these names as well.
    return "video_url" not in names and len(names & set(PHD2_COLUMNS)) >= 3


def read(path: Path) -> Manifest:
    """Read a csv of PHD2. Raises `UserError` for a missing column."""
    columns = first_line(path, columns=PHD2_COLUMNS).split(",")
    for name in PHD2_COLUMNS:
        if columns.count(name) != 1:
            raise UserError(
                f"{path}: no column {name!r}, or more than one; a csv of PHD2 has the columns"
                f" {', '.join(PHD2_COLUMNS)}"
            )
    local = local_videos(path.parent)

    def video(line: int, text: str) -> tuple[SourceRow, Cells]:
        cell = _cells(columns, text)
        return _video(line, cell, local), cell

    return collected(lines_after_header(path), video, _with_gif, _gif_id)


def _cells(columns: list[str], text: str) -> dict[str, str]:
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ItemError("row", f"not readable as csv: {error}") from None
    if len(cells) != len(columns):
        raise ItemError("row", f"{len(cells)} cells, the header has {len(columns)}")
    return dict(zip(columns, cells, strict=True))


def _video(line: int, cell: Mapping[str, str], local: Mapping[str, str]) -> SourceRow:
    video_id = cell["youtubeId"]
    check_youtube_id("youtubeId", video_id)
    check_id("user_id", cell["user_id"])
    return SourceRow(
        line=line,
        video_id=video_id,
        video_url=local.get(video_id, _URL.format(video_id)),
    )


def _gif_id(cell: Mapping[str, str]) -> str:
    """An id for a GIF, which PHD2 does not give: video, user and span together."""
    return "_".join(cell[name] for name in ("youtubeId", "user_id", "start", "duration"))


def _with_gif(video: SourceRow, cell: Mapping[str, str]) -> SourceRow:
    start_s, duration_s = number(cell["start"]), number(cell["duration"])
    video_s = number(cell["video_duration"])
    if not (start_s >= 0 and duration_s > 0):  # False for NaN as well.
        start, duration = shown(cell["start"]), shown(cell["duration"])
        raise GifError("label", f"start {start}, duration {duration} is no span")
    # The file has hundredths: 204.39 + 7.08 must give 211.47, not 211.46999999999997.
    end_s = round(start_s + duration_s, 6)
    if video_s < 0:
        raise GifError("label", f"video_duration {video_s:g}: PHD2 did not know its length")
    # NaN, for a length that is not given, contradicts nothing.
    if end_s > video_s + _TOLERANCE_S:
        raise GifError("label", f"span {start_s:g}–{end_s:g} s of a video of {video_s:g} s")
    gif_id = _gif_id(cell)
    return replace(video, gif_id=gif_id, start_s=start_s, end_s=end_s)
