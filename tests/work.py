"""Work functions that the sandbox's children run in tests: one for each way a job can go."""

import ctypes
import errno
import os
import signal
import sys
import time
from pathlib import Path

from video2gif.errors import ItemError


def echo(*, out: Path, params: dict, text: str) -> None:
    """Write `text` and the pid of the child."""
    out.write_text(f"{text} {params.get('suffix', '')}")


def pid(*, out: Path, params: dict) -> None:
    out.write_text(str(os.getpid()))


def noisy(*, out: Path, params: dict) -> None:
    print("libraries print")
    sys.stdout.flush()
    out.write_text("fine")


def refuse(*, out: Path, params: dict, cause: str) -> None:
    raise ItemError(cause, "as told")


def refuse_once(*, out: Path, params: dict, cause: str) -> None:
    """Refuse, and add a byte to <store>/tr/tries for each time it was tried."""
    tries = out.parents[1] / "tr" / "tries"
    tries.parent.mkdir(exist_ok=True)
    with tries.open("ab") as file:
        file.write(b".")
    raise ItemError(cause, "as told")


def loop(*, out: Path, params: dict) -> None:
    time.sleep(3600)


def grow(*, out: Path, params: dict) -> None:
    out.write_text(str(len(bytearray(1 << 40))))


def fall(*, out: Path, params: dict) -> None:
    ctypes.string_at(0)


def full_disk(*, out: Path, params: dict) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def killed(*, out: Path, params: dict) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(*, out: Path, params: dict) -> None:
    out.write_text("half")
    raise ItemError("decode", "in the middle")
