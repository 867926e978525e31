"""What a manifest names: videos, the GIFs people made of them, and what is known about both.

`read_manifest` reads the project's own csv (columns below). Every id comes out exactly as written
("0123456", "NA", "1e5", "-x"), every line either as a `SourceRow` or as a `BadRow` that says why
not. The published layouts (Video2GIF's metadata.txt, PHD2's csv) get readers of their own beside
it, which yield the same `Manifest`.
"""

import csv
import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from video2gif.errors import ItemError, UserError

REQUIRED = ("video_id", "video_url", "gif_id", "gif_url")
OPTIONAL = ("start_s", "end_s", "views", "age_days", "category", "title", "tags", "split")
SPLITS = ("", "train", "validation", "test")

MAX_ID_CHARS = 200
_MAX_VIEWS = 1e12  # More than any video has; 1e30 is a broken cell, not popularity.
_MAX_AGE_DAYS = 1e5
_MAX_RECORD_LINES = 20  # A quoted cell may hold line breaks, a forgotten quote must not eat a file.

Kind = Literal["video", "gif", "row"]


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """One GIF of a video (half-open span in seconds if declared), or a video without GIFs."""

    line: int
    """Where it stands in the manifest; the header is line 1."""
    video_id: str
    video_url: str
    gif_id: str = ""
    """"" for a video without GIFs."""
    gif_url: str = ""
    """"" where only a span is known."""
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
    """Cells that were not understood and count as unknown, one sentence each."""


@dataclass(frozen=True)
class BadRow:
    """A line, or an id that a line names, which cannot be used. `reason` is `cause: message`."""

    line: int
    reason: str
    kind: Kind = "row"
    id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and id; a line that names nothing usable is called `line:17`."""
        return (self.kind, self.id) if self.kind != "row" else ("row", f"line:{self.line}")


@dataclass(frozen=True)
class Manifest:
    """A manifest as it was understood. No id of `bad` names a GIF or a second source in `rows`."""

    rows: list[SourceRow]
    """One a GIF, plus one for each video without usable GIFs, in the order of the file."""
    bad: list[BadRow]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest csv: UTF-8 (a BOM, CRLF and single Latin-1 lines are fine), comma-separated.

    Raises `UserError` when the file is missing, empty, or lacks or misspells a column.
    """
    lines = _lines(path)
    columns = _header(path, lines[0])
    rows: list[SourceRow] = []
    bad: list[BadRow] = []
    for line, cells in _records(lines, start=1, width=len(columns)):
        try:
            if isinstance(cells, str):
                raise ItemError("row", cells)
            _read_row(line, columns, cells, rows, bad)
        except ItemError as error:
            bad.append(BadRow(line, error.reason))
    return _reconciled(rows, bad)


# --- lines and cells -------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such manifest; set download.manifest in params.yaml to a csv with the"
            f" columns {', '.join(REQUIRED)}"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a manifest: {error.strerror}") from None
    return [
        _decoded(line) for line in re.split(rb"\r\n|\n|\r", content.removeprefix(b"\xef\xbb\xbf"))
    ]


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")  # Line by line: mixed files keep their good lines.


def _records(
    lines: Sequence[str], *, start: int, width: int
) -> Iterator[tuple[int, list[str] | str]]:
    """(line number, cells) of each record, or (line number, what is wrong with it)."""
    at = start
    while at < len(lines):
        taken, cells = _record(lines, at, width)
        if cells:
            yield at + 1, cells
        at += taken


def _record(lines: Sequence[str], at: int, width: int) -> tuple[int, list[str] | str]:
    """How many lines the record that starts at `at` takes, and its cells or its fault."""
    cells, is_open = _cells(lines[at])
    if not is_open:
        return 1, cells
    for end in range(at + 1, min(at + _MAX_RECORD_LINES, len(lines))):
        if '"' in lines[end]:
            joined, still_open = _cells("\n".join(lines[at : end + 1]))
            if not still_open:
                fits = isinstance(joined, list) and len(joined) == width
                # Else a quote was forgotten: only its own line is lost, the next is a record.
                return (end + 1 - at, joined) if fits else (1, cells)
    return 1, cells


def _cells(text: str) -> tuple[list[str] | str, bool]:
    """The cells of a record, or its fault; and whether a quote is still open at its end."""
    if not text.strip():
        return [], False
    try:
        return next(csv.reader([text], strict=True)), False
    except csv.Error as error:
        return f"not readable as csv: {error}", "end of data" in str(error)


def _header(path: Path, line: str) -> list[str]:
    wanted = f"a manifest has the columns {', '.join(REQUIRED)}, and may have {', '.join(OPTIONAL)}"
    cells, _ = _cells(line)
    if not cells or isinstance(cells, str):
        raise UserError(f"{path}: its first line is no header; {wanted}")
    columns = [name.strip() for name in cells]
    for name in REQUIRED:
        if name not in columns:
            raise UserError(f"{path}: no column {name!r}; found {', '.join(columns)}; {wanted}")
    for name in columns:
        if columns.count(name) > 1:
            raise UserError(f"{path}: column {name!r} stands there twice; {wanted}")
        # A column of the user's own is ignored; a misspelt one would lose data in silence.
        absent = [known for known in OPTIONAL if known not in columns]
        meant = difflib.get_close_matches(name.lower(), absent, n=1, cutoff=0.75)
        if name not in REQUIRED + OPTIONAL and meant:
            raise UserError(f"{path}: unknown column {name!r}; rename it to {meant[0]!r}; {wanted}")
    return columns


