"""What a person names on the command line, as files: paths, folders, globs, URLs."""

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from video2gif.core.config import Params
from video2gif.core.errors import ItemError
from video2gif.core.items import Context, compute
from video2gif.core.sandbox import Limits
from video2gif.core.work import Item, Work

_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in ("mp4", "m4v", "mov", "mkv", "webm", "avi", "flv", "ts", "m2ts", "mpg", "mpeg")
)
_URL = re.compile(r"https?://", re.IGNORECASE)
_GRACE_S = 30.0  # The fetcher keeps its own deadline; the child is killed only if it does not.


def expand(arguments: Sequence[str]) -> list[str]:
    """Files and URLs, each once, in the order given; folders (not recursive) and globs sorted."""
    found: list[str] = []
    for argument in arguments:
        path = Path(argument)
        if _URL.match(argument):
            found.append(argument)
        elif path.is_dir():
            found += sorted(str(p) for p in path.iterdir() if is_video(p))
        elif not path.exists() and glob.has_magic(argument):
            found += sorted(p for p in glob.glob(argument, recursive=True) if is_video(Path(p)))
        else:
            found.append(argument)
    return list(dict.fromkeys(found))


def local(source: str, params: Params, context: Context) -> Path:
    """The file itself, or what a URL leads to, fetched once and kept in the item store.

    Raises `ItemError`: those of `media.fetch`.
    """
    if not _URL.match(source):
        return Path(source)
    limits = params.download
    digest = hashlib.sha256(source.encode()).hexdigest()
    work = Work(
        function="video2gif.media.fetch:work",
        params={"allow_private": limits.allow_private},
        limits=Limits(wall_s=limits.timeout_s + _GRACE_S),
        repeatable=False,
    )
    item = Item(
        id=f"url:{digest[:16]}",
        inputs=(digest,),
        args={
            "source": source,
            "partial": str(context.store.root / "partial" / digest),
            "max_bytes": limits.max_bytes,
            "timeout_s": limits.timeout_s,
        },
    )
    (outcome,) = compute("fetch", work, [item], context)
    if not outcome.ok:
        cause, _, message = outcome.reason.partition(": ")
        raise ItemError(cause, message)
    # The stored item ends in its own digest: what follows must see the file and nothing else.
    target = context.store.root / "fetched" / digest / _name(source)
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        context.store.copy_to(outcome.key, target)
    return target


def folder_names(paths: Sequence[Path]) -> list[str]:
    """A folder name for each video: its stem, and a number where that is taken."""
    names: list[str] = []
    for path in paths:
        name, number = path.stem or "video", 2
        while name.casefold() in (taken.casefold() for taken in names):
            name, number = f"{path.stem}-{number}", number + 1
        names.append(name)
    return names


def _name(url: str) -> str:
    """A harmless file name from a URL's path."""
    last = unquote(PurePosixPath(urlsplit(url).path).name)
    return re.sub(r"[^\w.-]+", "_", last).strip("._")[:80] or "video"


def is_video(path: Path) -> bool:
    """Whether this is a readable file with a video's extension."""
    return path.is_file() and path.suffix.lower() in _SUFFIXES and os.access(path, os.R_OK)
