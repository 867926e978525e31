"""The project's own manifest: a csv of ids, urls and what is known of them, one line a GIF.

UTF-8 (a BOM, CRLF and single Latin-1 lines are fine), comma-separated, with a header.
"""

import difflib
import math
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path

from video2gif.core.errors import ItemError, UserError
from video2gif.core.readers import header_of, records, text_lines
from video2gif.datasets.rows import (
    MAX_AGE_DAYS,
    MAX_VIEWS,
    Cells,
    GifError,
    Manifest,
    SourceRow,
    check_id,
    check_no_nul,
    collected,
    count,
    number,
    shown,
)

REQUIRED = ("video_id", "video_url", "gif_id", "gif_url")
OPTIONAL = (
    "start_s",
    "end_s",
    "views",
    "age_days",
    "category",
    "title",
    "tags",
    "split",
    "verdict",
)
MANIFEST_SPLITS = ("", "train", "validation", "test")
VERDICTS = ("", "good", "bad")
"""What a person said of a span (`datasets.marks`). A row with `bad` names a video and no GIF."""


def read(path: Path) -> Manifest:
    """Read a manifest csv. Raises `UserError` for a column that is missing or misspelt."""
    lines = text_lines(path)
    columns = _header(path, lines[0])
    found = records(lines, start=1, width=len(columns))
    return collected(found, partial(_video, columns), _with_gif, itemgetter("gif_id"))


def _header(path: Path, line: str) -> list[str]:
    wanted = f"a manifest has the columns {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}"
    try:
        columns = header_of(path, line)
    except UserError as error:
        raise UserError(f"{error}; {wanted}") from None
    for name in REQUIRED:
        if name not in columns:
            raise UserError(f"{path}: no column {name!r}; found {', '.join(columns)}; {wanted}")
    for name in columns:
        if columns.count(name) > 1:
            raise UserError(f"{path}: column {name!r} is there twice; {wanted}")
        # A column of the user's own is ignored. A misspelt one must not be: its data would be lost
        # without a word.
        absent = [known for known in OPTIONAL if known not in columns]
        meant = difflib.get_close_matches(name.lower(), absent, n=1, cutoff=0.75)
        if name not in REQUIRED + OPTIONAL and meant:
            raise UserError(f"{path}: unknown column {name!r}; rename it to {meant[0]!r}; {wanted}")
    return columns


# --- one row ---------------------------------------------------------------------------------


def _video(columns: list[str], line: int, cells: list[str]) -> tuple[SourceRow, Cells]:
    if len(cells) != len(columns):
        raise ItemError("row", f"{len(cells)} cells, the header has {len(columns)}")
    cell = {name: "" for name in OPTIONAL} | dict(zip(columns, cells, strict=True))
    check_id("video_id", cell["video_id"])
    _check_text(cell)
    video = SourceRow(
        line=line,
        video_id=cell["video_id"],
        video_url=cell["video_url"],
        category=cell["category"],
        title=cell["title"],
        tags=cell["tags"],
        split=cell["split"],
    )
    return video, cell


def _check_text(cell: dict[str, str]) -> None:
    for name in ("video_url", "gif_url", "category", "title", "tags"):
        check_no_nul(name, cell[name])
    if cell["verdict"] not in VERDICTS:
        raise ItemError("row", f"verdict {shown(cell['verdict'])} is neither good nor bad")
    if cell["split"] not in MANIFEST_SPLITS:
        known = ", ".join(MANIFEST_SPLITS[1:])
        raise ItemError("row", f"split {shown(cell['split'])} is not one of {known}")


def _with_gif(video: SourceRow, cell: dict[str, str]) -> SourceRow:
    if cell["gif_id"]:
        check_id("gif_id", cell["gif_id"])
    # Marks say "bad" of a span, and a bad span is no GIF.
    if cell["verdict"] == "bad" or not (cell["gif_id"] or cell["gif_url"]):
        return video
    if not cell["gif_id"]:
        raise ItemError("row", "gif_url without gif_id")
    start_s, end_s = _span(cell["start_s"], cell["end_s"])
    if not cell["gif_url"] and start_s is None:
        raise GifError("row", "neither gif_url nor start_s and end_s: nothing is known of it")
    notes: list[str] = []
    return replace(
        video,
        gif_id=cell["gif_id"],
        gif_url=cell["gif_url"],
        start_s=start_s,
        end_s=end_s,
        views=count("views", cell["views"], MAX_VIEWS, notes),
        age_days=count("age_days", cell["age_days"], MAX_AGE_DAYS, notes),
        notes=tuple(notes),
    )


def _span(start: str, end: str) -> tuple[float | None, float | None]:
    """The declared half-open span in seconds, or (None, None). Raises for an impossible one."""
    if not start and not end:
        return None, None
    start_s, end_s = number(start), number(end)
    if not 0 <= start_s < end_s < math.inf:  # False for NaN as well.
        raise GifError("label", f"start_s {shown(start)}, end_s {shown(end)} is no span")
    return start_s, end_s
