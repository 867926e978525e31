"""Bring every file that the manifest names to data/media, and note for every id what became of it.

Reads the manifest (params: download.manifest). Writes data/media/{videos,gifs}/, named by id and
content, data/downloads.parquet (each id exactly once) and data/sources.parquet (the manifest as it
was understood).

A source is a file below the manifest's folder, an http(s) url, or a `sample:` url, which is
rendered. A url is fetched once: its item's key contains the text of the url. A local file is copied
in each run, and looked into once: that item's key contains the sha256 of the file.
"""

import hashlib
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

from video2gif.core import config
from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, Counts, check_failed_fraction, compute
from video2gif.core.layout import Layout, clear_folder
from video2gif.core.names import shown
from video2gif.core.store import file_digest
from video2gif.core.tables import DOWNLOADS, SOURCES
from video2gif.core.types import Kind
from video2gif.core.work import Item, Outcome, Status, Work
from video2gif.datasets import read_manifest
from video2gif.datasets.rows import BadRow, Manifest, SourceRow
from video2gif.media.fetch import fetch_item, fetching, policy_of
from video2gif.media.probe import check_size, probe_item, probing, read_probe
from video2gif.sample import rendering, sample_item

_FOLDERS = {"video": "videos", "gif": "gifs"}
_BLOCK = 1 << 20

# A scheme has at least two letters here, so that `a:b.mp4` is a file name.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")

Scheme = Literal["sample", "http", "local"]


@dataclass(frozen=True)
class Source:
    """One file to have: a video or a GIF, and where it comes from."""

    kind: Kind
    id: str
    url: str
    note: str = ""
    """Cells of its manifest row that were not understood, one sentence each."""


@dataclass(frozen=True)
class Staged:
    """A source's file as it was copied below data/media, before it is checked."""

    source: Source
    path: Path
    sha256: str
    bytes: int
    status: Status


@dataclass(frozen=True)
class Result:
    """A row of DOWNLOADS and how it counts."""

    row: Mapping[str, Any]
    status: Status


def sources(manifest: Manifest) -> list[Source]:
    """Every video and GIF to bring here, once, sorted by kind and id.

    Those that are bad in the manifest itself are left out, and GIFs without a file.
    """
    spoilt = {bad.key for bad in manifest.bad} | {("gif", gif.gif_id) for gif in spans(manifest)}
    found: dict[tuple[str, str], Source] = {}
    for row in manifest.rows:
        # The first row of an id counts; one that contradicts it is in `manifest.bad`.
        found.setdefault(("video", row.video_id), Source("video", row.video_id, row.video_url))
        if row.gif_id:
            gif = Source("gif", row.gif_id, row.gif_url, "; ".join(row.notes))
            found.setdefault(("gif", row.gif_id), gif)
    return [found[key] for key in sorted(found) if key not in spoilt]


def spans(manifest: Manifest) -> list[SourceRow]:
    """GIFs of which only the span is known. There is nothing to fetch, and that is no error."""
    return [row for row in manifest.rows if row.gif_id and not row.gif_url]


def origin(url: str) -> Scheme:
    """How a source is brought here. Raises `ItemError` for a scheme that is not supported."""
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else ""
    if scheme in ("http", "https"):
        return "http"
    if scheme == "sample":
        return "sample"
    if scheme:
        raise ItemError(
            "refused",
            f"scheme {scheme!r} is not served; use http, https, or ./ before a file's name",
        )
    return "local"


