"""Read the Video2GIF release: metadata.txt, and beside it video_tags.txt and testset.txt if there.

21 columns separated by `;` and a tab; nothing is quoted. The file gives the place of a GIF twice,
in frames and in seconds. If the two disagree, one is wrong and the row is not used. Otherwise the
seconds are used, because frame numbers depend on which copy of a video one has.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from video2gif.core.errors import ItemError, UserError
from video2gif.datasets.rows import (
    MAX_AGE_DAYS,
    MAX_VIEWS,
    Cells,
    GifError,
    Manifest,
    SourceRow,
    check_id,
    check_no_nul,
    check_youtube_id,
    collected,
    count,
    first_line,
    lines_after_header,
    local_videos,
    number,
    shown,
)

SEPARATOR = ";\t"
RELEASE_COLUMNS = (
    "youtube_id",
    "is_creative_commons",
    "gif_id",
    "gif_url",
    "gif_start_frame",
    "gif_end_frame",
    "gif_start_sec",
    "gif_end_sec",
    "gif_title",
    "gif_views",
    "gif_age",
    "video_title",
    "video_views",
    "video_publish_date",
    "video_likes",
    "video_duration",
    "video_frame_count",
    "video_category",
    "video_rating",
    "video_description",
    "video_retrieved_date",
)
_TOLERANCE_S = 0.5  # How far a GIF's frames and seconds may disagree.
# The authors host their test videos, which are CC-BY. All others are on YouTube.
_TEST_URL = "https://data.vision.ee.ethz.ch/cvl/video2gif/{}.mp4"
_URL = "https://www.youtube.com/watch?v={}"


def is_header(line: str) -> bool:
    """Whether a file with this first line is meant to be a metadata.txt, complete or not."""
    return SEPARATOR in line


def read(path: Path) -> Manifest:
    """Read a metadata.txt. Raises `UserError` for a column that is missing or unknown."""
    columns = first_line(path, columns=RELEASE_COLUMNS).split(SEPARATOR)
    _check_columns(path, columns)
    tags = read_tags(path.with_name("video_tags.txt"))
    test_ids = read_test_ids(path.with_name("testset.txt"))
    local = local_videos(path.parent)

    def video(line: int, text: str) -> tuple[SourceRow, Cells]:
        cell = _cells(columns, text)
        return _video(line, cell, tags=tags, test_ids=test_ids, local=local), cell

    return collected(lines_after_header(path), video, _with_gif, itemgetter("gif_id"))


def read_tags(path: Path) -> dict[str, str]:
    """The tags of each video, joined by |; empty if there is no file.

    The published file covers a tenth of the videos.
    """
    if not path.is_file():
        return {}
    found: dict[str, list[str]] = {}
    video_id = ""
    for _, text in lines_after_header(path):
        if isinstance(text, ItemError):
            continue
        head, separator, rest = text.partition(SEPARATOR)
        # A few tags contain line breaks: a line without the separator continues the one before.
        video_id = head if separator else video_id
        # Our tables separate tags by |, so it cannot stand in one.
        tags = (tag.strip().replace("|", "/") for tag in (rest if separator else text).split(";"))
        found.setdefault(video_id, []).extend(filter(None, tags))
    return {video_id: "|".join(tags) for video_id, tags in found.items()}


def read_test_ids(path: Path) -> frozenset[str]:
    """The ids of a testset.txt, which has one in each line; none if there is no file."""
    return frozenset(path.read_text().split()) if path.is_file() else frozenset()


def _check_columns(path: Path, columns: list[str]) -> None:
    for name in RELEASE_COLUMNS:
        if columns.count(name) != 1:
            how = "no column" if name not in columns else "more than one column"
            raise UserError(
                f"{path}: {how} {name!r}; a metadata.txt of Video2GIF has the columns"
                f" {', '.join(RELEASE_COLUMNS)}, separated by a semicolon and a tab"
            )
    unknown = [name for name in columns if name not in RELEASE_COLUMNS]
    if unknown:
        raise UserError(f"{path}: unknown column {unknown[0]!r}; take it out")


def _cells(columns: list[str], text: str) -> dict[str, str]:
    cells = text.split(SEPARATOR)
    if len(cells) != len(columns):
        raise ItemError("row", f"{len(cells)} cells, the header has {len(columns)}")
    return {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}


def _video(
    line: int,
    cell: Mapping[str, str],
    *,
    tags: Mapping[str, str],
    test_ids: Collection[str],
    local: Mapping[str, str],
) -> SourceRow:
    video_id = cell["youtube_id"]
    check_youtube_id("youtube_id", video_id)
    for name in ("gif_url", "video_category", "video_title"):
        check_no_nul(name, cell[name])
    is_test = video_id in test_ids
    return SourceRow(
        line=line,
        video_id=video_id,
        video_url=local.get(video_id, (_TEST_URL if is_test else _URL).format(video_id)),
        category=cell["video_category"],
        title=cell["video_title"],
        tags=tags.get(video_id, ""),
        split="test" if is_test else "",
    )


def _with_gif(video: SourceRow, cell: Mapping[str, str]) -> SourceRow:
    check_id("gif_id", cell["gif_id"])
    start_s, end_s = _span(cell)
    notes: list[str] = []
    return replace(
        video,
        gif_id=cell["gif_id"],
        gif_url=cell["gif_url"],
        start_s=start_s,
        end_s=end_s,
        views=count("gif_views", cell["gif_views"], MAX_VIEWS, notes),
        age_days=count("gif_age", cell["gif_age"], MAX_AGE_DAYS, notes),
        notes=tuple(notes),
    )


def _span(cell: Mapping[str, str]) -> tuple[float, float]:
    """The span in seconds, when frames and seconds agree. Raises `GifError` when they do not."""
    start_s, end_s = _ordered(cell, "gif_start_sec", "gif_end_sec")
    start, end = _ordered(cell, "gif_start_frame", "gif_end_frame")
    n_frames, duration_s = number(cell["video_frame_count"]), number(cell["video_duration"])
    # Comparisons with NaN are false, so what the row does not say cannot contradict it.
    if end > n_frames:
        raise GifError("label", f"gif_end_frame {end:g} of a video of {n_frames:g} frames")
    if end_s > duration_s + _TOLERANCE_S:
        raise GifError("label", f"gif_end_sec {end_s:g} of a video of {duration_s:g} s")
    if n_frames > 0 and duration_s > 0:
        for frame, second in ((start, start_s), (end, end_s)):
            frame_s = frame * duration_s / n_frames
            if abs(frame_s - second) > _TOLERANCE_S:
                raise GifError(
                    "label", f"frame {frame:g} is at {frame_s:.2f} s, the row says {second:g} s"
                )
    return start_s, end_s


def _ordered(cell: Mapping[str, str], first: str, last: str) -> tuple[float, float]:
    start, end = number(cell[first]), number(cell[last])
    if not 0 <= start < end < math.inf:  # False for NaN as well.
        raise GifError(
            "label", f"{first} {shown(cell[first])}, {last} {shown(cell[last])} is no span"
        )
    return start, end
