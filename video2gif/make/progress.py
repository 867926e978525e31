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

from video2gif.core.items import Context

STEPS = 1000
"""`progress` is told thousandths of the file."""
_PERIOD_S = 0.2
_READING = frozenset({"decode", "transnetv2", "features"})


@contextmanager
def watched(path: Path, context: Context) -> Iterator[Context]:
    """A context whose progress in decode and features counts thousandths of `path`'s bytes."""
    now: list[tuple[str, int, int]] = []
    done = threading.Event()

    def progress(stage: str, finished: int, total: int) -> None:
        if stage in _READING and total:
            now[:] = [(stage, finished, total)] if finished < total else []
            context.progress(stage, STEPS * finished // total, STEPS)
        else:
            now.clear()
            context.progress(stage, finished, total)

    def look() -> None:
        while not done.wait(_PERIOD_S):
            before = list(now)
            for stage, finished, total in before:
                share = min(finished + sum(shares_read(path)), total - 0.001) / total
                if now == before:
                    context.progress(stage, int(STEPS * share), STEPS)

    watcher = threading.Thread(target=look, name="progress", daemon=True)
    watcher.start()
    try:
        yield replace(context, progress=progress)
    finally:
        done.set()
        watcher.join()


def shares_read(path: Path) -> list[float]:
    """The share of a file that each child of ours which has it open has read."""
    try:
        wanted = os.stat(path)
    except OSError:
        return []
    found = []
    for process in _children():
        for descriptor in _listed(process / "fd"):
            try:
                one = os.stat(process / "fd" / descriptor)
                if (one.st_dev, one.st_ino) == (wanted.st_dev, wanted.st_ino):
                    position = int((process / "fdinfo" / descriptor).read_text().split()[1])
                    found.append(position / max(wanted.st_size, 1))
                    break
            except (OSError, ValueError, IndexError):
                continue  # It was closed meanwhile.
    return found


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