def safe_name(item_id: str) -> str:
    """A file name for an id; no two ids share one. Characters outside [A-Za-z0-9_-] are encoded.

    A long name is cut and ends in `~` and half a sha256. Short names never contain `~`, so the two
    kinds cannot collide.
    """
    # `quote` leaves both. A dot would start an extension, which `with_suffix` replaces; ~ is ours.
    name = urllib.parse.quote(item_id, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(name) <= 120:
        return name
    return f"{name[:80]}~{hashlib.sha256(item_id.encode()).hexdigest()[:32]}"


def local_file(folder: Path, relative: str) -> Path:
    """A regular file below `folder`. Raises `ItemError` (missing, refused)."""
    name = _printable(relative)
    root = folder.resolve()
    try:
        path = (root / relative).resolve()
        # A manifest may come from a stranger: it must not make us read /etc or our neighbours.
        if Path(relative).is_absolute() or not path.is_relative_to(root):
            raise ItemError("refused", f"{name} leads out of the manifest's folder")
        if path.is_file():
            return path
        if path.exists():
            raise ItemError("refused", f"{name} is not a regular file")
    except OSError as error:
        raise ItemError("missing", f"{name}: {error.strerror}") from None
    raise ItemError("missing", f"{name}: no such file in the manifest's folder")


def _printable(text: str) -> str:
    """A name that is safe in tables and terminals, and short."""
    return shown(text if len(text) <= 200 else text[:197] + "...")


# --- rows ------------------------------------------------------------------------------------


def _row(kind: str, item_id: str, status: str, reason: str, **known: Any) -> dict[str, Any]:
    blank = {"path": "", "sha256": "", "bytes": None, "n_frames": None, "duration_s": None}
    blank |= {"fps_num": None, "fps_den": None, "width": None, "height": None}
    return {"kind": kind, "id": item_id, **blank, **known, "status": status, "reason": reason}


def _failed(kind: str, item_id: str, reason: str, **known: Any) -> Result:
    status = "missing" if reason.startswith("missing:") else "quarantined"
    return Result(_row(kind, item_id, status, reason, **known), "quarantined")


def _spoilt(bad: BadRow) -> Result:
    kind, item_id = bad.key
    return _failed(kind, item_id, f"{bad.reason} (line {bad.line})")


def _only_span(gif: SourceRow) -> Result:
    reason = "missing: the manifest gives its span and no gif_url"
    # Not `quarantined`: it is no failure, and no share of `max_failed_fraction`.
    return Result(_row("gif", gif.gif_id, "missing", reason), "reused")


def _source_rows(rows: Sequence[SourceRow]) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in SOURCES.schema.names} for row in rows]


# --- bytes -----------------------------------------------------------------------------------


class _Collector:
    """Copies the sources of one run to data/media, and collects those that fail."""

    def __init__(self, layout: Layout, params: config.DownloadParams, context: Context) -> None:
        self._layout = layout
        self._params = params
        self._context = context
        self._folder = (layout.root / params.manifest).parent
        self.failed: list[Result] = []

    def collect(self, wanted: Sequence[Source]) -> list[Staged]:
        """Copy every source that can be had to data/media."""
        by_origin: dict[Scheme, list[Source]] = {"sample": [], "http": [], "local": []}
        for source in wanted:
            with self._failing(source):
                by_origin[origin(source.url)].append(source)
        limits = self._params
        samples = rendering(timeout_s=limits.timeout_s)
        files = fetching(policy_of(limits))
        return [
            *self._local(by_origin["local"]),
            *self._made(samples, by_origin["sample"]),
            *self._made(files, by_origin["http"]),
        ]

    def _local(self, wanted: Sequence[Source]) -> Iterator[Staged]:
        for source in wanted:
            with self._failing(source):
                path = local_file(self._folder, source.url)
                yield self._take(source, path, "reused")

    def _made(self, work: Work, wanted: Sequence[Source]) -> Iterator[Staged]:
        """Sources that are rendered or fetched: through the item store, so that it happens once."""
        if not wanted:
            return
        items = [self._item(source) for source in wanted]
        outcomes = compute("download", work, items, self._context)
        for source, outcome in zip(wanted, outcomes, strict=True):
            if outcome.status == "quarantined":
                self.failed.append(_failed(source.kind, source.id, outcome.reason))
                continue
            with self._failing(source):
                # The store may hold it from a time when the limit was higher.
                self._check_size(self._context.store.path(outcome.key))
                yield self._take_stored(source, outcome)

    def _item(self, source: Source) -> Item:
        name = f"{source.kind}:{source.id}"
        if origin(source.url) == "sample":
            return sample_item(name, source.url)
        return fetch_item(name, source.url, policy_of(self._params))

    def _take_stored(self, source: Source, outcome: Outcome) -> Staged:
        target = self._target(source)
        self._context.store.copy_to(outcome.key, target)
        size = target.stat().st_size
        return Staged(source, target, file_digest(target), size, outcome.status)

    def _take(self, source: Source, path: Path, status: Status) -> Staged:
        target = self._target(source)
        self._check_size(path)
        # The copy is hashed and checked, not the original: that may change in the meantime.
        with path.open("rb") as file, target.open("wb") as copy:
            digest, size = _copy(file, copy)
        return Staged(source, target, digest, size, status)

    def _target(self, source: Source) -> Path:
        folder = self._layout.media / _FOLDERS[source.kind]
        folder.mkdir(parents=True, exist_ok=True)
        # The extension comes from the content, once that has been looked into.
        return folder / f"{safe_name(source.id)}.part"

    def _check_size(self, path: Path) -> None:
        check_size(path.stat().st_size, max_bytes=self._params.max_bytes)

    @contextmanager
    def _failing(self, source: Source) -> Iterator[None]:
        """Note an error of one source instead of ending the run."""
        try:
            yield
        except ItemError as error:
            self.failed.append(_failed(source.kind, source.id, error.reason))
        except PermissionError as error:
            reason = f"missing: {_printable(source.url)}: {error.strerror}"
            self.failed.append(_failed(source.kind, source.id, reason))


