"""What a person names on the command line, as files: paths, folders, globs, URLs."""

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from video2gif.core.config import Params
from video2gif.core.errors import ItemError, UserError
from video2gif.core.items import Context, compute
from video2gif.core.names import file_name, shown
from video2gif.core.store import file_digest
from video2gif.core.types import Kind
from video2gif.core.work import Item
from video2gif.media.kinds import named, suffixes
from video2gif.media.probe import Probed, check_size, probe_item, probing, read_probe

_URL = re.compile(r"https?://", re.IGNORECASE)


def expand(arguments: Sequence[str], *, clips: bool = False) -> list[str]:
    """Files and URLs, each once, in the order given; folders (not recursive) and globs sorted.

    GIFs are taken from folders and globs only if `clips`. Raises `UserError` for a folder without a
    video, or a pattern that no video fits.
    """
    found: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if _URL.match(argument):
            found.append(argument)
        elif path.is_dir():
            found += _videos(argument, list(path.iterdir()), clips)
        elif not path.exists() and glob.has_magic(argument):
            paths = [Path(p) for p in glob.glob(argument, recursive=True)]
            found += _videos(argument, paths, clips)
        else:
            found.append(argument)
    return list(dict.fromkeys(found))


def _videos(argument: str, paths: Sequence[Path], clips: bool) -> list[str]:
    """The videos among what a folder holds, or a pattern fits. Raises `UserError` for none."""
    found = sorted(str(path) for path in paths if is_video(path, clips=clips))
    if found:
        return found
    files = sorted(path for path in paths if path.is_file())
    there = f"none of its {len(files)} files is one ({_said(files[0])})" if files else "no file"
    raise UserError(
        f"{shown(argument)}: no video found, {there}; videos end in"
        f" {', '.join(suffixes(clips=clips))}. Name a GIF or another file by itself"
    )


def _said(path: Path) -> str:
    """What a file that is no video is, by its name."""
    kind = named(path)
    title = f": {kind.title}" if kind else ""
    return f"{shown(path.name)}{title}{f'; {kind.remedy}' if kind and kind.remedy else ''}"


def local(source: str, params: Params, context: Context) -> Path:
    """The file itself, or what a URL leads to, fetched once and kept in the item store.

    Raises `ItemError`: those of `media.fetch`.
    """
    if not _URL.match(source):
        return Path(source)
    from video2gif.media import fetch  # An HTTP client takes time to import.

    policy = fetch.policy_of(params.download)
    name = f"url:{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    item = fetch.fetch_item(name, source, policy)
    (outcome,) = compute("fetch", fetch.fetching(policy), [item], context)
    if not outcome.ok:
        raise outcome.error
    # The stored item ends in its own digest: what follows must see the file and nothing else.
    target = context.store.root / "fetched" / item.inputs[0] / _name(source)
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        context.store.copy_to(outcome.key, target)
    return target


@dataclass(frozen=True)
class Admitted:
    """A file that may be worked on: within the limits, and whole as far as its packets tell."""

    path: Path
    sha256: str
    probed: Probed


def admit(path: Path, kind: Kind, params: Params, context: Context) -> Admitted:
    """Look into a file from outside before anything is made of it.

    Whoever asks (`gif`, `rank`, `match`, the review page's uploads; the download stage looks into
    many at once), it is the same look in the same confined child. Raises `ItemError`: missing,
    too_large, and those of `media.probe`.
    """
    (found,) = admit_all([path], kind, params, context)
    if isinstance(found, ItemError):
        raise found
    return found


def admit_all(
    paths: Sequence[Path], kind: Kind, params: Params, context: Context
) -> list[Admitted | ItemError]:
    """`admit` for many files, in their order: each admitted, or why it is not."""
    found: dict[Path, Admitted | ItemError] = {}
    items: dict[Path, Item] = {}
    for path in dict.fromkeys(paths):
        try:
            items[path] = _check(path, kind, params)
        except ItemError as error:
            found[path] = error
    outcomes = compute("check", probing(), list(items.values()), context)
    for (path, item), outcome in zip(items.items(), outcomes, strict=True):
        found[path] = (
            Admitted(path, item.inputs[0], read_probe(context.store.read(outcome.key)))
            if outcome.ok
            else outcome.error
        )
    return [found[path] for path in paths]


def _check(path: Path, kind: Kind, params: Params) -> Item:
    if not path.is_file():
        raise ItemError("missing", f"{shown(str(path))}: no such file")
    check_size(path.stat().st_size, max_bytes=params.download.max_bytes)
    return probe_item(f"{kind}:{path.name}", path, kind=kind, sha256=file_digest(path))


def folder_names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each video: its stem, and a number where that is taken."""
    names: list[str] = []
    for path in paths:
        stem, number = file_name(path.stem), 2
        name = stem
        while name.casefold() in (taken.casefold() for taken in names):
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


def _name(url: str) -> str:
    """A harmless file name from a URL's path."""
    last = unquote(PurePosixPath(urlsplit(url).path).name)
    return re.sub(r"[^\w.-]+", "_", last).strip("._")[:80] or "video"


def is_video(path: Path, *, clips: bool = False) -> bool:
    """Whether this is a readable file named as a video (`media.kinds`), or as a GIF if `clips`."""
    kind = named(path)
    is_wanted = kind is not None and kind.is_read and (clips or not kind.is_clip)
    return is_wanted and path.is_file() and os.access(path, os.R_OK)
