"""Run item work in a child process that is confined and can be killed.

Hostile media crash decoders, eat memory and loop for ever, or take them over; a child can be
killed, this process cannot. A `Worker` is one long-lived child (`video2gif.core.child`) that does
one job at a time: it imports `module:function`, calls it with JSON arguments and the path it must
write its result to.

There is no child without confinement, so no work can forget it (`video2gif.core.confine`): it
writes in one folder of its own, from which this process moves the result; it has no network, or
only connections that this process dials for it; it starts no program and signals nobody. Limits per
job: wall seconds and bytes on disk (this process kills), address space (the kernel refuses).
A child dies with its parent: PR_SET_PDEATHSIG, and end of file on its standard input.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from video2gif.core import egress
from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.core.workplace import Workplace

# A child under foreign control may answer anything. The parent holds no more than this of an
# answer, and passes on no more of a message.
_MAX_ANSWER_BYTES = 1 << 20
_MAX_MESSAGE = 4000
# Products of matrices are summed in another order by another number of threads. One makes the same
# bytes on any machine and under any executor (Ray sets one, Dask does not).
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_JOBS_PER_CHILD = 500  # A fresh child now and then bounds what leaking codecs can pile up.
_LOOK_S = 0.5  # How often the disk is looked at.


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one job may use."""

    wall_s: float = 600.0
    """Seconds on the wall clock before the child is killed."""
    memory_bytes: int = 4 << 30
    """Address space of the child (RLIMIT_AS), imports included."""
    disk_bytes: int = 16 << 30
    """What it may have written in its folder, before it is killed."""
    network: Literal["none", "public", "any"] = "none"
    """Which addresses the parent dials for it: none, the internet's, private ones as well."""
    programs: bool = False
    """Whether it may start programs, which are confined as it is (gifski, if a user asks)."""
    gpu: bool = False
    """Whether it may use the GPU's devices, and unix sockets among its own threads (CUDA does)."""

    @property
    def needs(self) -> list[str]:
        """What the confinement leaves open: `core.confine.seccomp.Needs`."""
        chosen = {
            "stream": self.network != "none",
            "program": self.programs,
            "gpu": self.gpu,
        }
        return [name for name, wanted in chosen.items() if wanted]