def _copy(source: BinaryIO, target: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for block in iter(partial(source.read, _BLOCK), b""):
        digest.update(block)
        size += target.write(block)
    return digest.hexdigest(), size


def _probed(staged: Sequence[Staged], layout: Layout, context: Context) -> list[Result]:
    """Check every staged file. Good ones get the extension of their content; others are deleted."""
    items = [
        probe_item(
            f"{one.source.kind}:{one.source.id}",
            one.path,
            kind=one.source.kind,
            sha256=one.sha256,
        )
        for one in staged
    ]
    outcomes = compute("download", probing(), items, context) if items else []
    return [
        _settled(one, outcome, layout, context)
        for one, outcome in zip(staged, outcomes, strict=True)
    ]


def _settled(one: Staged, outcome: Outcome, layout: Layout, context: Context) -> Result:
    source = one.source
    known: dict[str, Any] = {"sha256": one.sha256, "bytes": one.bytes}
    if not outcome.ok:
        one.path.unlink()
        return _failed(source.kind, source.id, outcome.reason, **known)
    found = read_probe(context.store.read(outcome.key))
    # What it is by content, whatever the address calls it.
    final = one.path.with_suffix(f".{found.extension}")
    os.replace(one.path, final)
    known["path"] = final.relative_to(layout.media).as_posix()
    for name in ("n_frames", "duration_s", "fps_num", "fps_den", "width", "height"):
        known[name] = getattr(found, name)
    remarks = [source.note]
    if not found.as_named:
        remarks.append(f"given as a {source.kind}, by content {found.extension}")
    reason = "; ".join(filter(None, remarks))
    # Both the bytes and the look into them must have been there already to count as reused.
    status: Status = "computed" if "computed" in (one.status, outcome.status) else "reused"
    return Result(_row(source.kind, source.id, "ok", reason, **known), status)


def run(layout: Layout, params: Params, context: Context) -> Counts:
    """Fetch and check all files and write the tables; only then fail, if too many files failed."""
    manifest = read_manifest(layout.root / params.download.manifest)
    clear_folder(layout.media)
    collector = _Collector(layout, params.download, context)
    staged = collector.collect(sources(manifest))
    # Every id of the manifest is in one of these: bad there, only a span, brought here, not to be
    # had.
    results = [
        *(_spoilt(bad) for bad in manifest.bad),
        *(_only_span(gif) for gif in spans(manifest)),
        *_probed(staged, layout, context),
        *collector.failed,
    ]
    DOWNLOADS.write(layout.downloads, [result.row for result in results])
    SOURCES.write(layout.sources, _source_rows(manifest.rows))
    statuses = [result.status for result in results]
    counts = Counts(*(statuses.count(s) for s in ("computed", "reused", "quarantined")))
    check_failed_fraction(
        "download",
        failed=counts.quarantined,
        total=counts.total,
        limit=params.download.max_failed_fraction,
    )
    return counts
