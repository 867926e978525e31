"""`video2gif fsck`: check that stored files are whole: items, DVC's cache, and lock files.

An item ends in its own sha256, and an object of DVC's cache is named by its md5, so every byte can
be checked. DVC's files are read directly, because the library does not import dvc.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser, Error
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.layout import Layout
from video2gif.core.readers import Unreadable, parsed_json, parsed_yaml
from video2gif.core.store import ItemStore, atomic_path
from video2gif.project.dvcfiles import LockedStage, WrittenStage, locked_stages, written_stages

_HEX = frozenset("0123456789abcdef")
_RESTORE = (
    "`dvc repro --force STAGE` makes it anew, `dvc pull` brings it from a remote, `dvc commit`"
    " takes it from the workspace"
)


@dataclass(frozen=True)
class Damage:
    """A file that is not as it must be."""

    path: Path
    what: str
    remedy: str
    """What a person does about it, or what `--repair` does."""
    repair: Callable[[], bool] | None = None
    """Repairs it; returns False if a person must do more. None: only a person can repair it."""


@dataclass
class Tally:
    """How many files were looked at."""

    items: int = 0
    failures: int = 0
    """Of the items, how many only say why their input is bad."""
    objects: int = 0


def check(layout: Layout, store: ItemStore, tally: Tally) -> Iterator[Damage]:
    """Everything that is wrong, as soon as it is found. `tally` counts what was checked."""
    yield from locks(layout)
    yield from items(store, tally)
    yield from objects(layout, tally)


def require_locks(layout: Layout) -> None:
    """Raise `EnvironmentProblem` if DVC could not read its own files, which ends in a traceback."""
    for damage in locks(layout):
        raise EnvironmentProblem(f"{damage.path}: {damage.what}; {damage.remedy}")


# --- the item store --------------------------------------------------------------------------


def items(store: ItemStore, tally: Tally) -> Iterator[Damage]:
    """Stored items that are cut or changed. It is safe to remove them: they are computed again."""
    for path in sorted(store.root.glob("??/*")):
        key = path.name
        # Only what could be an item: the folder holds other things as well.
        if len(key) != 64 or not _HEX.issuperset(key) or key[:2] != path.parent.name:
            continue
        tally.items += 1
        kind = store.check(key)
        tally.failures += kind == "failure"
        if kind == "damaged":
            remedy = "remove it: the next run computes it anew"
            yield Damage(path, "the stored item is damaged", remedy, partial(_removed, path))


def forget_failures(store: ItemStore) -> int:
    """Remove all stored failures, so that their inputs are tried again. Returns how many."""
    keys = [path.name for path in store.root.glob("??/*") if store.failure(path.name) is not None]
    for key in keys:
        store.drop(key)
    return len(keys)


def _removed(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return True


# --- DVC's cache -----------------------------------------------------------------------------


def objects(layout: Layout, tally: Tally) -> Iterator[Damage]:
    """Objects of DVC's cache whose md5 is not the one in their name."""
    cache = _cache(layout)
    in_workspace: dict[str, _Source] | None = None
    for path in sorted(cache.glob("files/md5/??/*")):
        # DVC names the listing of a folder by its md5 and `.dir`.
        md5 = path.parent.name + path.name.removesuffix(".dir")
        if not _is_md5(md5):
            continue
        tally.objects += 1
        if _md5(path) == md5:
            continue
        if in_workspace is None:  # Only read if needed, as it may be as large as the cache.
            in_workspace = _workspace(layout)
        yield _damaged(path, in_workspace.get(md5))
    for path in sorted(cache.glob("runs/*/*/*")):
        if not isinstance(_yaml(path), Mapping):
            remedy = "remove it: DVC only forgets that it ran this before"
            yield Damage(path, "damaged in DVC's run-cache", remedy, partial(_removed, path))


@dataclass(frozen=True)
class _Source:
    """Where the good bytes are: in a file, or, for a `.dir` object, in the listing of a folder."""

    path: Path
    listing: bytes | None = None


def _damaged(path: Path, source: _Source | None) -> Damage:
    if source is None:
        # DVC uses a damaged object without noticing, but it notices a missing one.
        remedy = f"remove it; then {_RESTORE}"
        return Damage(path, "damaged in DVC's cache", remedy, partial(_lost, path))
    remedy = f"take it from {source.path}"
    return Damage(path, "damaged in DVC's cache", remedy, partial(_restored, source, path))


def _cache(layout: Layout) -> Path:
    """`.dvc/cache`, or where .dvc/config or config.local has put it."""
    home = layout.root / ".dvc"
    chosen = home / "cache"
    # In this order, as DVC does: config.local wins.
    for name in ("config", "config.local"):
        config = ConfigParser(strict=False, interpolation=None)
        with suppress(Error, UnicodeDecodeError):
            config.read(home / name)
            folder = config.get("cache", "dir", fallback="")
            chosen = home / folder if folder else chosen
    return chosen


