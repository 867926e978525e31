"""The Prefect server a run reports to: yours if you have one, else one of the project's own.

With `PREFECT_API_URL` set, nothing is started. Otherwise the first process that needs a server
starts one on loopback that lives as long as the *run* does: until `dvc repro` or `pipeline` ends,
not only one stage, so that nine stages pay for one start. Its database is in .video2gif/prefect.
"""

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flows import guard

_START_S = 600.0  # On a busy machine it takes minutes; one that died is found at once.

BEAT_S = 30
"""Seconds between two heartbeats of a run: the least that Prefect allows."""
# Nothing leaves the machine, and the console is ours. Prefect's own heartbeat comes every three
# minutes: a run started by hand, or one that waits for a person, would pass for lost (`deploy`).
_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEAT_S),
}
# A run without a schedule needs no page and none of the services that look after others.
_EPHEMERAL = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_UI_ENABLED": "0",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "0",
    "PREFECT_LOGGING_LEVEL": "ERROR",
}


class ServerError(Exception):
    """The project's own Prefect server did not start: a run goes on without being observed."""


def quiet() -> None:
    """Settings every process here wants; call it before Prefect is imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def api(
    root: Path, *, scheduler: bool = False, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[str]:
    """Have `PREFECT_API_URL` name a server that answers, in this process and its children.

    With `scheduler`, one that schedules deployments: never the server of a passing run.
    `meanwhile` is called once, while a server that has to be started still starts: it is the time
    for imports.
    """
    quiet()
    given = os.environ.get("PREFECT_API_URL")
    if given:
        meanwhile()
        yield given
        return
    folder = root / ".video2gif" / "prefect"
    os.environ.setdefault("PREFECT_HOME", str(folder))
    try:
        with guard.locked(root / ".video2gif" / "server.lock", wait_s=_START_S):
            running = None if scheduler else _running(folder)
            server = running or _start(folder, {} if scheduler else _EPHEMERAL)
            os.environ["PREFECT_API_URL"] = server.url
            meanwhile()
            server.wait()
        yield server.url
    finally:
        os.environ.pop("PREFECT_API_URL", None)


@dataclass(frozen=True)
class _Server:
    """A server by its address, and how to wait until it answers."""

    url: str
    wait: Callable[[], None] = lambda: None


def _running(folder: Path) -> _Server | None:
    """The server that another process of this run started, if it answers."""
    try:
        url = str(json.loads((folder / "server.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
    return _Server(url) if _healthy(url) else None


def _healthy(url: str) -> bool:
    with (
        suppress(OSError, urllib.error.URLError),
        urllib.request.urlopen(f"{url}/health", timeout=2) as answer,
    ):
        return bool(answer.status == 200)
    return False


def _start(folder: Path, environment: Mapping[str, str]) -> _Server:
    folder.mkdir(parents=True, exist_ok=True)
    # The kernel names a port that is free.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port), str(_owner())],
            env={**os.environ, **environment, "PREFECT_HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the run; the server ends when the run has.
        )
    (folder / "server.json").write_text(json.dumps({"url": url, "pid": process.pid}))
    return _Server(url, partial(_wait, process, url, folder / "server.log"))


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not _healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise ServerError(f"Prefect's server did not start; see {log}")
        time.sleep(0.05)


def _owner() -> int:
    """The process whose end is the run's end: `dvc` where it is our parent, else this one."""
    return os.getppid() if os.environ.get("DVC_STAGE") else os.getpid()


def main(port: int, owner: int) -> None:
    """The server's process: serve until `owner` ends, however it ends."""
    try:
        # A number may be given to another process; this handle stays that of its owner.
        handle = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    threading.Thread(target=_end_with, args=(handle,), daemon=True).start()
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
    )


def _end_with(handle: int) -> None:
    select.select([handle], [], [])
    os._exit(0)  # The run's history is on disk; nobody is left to answer.


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
