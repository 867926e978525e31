"""What a child under foreign control would try. A work: it runs in a child, and says what it could.

Nothing here does harm where it succeeds: files are those that the caller made for it, signals have
number 0, and no packet leaves.
"""

import ctypes
import fcntl
import json
import os
import resource
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video2gif.core import confine
from video2gif.core.sandbox import Limits, Worker

_EXEC = ["/bin/true"]
_MPTCP, _VSOCK = 262, 40


@dataclass(frozen=True)
class Target:
    """What lies outside and is to stay as it is."""

    folder: Path
    """Holds files named `precious`, `old` and `older`."""
    process: int

    @property
    def file(self) -> Path:
        return self.folder / "precious"


@dataclass(frozen=True)
class Findings:
    """What a child is held by here, and what it could do nevertheless."""

    in_force: str
    could: tuple[str, ...]


def tried(limits: Limits | None = None) -> Findings:
    """Let a child try everything."""
    with tempfile.TemporaryDirectory(prefix="video2gif-") as folder:
        for name in ("precious", "old", "older"):
            (Path(folder) / name).write_text("precious")
        out = Path(folder) / "out"
        with Worker(limits or Limits()) as worker:
            target = {"folder": folder, "process": os.getpid()}
            worker.run(f"{__name__}:work", {"params": {}, **target}, out)
        answer = json.loads(out.read_text())
    return Findings(answer["in_force"], tuple(n for n, end in answer["ends"].items() if not end))


def work(*, out: Path, params: Mapping[str, Any], folder: str, process: int) -> None:
    """Write JSON: what is `in_force`, and how each of `ATTEMPTS` ended, "" if it succeeded."""
    target = Target(Path(folder), process)
    ends = {name: _end_of(attempt, target) for name, attempt in ATTEMPTS.items()}
    out.write_text(json.dumps({"in_force": str(confine.in_force), "ends": ends}))


def _end_of(attempt: Callable[[Target], object], target: Target) -> str:
    try:
        attempt(target)
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return ""


def _write(target: Target) -> None:
    target.file.write_text("mine")


def _write_shared_memory(target: Target) -> None:
    path = Path(f"/dev/shm/video2gif-{os.getpid()}")
    path.write_text("mine")
    path.unlink()


def _socket(*kind: int) -> Callable[[Target], object]:
    return lambda _: socket.socket(*kind).close()


def _connect(_: Target) -> None:
    with socket.socket() as one:
        one.settimeout(1)
        one.connect(("127.0.0.1", 9))


def _fast_open(_: Target) -> None:
    with socket.socket() as one:
        one.sendto(b"x", 0x20000000, ("127.0.0.1", 9))


def _lock(target: Target) -> None:
    with target.file.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_bytes(target: Target) -> None:
    with target.file.open() as file:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _signal_by_a_file(target: Target) -> None:
    """Whom the kernel is to signal when a pipe has something to read."""
    pipe = os.pipe()
    try:
        fcntl.fcntl(pipe[0], fcntl.F_SETOWN, target.process)
    finally:
        for end in pipe:
            os.close(end)


def _libc(function: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), function)


def _fork(_: Target) -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


ATTEMPTS: dict[str, Callable[[Target], object]] = {
    "write": _write,
    "make a file": lambda target: (target.folder / "new").write_text("mine"),
    "make a folder": lambda target: (target.folder / "deep").mkdir(),
    "rename": lambda target: (target.folder / "old").rename(target.folder / "other"),
    "remove": lambda target: (target.folder / "older").unlink(),
    "link": lambda target: (target.folder / "linked").hardlink_to(target.file),
    "cut short": lambda target: os.truncate(target.file, 0),
    "empty": lambda target: os.close(os.open(target.file, os.O_RDONLY | os.O_TRUNC)),
    "chmod": lambda target: target.file.chmod(0o777),
    "chown": lambda target: os.chown(target.file, os.getuid(), os.getgid()),
    "utime": lambda target: os.utime(target.file, (1, 1)),
    "set an attribute": lambda target: os.setxattr(target.file, "user.a", b"b"),
    "lock": _lock,
    "lock bytes": _lock_bytes,
    "shared memory": _write_shared_memory,
    "System V memory": lambda _: _libc("shmget", 0, 4096, 0o1600),
    "kill": lambda target: os.kill(target.process, 0),
    "kill all": lambda _: os.kill(-1, 0),
    "signal by a file": _signal_by_a_file,
    "prlimit": lambda target: resource.prlimit(target.process, resource.RLIMIT_CORE),
    "ptrace": lambda target: _libc("ptrace", 0x4206, target.process, None, None),
    "open a process": lambda target: os.close(os.pidfd_open(target.process)),
    "fork": _fork,
    "run a program": lambda _: subprocess.run(_EXEC, check=False),
    "leave the group": lambda _: os.setpgid(0, 0),
    "outlive the parent": lambda _: _libc("prctl", 1, 0, 0, 0, 0),
    "new namespaces": lambda _: _libc("unshare", 0x10000000),
    "TCP socket": _socket(socket.AF_INET, socket.SOCK_STREAM),
    "TCP connection": _connect,
    "TCP fast open": _fast_open,
    "UDP socket": _socket(socket.AF_INET, socket.SOCK_DGRAM),
    "UDP socket, IPv6": _socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "MPTCP socket": _socket(socket.AF_INET, socket.SOCK_STREAM, _MPTCP),
    "ping socket": _socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    "raw socket": _socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "packet socket": _socket(socket.AF_PACKET, socket.SOCK_RAW),
    "netlink socket": _socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "unix socket": _socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "unix datagrams": _socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    "vsock": _socket(_VSOCK, socket.SOCK_STREAM),
    "io_uring": lambda _: _libc("syscall", 425, 8, ctypes.create_string_buffer(256)),
}
"""Each must end in an `OSError`."""
