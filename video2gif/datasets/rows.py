"""What all layouts of a manifest share: rows, bad rows, checks of cells, and merging repeats."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from video2gif.core.errors import ItemError, UserError
from video2gif.core.names import turns_text
from video2gif.core.readers import decoded

MAX_ID_CHARS = 200
MAX_VIEWS = 1e12  # More than any video has; 1e30 is a broken cell, not popularity.
MAX_AGE_DAYS = 1e5
_MAX_LINE_BYTES = 1 << 20  # The longest descriptions have some 5,000 characters.

RowKind = Literal["video", "gif", "row"]
LineT = TypeVar("LineT")  # of a line, as a layout's reader takes it


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """One GIF of a video (half-open span in seconds if declared), or a video without GIFs."""

    line: int
    """Where it stands in the manifest; the header is line 1."""
    video_id: str
    video_url: str
    gif_id: str = ""
    """"" for a video without GIFs."""
    gif_url: str = ""
    """"" if only a span is known."""
    start_s: float | None = None
    end_s: float | None = None
    views: float | None = None
    age_days: float | None = None
    category: str = ""
    title: str = ""
    tags: str = ""
    """Separated by |."""
    split: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """One sentence for each cell that was not understood and therefore counts as unknown."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line, or an id that a line names, which cannot be used. `reason` is `cause: message`."""

    line: int
    reason: str
    kind: RowKind = "row"
    id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and id; a line that names nothing usable is called `line:17`."""
        return (self.kind, self.id) if self.kind != "row" else ("row", f"line:{self.line}")


@dataclass(frozen=True)
class Manifest:
    """A manifest as it was understood. A GIF that is in `bad` is not in `rows`."""

    rows: list[SourceRow]
    """One a GIF, plus one for each video without usable GIFs, in the order of the file."""
    bad: list[BadRow]
    merged: list[int] = field(default_factory=list)
    """Lines that add nothing: repeats of an earlier row, and further lines about an id in `bad`.
    Every line is in `rows`, in `bad` or here."""


class GifError(ItemError):
    """The GIF's id can be used, but what the row says about it cannot."""


# --- lines -----------------------------------------------------------------------------------


def first_line(path: Path, *, columns: Sequence[str]) -> str:
    """The header. Raises `UserError` for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_LINE_BYTES).removeprefix(b"\xef\xbb\xbf")
            return decoded(re.split(rb"[\r\n]", line)[0])
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such manifest; set download.manifest in params.yaml to a csv with the"
            f" columns {', '.join(columns)}"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a manifest: {error.strerror}") from None


def lines_after_header(path: Path) -> Iterator[tuple[int, str | ItemError]]:
    """(line number, text) of each line that is not blank; an `ItemError` instead of a bad text.

    Lines end in LF or CRLF, which is cut off. A line above `_MAX_LINE_BYTES` is an error and is
    never held in memory as a whole.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE_BYTES):
            number += 1
            size = len(line)
            # The rest of a line that is too long is read and counted block by block.
            while not line.endswith(b"\n") and (more := file.readline(_MAX_LINE_BYTES)):
                size += len(more)
                line = more
            if size > _MAX_LINE_BYTES:
                yield number, ItemError("row", f"{size} bytes, more than {_MAX_LINE_BYTES}")
            elif number > 1 and line.strip():
                yield number, decoded(line.removesuffix(b"\n").removesuffix(b"\r"))


# --- cells -----------------------------------------------------------------------------------


def check_id(column: str, value: str) -> None:
    """Raise `ItemError` for an id that would be unsafe in a table, a file name or a log line."""
    fault = ""
    if not value:
        fault = "is empty"
    elif len(value) > MAX_ID_CHARS:
        fault = f"has {len(value)} characters, more than {MAX_ID_CHARS}"
    elif turns_text(value):
        fault = "has control characters, line breaks or marks that turn text around"
    elif "/" in value or "\\" in value or value in (".", ".."):
        fault = "looks like a path"
    if fault:
        raise ItemError("bad_id", f"{column} {shown(value)} {fault}")


def check_youtube_id(column: str, value: str) -> None:
    """Raise `ItemError` for an id with other characters than YouTube's 64."""
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{MAX_ID_CHARS}}}", value):
        raise ItemError("bad_id", f"{column} {shown(value)} is no YouTube id")


def check_no_nul(name: str, text: str) -> None:
    """Raise `ItemError` for a text with a NUL character, at which C libraries stop reading."""
    if "\0" in text:
        raise ItemError("row", f"NUL character in {name}")


def shown(value: str) -> str:
    """A cell as it may stand in a message: cut to 60 characters, quoted, ASCII only."""
    return ascii(value if len(value) <= 60 else value[:57] + "...")


