"""How far a child has read a file: progress of one long decode, without a word from the child.

The children of `items.compute` say nothing until they are done. But the kernel knows how far each
open file has been read (/proc/PID/fdinfo), and a decoder reads its file once, from start to end.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from video2gif.items import Context

PARTS = 1000
"""`progress` is told thousandths of the file."""
_PERIOD_S = 0.2
_READING = frozenset({"decode", "transnetv2", "features"})


@contextmanager
def watched(path: Path, context: Context) -> Iterator[Context]:
    """A context whose progress in decode and features counts thousandths of `path`'s bytes."""
    state: dict[str, str] = {"stage": ""}
    done = threading.Event()

    def progress(stage: str, finished: int, total: int) -> None:
        if stage in _READING and total == 1:
            state["stage"] = "" if finished else stage
            context.progress(stage, PARTS * finished, PARTS)
        else:
            state["stage"] = ""
            context.progress(stage, finished, total)

    def look() -> None:
        while not done.wait(_PERIOD_S):
            stage = state["stage"]
            share = share_read(path) if stage else None
            if share is not None and state["stage"] == stage:
                context.progress(stage, int(PARTS * min(share, 0.999)), PARTS)

    watcher = threading.Thread(target=look, name="progress", daemon=True)
    watcher.start()
    try:
        yield replace(context, progress=progress)
    finally:
        done.set()
        watcher.join()


def share_read(path: Path) -> float | None:
    """The share of a file that the child of ours which has it open has read; None if none has."""
    try:
        wanted, size = os.stat(path), os.path.getsize(path)
    except OSError:
        return None
    for process in _children():
        for descriptor in _listed(process / "fd"):
            try:
                found = os.stat(process / "fd" / descriptor)
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    position = int((process / "fdinfo" / descriptor).read_text().split()[1])
                    return position / max(size, 1)
            except (OSError, ValueError, IndexError):
                continue  # It was closed meanwhile.
    return None


def _children() -> Iterator[Path]:
    for task in _listed(Path("/proc/self/task")):
        try:
            pids = Path(f"/proc/self/task/{task}/children").read_text().split()
        except OSError:
            continue
        yield from (Path("/proc") / pid for pid in pids)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
