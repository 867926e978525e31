"""`video2gif serve` as a process of its own."""

import http.client
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from films import film_of_shots
from patience import PATIENCE_S, until
from review_site import OURS, REPO

from flows import guard


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`video2gif serve` in a process of its own: its address, and the process."""
    (tmp_path / "folder").mkdir()
    film_of_shots(tmp_path / "folder" / "film.mp4")
    command = [Path(sys.executable).with_name("video2gif"), "serve", tmp_path / "folder"]
    child = subprocess.Popen(
        [*map(str, command), "--port", "0", "--ranker", "baseline", "--root", str(REPO)],
        env={**os.environ, "VIDEO2GIF_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        yield found[0], child
    finally:
        child.kill()
        child.wait()


def test_C8_fifty_clients_hardly_wait_longer_during_an_analysis(served):
    url, child = served
    idle_s = longest_wait_s(url)
    httpx.post(f"{url}api/videos/film.mp4/start", headers=OURS).raise_for_status()
    # Ten times as long where the machine is slow without an analysis, too.
    assert longest_wait_s(url) < max(1.0, 10 * idle_s)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=PATIENCE_S) in (0, 130)


def test_nobody_waits_for_an_analysis(served):
    url, child = served
    httpx.post(f"{url}api/videos/film.mp4/start", headers=OURS).raise_for_status()
    until(lambda: guard.children(child.pid))
    # It stands still: whatever waited for it would wait for ever.
    stopped = guard.children(child.pid)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    longest_wait_s(url)
    assert httpx.get(f"{url}api/videos/film.mp4").json()["state"] == "working"
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def longest_wait_s(url: str) -> float:
    """Of fifty clients at once, the 99th percentile of their waits, seconds."""
    waits: list[float] = []

    def ask() -> None:
        # Not httpx: fifty of its clients cost more than all the answers.
        client = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=PATIENCE_S)
        for path in ("/", "/api/videos", "/api/videos/film.mp4") * 2:
            began = time.monotonic()
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            waits.append(time.monotonic() - began)
            assert answer.status == 200
        client.close()

    clients = [threading.Thread(target=ask) for _ in range(50)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(waits) == 300
    print(f"p50 {statistics.median(waits):.3f} s, longest {max(waits):.3f} s")
    return statistics.quantiles(waits, n=100)[-1]


def test_a_taken_port_is_named(served, tmp_path: Path):
    url, _ = served
    port = url.rstrip("/").rpartition(":")[2]
    command = [Path(sys.executable).with_name("video2gif"), "serve", tmp_path / "other"]
    done = subprocess.run(
        [*map(str, command), "--port", port, "--ranker", "baseline", "--root", str(REPO)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert port in done.stderr
    assert "Traceback" not in done.stderr
