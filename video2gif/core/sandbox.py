"""Run item work in a child process that can be killed.

Hostile media crash decoders, eat memory and loop for ever; a child can be killed, this process
cannot. A `Worker` is one long-lived child (`python -m video2gif.core.sandbox`) that does one job
at a time: it imports `module:function`, calls it with JSON arguments and the path it must write its
result to. Nothing but JSON crosses the pipe, so a hijacked child cannot feed pickles to us.

Limits per job: wall seconds (the parent kills) and address space (RLIMIT_AS in the child). A
confined child may besides write below one folder only, start no program and open no connection:
the kernel sees to it (Landlock), where it is new enough.
A child dies with its parent: PR_SET_PDEATHSIG, and end of file on its standard input.
"""

import contextlib
import ctypes
import errno
import gc
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from video2gif.core.errors import DISK_ERRNOS, EnvironmentProblem, ItemError

_PR_SET_PDEATHSIG = 1
_MAX_ANSWER_BYTES = 1 << 20
# Products of matrices are summed in another order by another number of threads. One makes the same
# bytes on any machine and under any executor (Ray sets one, Dask does not).
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_JOBS_PER_CHILD = 500  # A fresh child now and then bounds what leaking codecs can pile up.


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one job may use."""

    wall_s: float = 600.0
    """Seconds on the wall clock before the child is killed."""
    memory_bytes: int = 4 << 30
    """Address space of the child (RLIMIT_AS), imports included."""
    confined: bool = False
    """Whether the job only reads files and writes its result."""


class Worker:
    """One killable child. Use it from one thread only; close it, or use it in `with`.

    `folder` is where a confined child may write.
    """

    def __init__(self, limits: Limits, *, folder: Path | None = None) -> None:
        self._limits = limits
        self._folder = folder if limits.confined else None
        self._child: subprocess.Popen[bytes] | None = None
        self._jobs = 0

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, work: str, args: Mapping[str, Any], out: Path) -> None:
        """Call `work` ("module:function") as `function(out=out, **args)` in the child.

        Raises the `ItemError` that the function raised, or one with cause timeout, oom or crash;
        `EnvironmentProblem` when the disk is full: that is no item's fault.
        """
        child = self._ready_child()
        assert child.stdin is not None
        assert child.stdout is not None
        request = json.dumps({"work": work, "args": dict(args), "out": str(out)}) + "\n"
        try:
            child.stdin.write(request.encode())
            child.stdin.flush()
        except BrokenPipeError:
            raise self._died(work) from None
        line = _read_line(child.stdout, deadline=time.monotonic() + self._limits.wall_s)
        if line is None:
            self.close(kill=True)
            raise ItemError("timeout", f"{work} ran past its limit of {self._limits.wall_s:g} s")
        if not line:
            raise self._died(work)
        cause, message = _understood(line)
        if cause in ("oom", "garbled"):
            self.close(
                kill=True
            )  # A heap that ran full, or was written over, is not worth keeping.
        if cause == "disk":
            raise EnvironmentProblem(f"{out.parent}: {message}; free some space and run again")
        if cause:
            raise ItemError("crash" if cause == "garbled" else cause, message)

    def close(self, *, kill: bool = False) -> None:
        """End the child; `kill` does not wait for it to finish what it does."""
        child, self._child, self._jobs = self._child, None, 0
        if child is None:
            return
        if kill:
            child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _ready_child(self) -> subprocess.Popen[bytes]:
        if self._jobs >= _JOBS_PER_CHILD:
            self.close()
        if self._child is None or self._child.poll() is not None:
            self.close()
            arguments = [str(self._limits.memory_bytes)]
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                arguments.append(str(self._folder))
            self._child = subprocess.Popen(
                # -P: a file named inspect.py in the working folder must not become our module.
                [sys.executable, "-P", "-m", "video2gif.core.sandbox", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=os.environ | _ONE_THREAD,
            )
        self._jobs += 1
        return self._child

    def _died(self, work: str) -> ItemError:
        assert self._child is not None
        code = self._child.wait()
        self.close()
        # The kernel's out-of-memory killer sends SIGKILL; nobody else does without our timeout.
        cause = "oom" if code == -signal.SIGKILL else "crash"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ItemError(cause, f"{work} died with {how}")


def _understood(line: bytes) -> tuple[str, str]:
    """Cause and message of an answer, both empty when the job went well."""
    try:
        answer = json.loads(line)
        return ("", "") if answer["ok"] else (str(answer["cause"]), str(answer["message"]))
    except (ValueError, KeyError, TypeError):
        return "garbled", f"the child answered {line[:80]!r}"


def _read_line(pipe: Any, *, deadline: float) -> bytes | None:
    """One line from an unbuffered pipe; b"" at end of file, None past the deadline."""
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return None
        part = os.read(pipe.fileno(), 1 << 16)
        if not part:
            return b""
        line += part
        if len(line) > _MAX_ANSWER_BYTES:
            return line
    return line


def _answer(request: bytes) -> dict[str, Any]:
    """Do one job in the child and say how it went."""
    job = json.loads(request)
    module, _, function = job["work"].partition(":")
    try:
        getattr(importlib.import_module(module), function)(out=Path(job["out"]), **job["args"])
    except ItemError as error:
        return _failed(error.cause, str(error))
    except MemoryError as error:
        return _failed("oom", f"out of memory: {_said(error)}")
    except OSError as error:
        cause = "disk" if error.errno in DISK_ERRNOS else "crash"
        cause = "oom" if error.errno == errno.ENOMEM else cause
        return _failed(cause, f"{type(error).__name__}: {_said(error)}")
    except Exception as error:
        if "ENOMEM" in str(error) or "Cannot allocate memory" in str(error):
            return _failed("oom", _said(error))
        return _failed("crash", f"{type(error).__name__}: {_said(error)}")
    return {"ok": True}


def _failed(cause: str, message: str) -> dict[str, Any]:
    return {"ok": False, "cause": cause, "message": message}


def _said(error: Exception) -> str:
    """What an error says, without the path: it differs between clones, and stands in tables."""
    return getattr(error, "strerror", None) or str(error)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    for number, request in enumerate(requests):
        answers.write(json.dumps(_answer(request)).encode() + b"\n")
        answers.flush()
        # A few objects in a cycle can hold hundreds of megabytes of frames, and so few wake no
        # collector. What the first job imported stays: looking through it each time takes longer.
        gc.collect()
        if not number:
            gc.freeze()


# --- Landlock (https://docs.kernel.org/userspace-api/landlock.html) ---

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _READ = 1 << 0, 1 << 2 | 1 << 3
_FS_BITS = {1: 13, 2: 14, 3: 15}  # Rights that a version of the interface knows; later ones 16.
_TCP = 0b11  # Bind and connect: from version 4 on.


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def can_confine() -> bool:
    """Whether this kernel knows Landlock."""
    return _syscall(_CREATE_RULESET, None, 0, _VERSION) > 0


def confine(folder: Path) -> None:
    """From now on this process writes below `folder` and /dev, runs no program, opens no TCP.

    Reading stays free: inputs lie anywhere. Does nothing on a kernel without Landlock.
    """
    version = _syscall(_CREATE_RULESET, None, 0, _VERSION)
    if version < 1:
        return
    writing = ((1 << _FS_BITS.get(version, 16)) - 1) & ~(_READ | _EXECUTE)
    rules = _Ruleset(writing | _EXECUTE, _TCP if version >= 4 else 0)
    size = ctypes.sizeof(rules) if version >= 4 else 8
    ruleset = _syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    for path in (folder, Path("/dev")):
        parent = os.open(path, os.O_PATH | os.O_DIRECTORY)
        rule = _Beneath(writing, parent)
        _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(parent)
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _syscall(_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "the child could not be confined")
    os.close(ruleset)


def _syscall(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(number), *arguments))


def main() -> None:
    """The child: limits first, then jobs until standard input ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle.
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for folder in sys.argv[2:]:
        confine(Path(folder))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Libraries that print must not break the protocol.
    _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
