"""The one folder in which a child may write, and what its parent moves in and out of it.

`<root>/children/<host>.<pid>.<random>/`: beside the item store, so that moving is renaming. A child
may be under foreign control. So nothing that it leaves is opened where it stands: a result is
renamed to where the child cannot write, and taken only if it is a plain file.
"""

import os
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from video2gif.core.errors import ItemError

PARTIAL = "partial"
"""Below the root: what tries that were not finished are to go on with."""

_FOLDER = "children"
_LENT = "kept-"


class Workplace:
    """A folder of one child's own. The parent makes, empties and removes it."""

    def __init__(self, root: Path) -> None:
        """Below `root`, which is made if need be; what killed parents have left there goes."""
        self._root = root
        folder = root / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        self.path = folder / f"{_owner()}.{secrets.token_hex(6)}"
        self.path.mkdir(mode=0o700)
        # A folder that was removed and made again has another number: the child may not write
        # there.
        self._identity = _identity(self.path)

    @property
    def out(self) -> Path:
        """Where a child writes its result."""
        return self.path / "out"

    @property
    def is_there(self) -> bool:
        """Whether the folder is still the one that the child was let into."""
        return _identity(self.path) == self._identity

    def used_bytes(self) -> int:
        """What the child has written so far and not removed."""
        return sum(_sizes(self.path))

    def take(self, target: Path) -> None:
        """Move the result to `target`. Raises `ItemError` (crash) if it is no plain file."""
        taken = self.path.with_name(f"{self.path.name}.out")
        try:
            # First out of the child's reach, then looked at: else it could change it in between.
            os.replace(self.out, taken)
        except OSError as error:
            raise ItemError("crash", f"the child left no result: {error.strerror}") from None
        try:
            found = taken.lstat()
            # A link to a file elsewhere would be changed, or copied, in its stead.
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise ItemError("crash", "the child's result is not a plain file")
            # No plain rename: below the system's temporary folder it may be on another disk.
            shutil.move(taken, target)
        finally:
            _remove(taken)

    @contextmanager
    def lending(self, kept: Path | None) -> Iterator[Path | None]:
        """Give the child a folder that is kept from one try to the next, by the name of `kept`.

        It is moved, not copied: two children never have the same one.
        """
        if kept is None:
            yield None
            return
        lent = self.path / f"{_LENT}{kept.name}"
        try:
            os.rename(kept, lent)
        except OSError:
            lent.mkdir()
        try:
            yield lent
        finally:
            _give_back(lent, kept)

    def empty(self) -> None:
        """Remove whatever a job has left."""
        for name in os.listdir(self.path):
            _remove(self.path / name)

    def remove(self) -> None:
        """The folder itself."""
        _remove(self.path)


def _owner() -> str:
    return f"{socket.gethostname()}.{os.getpid()}"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sizes(folder: Path) -> Iterator[int]:
    with suppress(OSError), os.scandir(folder) as entries:  # It may vanish while it is looked at.
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path))
                else:
                    # Blocks of 512 bytes, whatever the disk's own are. A file with holes counts
                    # what it takes.
                    yield entry.stat(follow_symlinks=False).st_blocks * 512


def _give_back(lent: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Not where the child has put something else in its place, or another has been faster.
    with suppress(OSError):
        if stat.S_ISDIR(lent.lstat().st_mode) and os.listdir(lent):
            os.rename(lent, kept)
    _remove(lent)


def _remove(path: Path) -> None:
    """A file, or a folder with all that is in it; links are not followed."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        _unlock(str(path), None)
        shutil.rmtree(path, ignore_errors=True)


def _unlock(name: str, folder: int | None) -> None:
    """Let us into a folder and all below it: a child may have made some that nobody may read.

    By descriptors, as the child may put a link to a foreign folder in a folder's place meanwhile.
    """
    with suppress(OSError):
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY
        held = os.open(name, flags, dir_fd=folder)
        try:
            itself = f"/proc/self/fd/{held}"  # Nothing may be changed through an O_PATH descriptor.
            os.chmod(itself, 0o700)
            inside = os.open(itself, os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(held)
        try:
            with os.scandir(inside) as entries:
                folders = [one.name for one in entries if one.is_dir(follow_symlinks=False)]
            for one in folders:
                _unlock(one, inside)
        finally:
            os.close(inside)


def _sweep(root: Path) -> None:
    """Remove what killed parents on this machine have left, and give back what they had lent."""
    host = socket.gethostname()
    for path in (root / _FOLDER).iterdir():
        name = path.name.removeprefix(f"{host}.")
        pid = name.partition(".")[0]
        # Of another machine, or of a parent that lives: not ours to remove.
        if name == path.name or not pid.isdecimal() or Path(f"/proc/{pid}").exists():
            continue
        if path.is_dir():
            # So that a fetch whose parent was killed goes on where it was.
            for lent in path.glob(f"{_LENT}*"):
                _give_back(lent, root / PARTIAL / lent.name.removeprefix(_LENT))
        _remove(path)