def _workspace(layout: Layout) -> dict[str, _Source]:
    """The files of all outputs in dvc.lock as they are in the workspace now, by md5."""
    found: dict[str, _Source] = {}
    try:
        stages = locked_stages((layout.root / "dvc.lock").read_bytes())
    except (OSError, Unreadable):
        return found
    for path in (layout.root / out.path for stage in stages.values() for out in stage.outs):
        if path.is_file():
            found[_md5(path)] = _Source(path)
        elif path.is_dir():
            found |= _folder(path)
    return found


def _folder(folder: Path) -> dict[str, _Source]:
    """The files of a folder, and the listing of it that DVC would write, by md5."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    found, listed = {}, []
    # In the very form that DVC writes, or the md5 would be another.
    for name, path in sorted(files.items()):
        if path.is_file():
            md5 = _md5(path)
            found[md5] = _Source(path)
            listed.append({"md5": md5, "relpath": name})
    listing = json.dumps(listed, sort_keys=True).encode()
    digest = hashlib.md5(listing, usedforsecurity=False).hexdigest()
    return found | {digest: _Source(folder, listing)}


def _restored(source: _Source, target: Path) -> bool:
    with atomic_path(target) as temporary:
        if source.listing is None:
            shutil.copyfile(source.path, temporary)
        else:
            temporary.write_bytes(source.listing)
        # DVC protects the objects of its cache in this way.
        temporary.chmod(0o444)
    return True


def _lost(path: Path) -> bool:
    path.unlink(missing_ok=True)
    return False


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


# --- files that lock -------------------------------------------------------------------------


def locks(layout: Layout) -> Iterator[Damage]:
    """dvc.lock and DVC's rwlock, if damaged.

    DVC then ends in a traceback, or takes a cut dvc.lock for that of an older run.
    """
    yield from _dvc_lock(layout.root)
    yield from _rwlock(layout.root / ".dvc" / "tmp")


def _dvc_lock(root: Path) -> Iterator[Damage]:
    path = root / "dvc.lock"
    if not path.is_file():
        return
    try:
        wanted = written_stages(root)
    except EnvironmentProblem:
        wanted = {}
    fault = _fault(path.read_bytes(), wanted)
    if fault:
        remedy = (
            "take the last good one (`git checkout dvc.lock`), or remove it: stages run again, and"
            " find their items in the store"
        )
        yield Damage(path, fault, remedy, partial(_removed, path))


def _fault(content: bytes, wanted: Mapping[str, WrittenStage]) -> str:
    """What is wrong with a dvc.lock, or ""."""
    if not content.strip():
        return "is empty"
    try:
        stages = locked_stages(content)
    except Unreadable as error:
        return f"is cut, or written over ({error})"
    if not content.endswith(b"\n"):
        return "is cut: it does not end in a line end"
    for name, stage in stages.items():
        if fault := _stage_fault(stage, wanted.get(name, WrittenStage())):
            return f"stage {name}: {fault}"
    return ""


def _stage_fault(stage: LockedStage, wanted: WrittenStage) -> str:
    for file in (*stage.deps, *stage.outs):
        if not _is_md5(file.md5) or file.size is None:
            return f"its entry of {file.path} is not whole"
    # dvc.lock has the path after a parameter (`${…}`) was put in, so such paths cannot be compared.
    wanted_paths = {path for path in wanted.written() if "$" not in path}
    missing = wanted_paths - {file.path for file in stage.outs}
    return f"lacks {', '.join(sorted(missing))}: cut, or older than dvc.yaml" if missing else ""


def _is_md5(value: str) -> bool:
    digest = value.removesuffix(".dir")
    return len(digest) == 32 and _HEX.issuperset(digest)


def _rwlock(folder: Path) -> Iterator[Damage]:
    path = folder / "rwlock"
    if not path.is_file():
        return
    try:
        known = parsed_json(path.read_bytes())
        is_good = isinstance(known, dict) and known.keys() <= {"read", "write"}
        is_good = is_good and all(isinstance(part, dict) for part in known.values())
    except ValueError:
        is_good = False
    if is_good:
        return
    what = "DVC cannot read which process holds what"
    if _is_held(folder / "lock") or _is_held(folder / "rwlock.lock"):
        yield Damage(path, what, "a dvc process is running: wait for it to end, then run again")
    else:
        remedy = "remove it: no dvc process is running"
        yield Damage(path, what, remedy, partial(_removed, path))


def _is_held(path: Path) -> bool:
    """Whether a running process has locked the file, in the way of zc.lockfile (DVC's)."""
    try:
        with path.open("rb") as file:
            # `zc.lockfile` locks by flock, so a lock that can be had belongs to no process.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _yaml(path: Path) -> Any:
    """A YAML file's content, or None if it cannot be read."""
    try:
        return parsed_yaml(path.read_bytes())
    except (OSError, ValueError):
        return None
