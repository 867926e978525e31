"""Share labels without sharing pixels: a file that describes each GIF's moment by its hashes.

A project whose GIFs are placed exports the file (from data/spans.parquet and data/fingerprints/).
Another project, which has other copies of the videos, imports it: each moment is found again by its
hashes. The import writes a manifest with declared spans, to be named in download.manifest.

The file is JSON lines. The first line says what the file is; every other line is one GIF:

    {"gif_id": …, "video_id": …, "of": "video" | "gif", "pts_s": […], "end_s": …,
     "quality": […], "parts": {"whole": ["c1d2…", …], "upper": …}, "views": …, "title": …}

`of` says whose frames were hashed: those of the video in the span or, if the GIF could not be
placed, the GIF's own. `parts.whole` are hashes of whole frames, written in hexadecimal as
`imagehash` does.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from video2gif.core.errors import ItemError, UserError
from video2gif.core.layout import Layout
from video2gif.core.readers import Unreadable, parsed_json
from video2gif.core.tables import SOURCES, SPANS
from video2gif.datasets.rows import SourceRow, check_id
from video2gif.fingerprint.read import Fingerprints
from video2gif.fingerprint.track import Track
from video2gif.labels.sequences import Realigned, excerpt, nearest_bits, parts_of, realign, to_track

_FORMAT = {"format": "video2gif hash labels", "version": 1, "hash": "imagehash.phash, 8×8"}
_KNOWN = ("views", "age_days", "category", "title", "tags", "split")
# How many videos are searched for one sequence: those that have the most similar frames.
_MOST_SEARCHED = 3
EXCHANGE_COLUMNS = ("video_id", "video_url", "gif_id", "gif_url", "start_s", "end_s", *_KNOWN)


@dataclass(frozen=True)
class Sequence:
    """One line of the file."""

    line: int
    gif_id: str
    video_id: str
    track: Track
    known: Mapping[str, Any]
    """Views, title and so on, as in the manifest."""


@dataclass(frozen=True)
class Aligned:
    """The result for one line of the file, also for one that could not be read."""

    line: int
    gif_id: str
    video_id: str
    """The copy it was looked for in."""
    found: Realigned
    known: Mapping[str, Any]


# --- export ----------------------------------------------------------------------------------


def export(layout: Layout, target: Path) -> tuple[int, list[tuple[str, str]]]:
    """Write the sequences of a project's GIFs to `target`.

    Returns how many were written, and (gif_id, reason) of those that were not.
    """
    spans, fingerprints = SPANS.read(layout.spans), Fingerprints.open(layout)
    known = {row.gif_id: row for row in SOURCES.read(layout.sources).itertuples(index=False)}
    left_out: list[tuple[str, str]] = []
    written = 0
    with target.open("w", encoding="utf-8") as file:
        file.write(json.dumps(_FORMAT, ensure_ascii=False) + "\n")
        for span in spans.itertuples(index=False):
            try:
                record = _record(span, known.get(span.gif_id), fingerprints)
            except ItemError as error:
                left_out.append((str(span.gif_id), error.reason))
                continue
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            written += 1
    return written, left_out


def _record(span: Any, source: Any, fingerprints: Fingerprints) -> dict[str, Any]:
    if span.status == "placed":
        whole = fingerprints.get("video", span.video_id).track
        of, track = "video", excerpt(whole, int(span.start_frame), int(span.end_frame))
    else:
        of, whole = "gif", fingerprints.get("gif", span.gif_id).track
        track = excerpt(whole, 0, len(whole))
    if not track.quality.any():
        raise ItemError("label", "no frame with a picture")
    record = {
        "gif_id": span.gif_id,
        "video_id": span.video_id,
        "of": of,
        # Microseconds, and hundredths of a quality: more digits would say nothing and fill the
        # file.
        "pts_s": [round(time_s, 6) for time_s in track.pts_s.tolist()],
        "end_s": round(track.end_s, 6),
        "quality": [round(value, 2) for value in track.quality.tolist()],
        "parts": parts_of(track),
    }
    values = {name: getattr(source, name, "") for name in _KNOWN}
    return record | {name: value for name, value in values.items() if not _is_blank(value)}


def _is_blank(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


# --- import ----------------------------------------------------------------------------------


def read(path: Path) -> Iterator[Sequence | Aligned]:
    """The sequences of a file. A bad line comes as an `Aligned` with the reason."""
    try:
        # A byte that is no UTF-8 spoils its own line only.
        with path.open(encoding="utf-8", errors="replace") as file:
            if _parsed(file.readline()).get("format") != _FORMAT["format"]:
                raise UserError(f"{path}: its first line does not say {_FORMAT['format']!r}")
            for line, text in enumerate(file, start=2):
                try:
                    yield _sequence(line, _parsed(text))
                except (ItemError, ValueError, KeyError, TypeError) as error:
                    reason = f"row: {type(error).__name__}: {error}"[:200]
                    yield Aligned(line, "", "", Realigned(reason=reason), {})
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        content = parsed_json(text)
    except Unreadable:
        content = None
    return content if isinstance(content, dict) else {}


def _sequence(line: int, record: Mapping[str, Any]) -> Sequence:
    for name in ("gif_id", "video_id"):
        check_id(name, record[name])
    track = to_track(
        pts_s=record["pts_s"],
        end_s=float(record["end_s"]),
        quality=record["quality"],
        parts=record["parts"],
    )
    known = {name: str(record.get(name, "")) for name in _KNOWN}
    return Sequence(line, record["gif_id"], record["video_id"], track, known)


def align(
    sequences: Iterable[Sequence | Aligned], fingerprints: Fingerprints, *, everywhere: bool
) -> Iterator[Aligned]:
    """Find each sequence in the video with the same id; `everywhere`: in any video."""
    index = fingerprints.index
    present = set(index.loc[(index.kind == "video") & (index.status == "ok"), "id"])
    for one in sequences:
        if isinstance(one, Aligned):
            yield one
            continue
        searched = sorted(present) if everywhere else sorted({one.video_id} & present)
        yield _align_one(one, searched, fingerprints)


def _align_one(one: Sequence, searched: list[str], fingerprints: Fingerprints) -> Aligned:
    def bits(candidate: str) -> float:
        return nearest_bits(one.track, fingerprints.get("video", candidate).phash)

    # The nearest frames in any order are quick to find; a real alignment takes far longer.
    likely = sorted(searched, key=bits)[:_MOST_SEARCHED] if len(searched) > 1 else searched
    tried = {
        candidate: realign(one.track, fingerprints.get("video", candidate).track)
        for candidate in likely
    }
    hits = [(found.bits, candidate) for candidate, found in tried.items() if not found.reason]
    if hits:
        # Of equal distance the first id.
        _, best = min(hits)
        return Aligned(one.line, one.gif_id, best, tried[best], one.known)
    missing = Realigned(reason=f"missing: no video {one.video_id} among the fingerprints")
    found = tried.get(one.video_id, missing)
    return Aligned(one.line, one.gif_id, one.video_id, found, one.known)


def write_manifest(target: Path, aligned: Iterable[Aligned], videos: Iterable[SourceRow]) -> None:
    """Write a manifest of this project's videos with the spans that were found.

    `videos` gives the urls. Every video appears, also one without GIFs.
    """
    url_of = {row.video_id: row.video_url for row in videos}
    rows = [
        {
            "video_id": one.video_id,
            "video_url": url_of[one.video_id],
            "gif_id": one.gif_id,
            "start_s": f"{one.found.start_s:.3f}",
            "end_s": f"{one.found.end_s:.3f}",
            **one.known,
        }
        for one in aligned
        if not one.found.reason and one.video_id in url_of
    ]
    used = {row["video_id"] for row in rows}
    rows += [{"video_id": v, "video_url": url} for v, url in url_of.items() if v not in used]
    frame = pd.DataFrame(rows, columns=list(EXCHANGE_COLUMNS)).fillna("")
    frame = frame.sort_values(["video_id", "gif_id"], kind="stable")
    frame.to_csv(target, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
