"""A PostgreSQL server of a test's own, on loopback, from the machine's own package."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def program(name: str) -> str:
    """A program of the newest PostgreSQL here; the test is skipped where there is none."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))[::-1]), ""
    )
    if not found:
        pytest.skip(f"{name} is not installed (Debian: apt-get install postgresql)")
    return found


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """A new cluster in `folder`; yields the URL of an empty database for Prefect."""
    # PostgreSQL refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data = folder / "postgres"
    data.mkdir(parents=True)
    if user:
        for place in (data, *data.parents):
            if place.owner() == "root" and place != Path("/tmp") and place != Path("/"):
                place.chmod(place.stat().st_mode | 0o755)
        shutil.chown(data, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "check": True, "cwd": "/"}
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {data}"
    subprocess.run([*user, program("initdb"), "-D", data, "-U", "prefect", "-A", "trust"], **quiet)
    control = [*user, program("pg_ctl"), "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "-l", data / "log", "start"], **quiet)
    try:
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
