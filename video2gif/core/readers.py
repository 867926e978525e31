"""Read what people and programs hand us: csv tables, YAML, JSON. Bounded, whatever they hold.

A spreadsheet writes a mark at the start (BOM), old ones end lines in CR; a stranger's YAML may name
one list a million times, or nest until the parser overruns its stack. What cannot be taken is a
`Unreadable` that says line, value, limit and remedy; who reads adds the file.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from video2gif.core.errors import ItemError, UserError

# Far above anything real. Without them a hostile file fills the memory before it is refused.
MAX_COLUMNS = 1000
MAX_CELL_CHARS = 100_000
MAX_TABLE_BYTES = 500_000_000
MAX_DOCUMENT_BYTES = 50_000_000
MAX_DEPTH = 100
# A quoted cell may contain line breaks. The limit keeps a forgotten quote from swallowing the file.
_MAX_RECORD_LINES = 20
_MARK = b"\xef\xbb\xbf"
_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[\[\]{}]', re.DOTALL)


class Unreadable(ValueError):
    """A document that is not taken. The message names line or value, limit and remedy."""


@dataclass(frozen=True)
class TextTable:
    """A csv file: its header, and each further record with its line number and its text cells."""

    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]


def read_table(path: Path, required: Sequence[str]) -> TextTable:
    """A csv file all of whose lines must be good. Raises `UserError` naming line and remedy."""
    lines = text_lines(path)
    columns = header_of(path, lines[0])
    missing = [name for name in required if name not in columns]
    if missing:
        raise UserError(f"{path}: no column {', '.join(missing)}; found {', '.join(columns)[:500]}")
    rows = []
    for line, cells in records(lines, start=1, width=len(columns)):
        if isinstance(cells, ItemError):
            raise UserError(f"{path}:{line}: {cells}; mend or remove the line")
        if len(cells) != len(columns):
            raise UserError(f"{path}:{line}: {len(cells)} cells, the header has {len(columns)}")
        rows.append((line, dict(zip(columns, cells, strict=True))))
    return TextTable(columns, rows)


def text_lines(path: Path) -> list[str]:
    """Lines that end in LF, CR or both; each UTF-8, or Latin-1 if it is not. Raises `UserError`."""
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise UserError(f"{path}: more than {MAX_TABLE_BYTES} bytes; divide it")
        content = path.read_bytes().removeprefix(_MARK)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    return [decoded(line) for line in re.split(rb"\r\n|\n|\r", content)]


def header_of(path: Path, line: str) -> list[str]:
    """The names of the columns. Raises `UserError`."""
    found, _ = cells_of(line)
    if not found or isinstance(found, str):
        raise UserError(f"{path}:1: its first line is no header of a csv file")
    if len(found) > MAX_COLUMNS:
        raise UserError(f"{path}:1: {len(found)} columns; the limit is {MAX_COLUMNS}")
    return [name.strip() for name in found]


def records(
    lines: Sequence[str], *, start: int, width: int
) -> Iterator[tuple[int, list[str] | ItemError]]:
    """(line number, cells) of each record, or (line number, what is wrong with it)."""
    at = start
    while at < len(lines):
        taken, found = _record(lines, at, width)
        if found:
            yield at + 1, ItemError("row", found) if isinstance(found, str) else found
        at += taken


def cells_of(text: str) -> tuple[list[str] | str, bool]:
    """The cells of a record, or what is wrong; and whether a quote is still open at its end."""
    if not text.strip():
        return [], False
    try:
        found = next(csv.reader([text], strict=True))
    except csv.Error as error:
        return f"not readable as csv: {error}", "end of data" in str(error)
    longest = max(map(len, found))
    if longest > MAX_CELL_CHARS:
        return f"a cell of {longest} characters; the limit is {MAX_CELL_CHARS}", False
    return found, False


def decoded(line: bytes) -> str:
    """A line as text: UTF-8, or Latin-1 if it is not. Decided for each line, as files mix both."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def parsed_yaml(text: str | bytes) -> Any:
    """The content of a YAML document of plain values. Raises `Unreadable`."""
    _check_size(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Events come from a loop; only what builds values from them calls itself.
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            # A kilobyte of aliases can unfold to gigabytes ("billion laughs").
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise Unreadable(f"line {line}: *{event.anchor} repeats a part; write it out")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            _check_depth(depth)
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise Unreadable(f"not valid YAML: {str(error)[:500]}") from None


def parsed_json(text: str | bytes) -> Any:
    """The content of a JSON document without NaN and infinity. Raises `Unreadable`."""
    _check_size(text)
    try:
        plain = text.decode() if isinstance(text, bytes) else text
        # `json.loads` calls itself for each level, so levels are counted before, in a loop.
        depth = 0
        for token in _JSON_TOKEN.finditer(plain):
            depth += (token[0] in "[{") - (token[0] in "]}")
            _check_depth(depth)
        return json.loads(plain, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise Unreadable("not valid JSON: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"not valid JSON: {error}") from None


def _no_number(word: str) -> NoReturn:
    raise Unreadable(f"not valid JSON: {word} is no number; write null")


def _check_size(text: str | bytes) -> None:
    if len(text) > MAX_DOCUMENT_BYTES:
        raise Unreadable(f"{len(text)} bytes; the limit is {MAX_DOCUMENT_BYTES}")


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Unreadable(f"nested more than {MAX_DEPTH} deep; no such document is ours")


def _record(lines: Sequence[str], at: int, width: int) -> tuple[int, list[str] | str]:
    """How many lines the record that starts at `at` takes, and its cells or what is wrong."""
    found, is_open = cells_of(lines[at])
    if not is_open:
        return 1, found
    for end in range(at + 1, min(at + _MAX_RECORD_LINES, len(lines))):
        if '"' in lines[end]:
            joined, still_open = cells_of("\n".join(lines[at : end + 1]))
            if not still_open:
                fits = isinstance(joined, list) and len(joined) == width
                # Another number of cells than the header's means that a quote was forgotten. Then
                # only this line is bad, and the next line begins a new record.
                return (end + 1 - at, joined) if fits else (1, found)
    return 1, found
