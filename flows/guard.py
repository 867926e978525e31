"""One process, one stage: locks, signals and orphans.

DVC leaves a stage running when DVC itself is killed, and starts the next one beside it
(docs/decisions.md). So every stage holds a lock of its own, dies with its parent, and takes its
children with it.
"""

import ctypes
import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, TypeVar

from video2gif.core.errors import EnvironmentProblem, Exit

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1


def die_with_parent(sig: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel signal this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sig)


def guarded(body: Callable[[], T]) -> T:
    """Run `body` so that SIGTERM ends the process with 143 and Ctrl-C with 130, children gone.

    `body` runs in a thread of its own: the main thread stays free for signals, and Prefect, which
    replaces signal handlers in the main thread only, leaves ours alone.
    """
    parent = os.getppid()
    die_with_parent()
    if os.getppid() != parent:  # It died before we asked.
        os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(body())
        except BaseException as error:  # handed to the main thread, whatever it is
            failure.append(error)

    thread = threading.Thread(target=run, name="body", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _end(number: int, _: FrameType | None) -> None:
    # Items in flight are lost and nothing else: outputs and items are published by rename.
    for pid in children(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(128 + number)


def children(pid: int) -> list[int]:
    """All descendants of a process, children first (Linux: /proc)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found + [below for child in found for below in children(child)]


@contextmanager
def locked(path: Path, *, wait_s: float) -> Iterator[None]:
    """Hold `path` as this process' lock; the kernel frees it however the process ends.

    Raises `EnvironmentProblem` naming the holder when it is not free after `wait_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not "w": whoever waits must be able to read who holds it.
    with path.open("a+") as file:
        _acquire(file, path, deadline=time.monotonic() + wait_s)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _acquire(file: IO[str], path: Path, *, deadline: float) -> None:
    while True:
        try:
            # flock itself can wait, but not until a deadline.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise EnvironmentProblem(
                    f"already running as process {holder} (lock {path}); wait for it to end,"
                    f" or stop it with `kill {holder}`"
                ) from None
            time.sleep(0.05)


def failure_file(root: Path) -> Path:
    """Where a stage leaves its exit code: DVC returns 255 whatever the stage returned."""
    return root / ".video2gif" / "failure.json"


def note_failure(root: Path, stage: str, code: Exit) -> None:
    """Leave stage and code for `pipeline`. A folder that cannot be written is passed over silently.

    The stage has failed already and says why; a second message would hide the first.
    """
    note = {"stage": stage, "code": int(code)}
    with suppress(OSError):
        failure_file(root).parent.mkdir(parents=True, exist_ok=True)
        failure_file(root).write_text(json.dumps(note))


def failure_code(root: Path) -> Exit:
    """The code that the last failed stage left, or that of an environment problem."""
    try:
        note: dict[str, Any] = json.loads(failure_file(root).read_text())
        return Exit(note["code"])
    except (OSError, ValueError, KeyError):
        return Exit.ENVIRONMENT