def count(name: str, text: str, limit: float, notes: list[str]) -> float | None:
    """The cell as a number in [0, limit], else None. A cell that is not one is added to `notes`."""
    value = number(text)
    if 0 <= value <= limit:
        return value
    if text:
        notes.append(f"{name} {shown(text)} is no number in [0, {limit:g}]: taken as unknown")
    return None


def number(text: str) -> float:
    """The number, or NaN."""
    # float() would also accept "1_000" and digits of other scripts. In a manifest both are
    # mistakes.
    return float(text) if re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", text, re.A) else math.nan


# --- the file as a whole ---------------------------------------------------------------------


def local_videos(folder: Path) -> dict[str, str]:
    """Path by id of the files `videos/<id>.<extension>` beside a published list.

    They are used instead of the links in the list, many of which are dead.
    """
    return {
        path.stem: path.relative_to(folder).as_posix()
        # Sorted, as the order in a folder differs from disk to disk.
        for path in sorted(folder.glob("videos/*"))
        if path.is_file()
    }


Cells = dict[str, str]
"""One line of a manifest by its columns' names."""


def collected(
    lines: Iterable[tuple[int, LineT | ItemError]],
    video: Callable[[int, LineT], tuple[SourceRow, Cells]],
    with_gif: Callable[[SourceRow, Cells], SourceRow],
    gif_id: Callable[[Cells], str],
) -> Manifest:
    """All lines of a file, reconciled. A fault of a line's GIF leaves its video usable."""
    rows: list[SourceRow] = []
    bad: list[BadRow] = []
    for line, text in lines:
        try:
            if isinstance(text, ItemError):
                raise text
            row, cells = video(line, text)
        except ItemError as error:
            bad.append(BadRow(line, error.reason))
            continue
        try:
            row = with_gif(row, cells)
        except GifError as error:
            bad.append(BadRow(line, error.reason, "gif", gif_id(cells)))
        except ItemError as error:
            bad.append(BadRow(line, error.reason))
        # Whatever is wrong with its GIF, the video is there.
        rows.append(row)
    return reconciled(rows, bad)


def reconciled(rows: list[SourceRow], bad: list[BadRow]) -> Manifest:
    """Merge repeated rows, turn contradictions into bad rows, and keep every video.

    Of equal rows the first stays. A video with no usable GIF keeps one row without a GIF.
    """
    source: Callable[[SourceRow], object] = lambda row: (row.video_url, row.split)  # noqa: E731
    # Where a row stands is no contradiction.
    whole: Callable[[SourceRow], object] = lambda row: replace(row, line=0)  # noqa: E731
    gifs = [row for row in rows if row.gif_id]
    # Not `+=`: the caller's list stays as it was.
    bad = bad + _missing_urls(rows)
    bad += _conflicts(rows, "video", source, "video_url or split")
    bad += _conflicts(gifs, "gif", whole, "data")
    unusable = {entry.key for entry in bad}
    # Reversed, so that the first row of an id is the last one written, and stays.
    kept = {row.gif_id: row for row in reversed(gifs) if ("gif", row.gif_id) not in unusable}
    with_gifs = {row.video_id for row in kept.values()}
    others = {
        row.video_id: _without_gif(row) for row in reversed(rows) if row.video_id not in with_gifs
    }
    ordered = sorted([*kept.values(), *others.values()], key=lambda row: row.line)
    listed = sorted(_first_of_each(bad), key=lambda entry: entry.line)
    seen = {row.line for row in rows} | {entry.line for entry in bad}
    merged = seen - {row.line for row in ordered} - {entry.line for entry in listed}
    return Manifest(ordered, listed, sorted(merged))


def _without_gif(row: SourceRow) -> SourceRow:
    return SourceRow(
        line=row.line,
        video_id=row.video_id,
        video_url=row.video_url,
        category=row.category,
        title=row.title,
        tags=row.tags,
        split=row.split,
    )


def _missing_urls(rows: Iterable[SourceRow]) -> list[BadRow]:
    return [
        BadRow(row.line, "row: video_url is empty", "video", row.video_id)
        for row in rows
        if not row.video_url
    ]


def _conflicts(
    rows: Iterable[SourceRow], kind: RowKind, data: Callable[[SourceRow], object], what: str
) -> list[BadRow]:
    """One BadRow for each line that contradicts the first one with its id."""
    first: dict[str, SourceRow] = {}
    found = []
    for row in rows:
        row_id = row.video_id if kind == "video" else row.gif_id
        earlier = first.setdefault(row_id, row)
        if earlier is not row and data(earlier) != data(row):
            reason = f"conflict: lines {earlier.line} and {row.line} give different {what}"
            found.append(BadRow(row.line, reason, kind, row_id))
    return found


def _first_of_each(bad: Iterable[BadRow]) -> list[BadRow]:
    first: dict[tuple[str, str], BadRow] = {}
    for entry in bad:
        first.setdefault(entry.key, entry)
    return list(first.values())