# --- one row ---------------------------------------------------------------------------------


def check_id(column: str, value: str) -> None:
    """Raise `ItemError` for an id that no table, file name or log line should have to carry."""
    fault = ""
    if not value:
        fault = "is empty"
    elif len(value) > MAX_ID_CHARS:
        fault = f"has {len(value)} characters, more than {MAX_ID_CHARS}"
    elif any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
        fault = "has control characters or line breaks"
    elif "/" in value or "\\" in value or value in (".", ".."):
        fault = "looks like a path"
    if fault:
        raise ItemError("bad_id", f"{column} {_shown(value)} {fault}")


def _shown(value: str) -> str:
    return ascii(value if len(value) <= 60 else value[:57] + "...")


def _read_row(
    line: int, columns: list[str], cells: list[str], rows: list[SourceRow], bad: list[BadRow]
) -> None:
    """Append what a line says. A fault of the GIF leaves its video usable."""
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
    try:
        if cell["gif_id"]:
            check_id("gif_id", cell["gif_id"])
        rows.append(_with_gif(video, cell) if cell["gif_id"] or cell["gif_url"] else video)
        return
    except _GifError as error:
        bad.append(BadRow(line, error.reason, "gif", cell["gif_id"]))
    except ItemError as error:
        bad.append(BadRow(line, error.reason))
    rows.append(video)


class _GifError(ItemError):
    """The GIF's id is good, what the row says about it is not."""


def _check_text(cell: dict[str, str]) -> None:
    for name in ("video_url", "gif_url", "category", "title", "tags"):
        if "\0" in cell[name]:
            raise ItemError("row", f"NUL character in {name}")
    if cell["split"] not in SPLITS:
        known = ", ".join(SPLITS[1:])
        raise ItemError("row", f"split {_shown(cell['split'])} is not one of {known}")


def _with_gif(video: SourceRow, cell: dict[str, str]) -> SourceRow:
    if not cell["gif_id"]:
        raise ItemError("row", "gif_url without gif_id")
    start_s, end_s = _span(cell["start_s"], cell["end_s"])
    if not cell["gif_url"] and start_s is None:
        raise _GifError("row", "neither gif_url nor start_s and end_s: nothing is known of it")
    notes: list[str] = []
    return replace(
        video,
        gif_id=cell["gif_id"],
        gif_url=cell["gif_url"],
        start_s=start_s,
        end_s=end_s,
        views=_count("views", cell["views"], _MAX_VIEWS, notes),
        age_days=_count("age_days", cell["age_days"], _MAX_AGE_DAYS, notes),
        notes=tuple(notes),
    )


def _span(start: str, end: str) -> tuple[float | None, float | None]:
    """The declared half-open span in seconds, or (None, None). Raises for an impossible one."""
    if not start and not end:
        return None, None
    start_s, end_s = _number(start), _number(end)
    if not 0 <= start_s < end_s < math.inf:  # False for NaN as well.
        raise _GifError("label", f"start_s {_shown(start)}, end_s {_shown(end)} is no span")
    return start_s, end_s


def _count(name: str, text: str, limit: float, notes: list[str]) -> float | None:
    """A number in [0, limit], or None; a cell that is not one is noted, never guessed at."""
    value = _number(text)
    if 0 <= value <= limit:
        return value
    if text:
        notes.append(f"{name} {_shown(text)} is no number in [0, {limit:g}]: taken as unknown")
    return None


def _number(text: str) -> float:
    """The number, or NaN."""
    # float() would also take "1_000" and digits of other scripts: those cells are broken.
    return float(text) if re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", text, re.A) else math.nan


# --- the file as a whole ---------------------------------------------------------------------


def _reconciled(rows: list[SourceRow], bad: list[BadRow]) -> Manifest:
    """Merge repeated rows, turn contradictions into conflicts, keep every video."""
    source: Callable[[SourceRow], object] = lambda row: (row.video_url, row.split)  # noqa: E731
    whole: Callable[[SourceRow], object] = lambda row: replace(row, line=0)  # noqa: E731
    gifs = [row for row in rows if row.gif_id]
    bad = bad + _missing_urls(rows)
    bad += _conflicts(rows, "video", source, "video_url or split")
    bad += _conflicts(gifs, "gif", whole, "data")
    unusable = {entry.key for entry in bad}
    kept = {row.gif_id: row for row in reversed(gifs) if ("gif", row.gif_id) not in unusable}
    with_gifs = {row.video_id for row in kept.values()}
    others = {
        row.video_id: _without_gif(row) for row in reversed(rows) if row.video_id not in with_gifs
    }
    ordered = sorted([*kept.values(), *others.values()], key=lambda row: row.line)
    return Manifest(ordered, sorted(_first_of_each(bad), key=lambda entry: entry.line))


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
    rows: Iterable[SourceRow], kind: Kind, data: Callable[[SourceRow], object], what: str
) -> list[BadRow]:
    """One BadRow for each line that contradicts the first one with its id."""
    first: dict[str, SourceRow] = {}
    found = []
    for row in rows:
        row_id = row.video_id if kind == "video" else row.gif_id
        earlier = first.setdefault(row_id, row)
        if data(earlier) != data(row):
            reason = f"conflict: lines {earlier.line} and {row.line} give different {what}"
            found.append(BadRow(row.line, reason, kind, row_id))
    return found


def _first_of_each(bad: Iterable[BadRow]) -> list[BadRow]:
    first: dict[tuple[str, str], BadRow] = {}
    for entry in bad:
        first.setdefault(entry.key, entry)
    return list(first.values())