class Worker:
    """One killable child. Use it from one thread only; close it, or use it in `with`.

    Its own folder is made below `root`, or below the system's temporary folder. Once `stop` is set,
    a job that runs is killed, and none begins.
    """

    def __init__(
        self, limits: Limits, *, root: Path | None = None, stop: threading.Event | None = None
    ) -> None:
        self._limits = limits
        self._root = root
        self._stop = stop
        self._own_root: Path | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._place: Workplace | None = None
        self._jobs = 0

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self, work: str, args: Mapping[str, Any], out: Path, *, kept: Path | None = None
    ) -> None:
        """Call `work` ("module:function") as `function(out=…, **args)`; move its result to `out`.

        `kept`: a folder that the job goes on with at its next try, given to it as `kept=…`.
        Raises the `ItemError` that the function raised, or one with cause timeout, oom, too_large,
        stopped or crash; `EnvironmentProblem` when the disk is full: that is no item's fault.
        """
        self._check_stop()
        child, place = self._ready_child()
        with contextlib.ExitStack() as stack:
            # Whatever happens, the next job finds the child's folder empty.
            stack.callback(place.empty)
            lent = stack.enter_context(place.lending(kept))
            named = {**args, **({"kept": str(lent)} if lent else {})}
            request = {"work": work, "args": named, "out": str(place.out)}
            self._ask(child, place, work, json.dumps(request).encode() + b"\n")
            place.take(out)

    def _ask(
        self, child: "subprocess.Popen[bytes]", place: Workplace, work: str, request: bytes
    ) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        deadline = time.monotonic() + self._limits.wall_s
        try:
            line = None
            if _write_all(child.stdin, request, deadline):
                line = _read_line(child.stdout, deadline, lambda: self._look(place))
        except BrokenPipeError:
            raise self._died(work) from None
        except ItemError:
            self._end(kill=True)
            raise
        if line is None:
            # It may still write, or never end: after its limit a child does no other job.
            self._end(kill=True)
            raise ItemError("timeout", f"{work} ran past its limit of {self._limits.wall_s:g} s")
        if not line:
            raise self._died(work)
        cause, message = _understood(line)
        if cause in ("oom", "garbled"):
            self._end(kill=True)  # A heap that ran full, or was written over, is not worth keeping.
        if cause == "disk":
            raise EnvironmentProblem(
                f"{place.path.parent}: {message}; free some space and run again"
            )
        if cause:
            raise ItemError("crash" if cause == "garbled" else cause, message)

    def _check_stop(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise ItemError("stopped", "stopped before it was done")

    def _look(self, place: Workplace) -> None:
        self._check_stop()
        if place.used_bytes() > self._limits.disk_bytes:
            limit = self._limits.disk_bytes
            raise ItemError("too_large", f"wrote more than its limit of {limit} bytes")

    def close(self) -> None:
        """End the child and remove its folder."""
        self._end()
        if self._place is not None:
            self._place.remove()
            self._place = None
        if self._own_root is not None:
            shutil.rmtree(self._own_root, ignore_errors=True)
            self._own_root = None

    def _end(self, *, kill: bool = False) -> None:
        """End the child; `kill` does not wait for it to finish what it does."""
        child, self._child, self._jobs = self._child, None, 0
        if child is None:
            return
        if kill:
            _kill_group(child)
        # End of file on standard input tells a child that it may go.
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            _kill_group(child)
            child.wait()

    def _ready_child(self) -> "tuple[subprocess.Popen[bytes], Workplace]":
        if self._jobs >= _JOBS_PER_CHILD:
            self._end()
        if self._place is not None and not self._place.is_there:
            # Somebody has removed the cache: the child may write in a folder that is no more.
            self.close()
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._place = self._place or self._made_place()
            self._child = self._started(self._place)
        self._jobs += 1
        assert self._place is not None
        return self._child, self._place

    def _made_place(self) -> Workplace:
        if self._root is None:
            self._own_root = Path(tempfile.mkdtemp(prefix="video2gif-"))
        return Workplace((self._root or self._own_root or Path()).resolve())

    def _started(self, place: Workplace) -> "subprocess.Popen[bytes]":
        limits = self._limits
        with contextlib.ExitStack() as stack:
            door = None
            if limits.network != "none":
                end = egress.open_door(allow_private=limits.network == "any")
                # Our copy of the child's end is closed when this block ends. While it is open, the
                # thread at the other end cannot see that the child is gone.
                door = stack.enter_context(end).fileno()
            settings = {
                "memory_bytes": limits.memory_bytes,
                "disk_bytes": limits.disk_bytes,
                "folder": str(place.path),
                "needs": limits.needs,
                "door": door,
            }
            return subprocess.Popen(
                # -P: a file named inspect.py in the working folder must not become our module.
                [sys.executable, "-P", "-m", "video2gif.core.child", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=os.environ | _ONE_THREAD,
                pass_fds=[] if door is None else [door],
                start_new_session=True,  # No terminal to write to as its user, and one group.
            )

    def _died(self, work: str) -> ItemError:
        assert self._child is not None
        child = self._child
        self._end()
        code = child.returncode
        # The kernel's out-of-memory killer sends SIGKILL; nobody else does without our timeout.
        cause = "oom" if code == -signal.SIGKILL else "crash"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ItemError(cause, f"{work} died with {how}")


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    """The child and whatever it started."""
    if child.poll() is None:
        # It leads a session of its own, so its number is also that of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _understood(line: bytes) -> tuple[str, str]:
    """Cause and message of an answer, both empty when the job went well."""
    try:
        # Nothing in an answer is believed: a cause that is no word does not get into a table.
        answer = json.loads(line)
        if answer["ok"]:
            return "", ""
        cause, message = str(answer["cause"]), str(answer["message"])
        return (
            (cause, message[:_MAX_MESSAGE]) if cause.isidentifier() else ("garbled", message[:80])
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return "garbled", f"the child answered {line[:80]!r}"


def _write_all(pipe: Any, content: bytes, deadline: float) -> bool:
    """Write to an unbuffered pipe; False past the deadline: a child may have stopped reading."""
    # A plain write would wait for ever for a child that has stopped reading.
    os.set_blocking(pipe.fileno(), False)
    while content:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([], [pipe], [], left)[1]:
            return False
        content = content[os.write(pipe.fileno(), content) :]
    return True


def _read_line(pipe: Any, deadline: float, look: Callable[[], None]) -> bytes | None:
    """One line from an unbuffered pipe; b"" at end of file, None past the deadline.

    Calls `look` now and then while it waits.
    """
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        if not select.select([pipe], [], [], min(left, _LOOK_S))[0]:
            look()
            continue
        part = os.read(pipe.fileno(), 1 << 16)
        if not part:
            return b""
        line += part
        if len(line) > _MAX_ANSWER_BYTES:
            # Cut short it is no JSON, so that `_understood` calls it garbled.
            return line
    return line
