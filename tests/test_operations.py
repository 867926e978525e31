"""Deployments on a real server: PostgreSQL, a work pool, worker processes that get killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import postgres
import pytest
from patience import PATIENCE_S, until

from flows import counts, guard
from video2gif.core.items import Counts
from video2gif.media.encode import write_video

REPO = Path(__file__).parents[1]
AUTH = "admin:secret-of-the-test"
RUNS = 20
EVERY_S = 6.0


def video(path: Path, *, seed: int) -> None:
    """Two seconds of moving blocks, different for every seed."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 255, (3, 4, 3), dtype=np.uint8)
    still = blocks.repeat(16, axis=0).repeat(16, axis=1)
    frames = [np.roll(still, 3 * number, axis=1) for number in range(40)]
    half = path.with_name(f".{path.name}")
    write_video(half.with_suffix(".mp4"), frames, fps=20)
    half.with_suffix(".mp4").rename(path)


class Server:
    """What a test asks of a Prefect server over its API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=None if method == "GET" else json.dumps(body or {}).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Basic {b64encode(AUTH.encode()).decode()}",
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def runs(self, deployment: str, *states: str) -> list[dict[str, Any]]:
        body = {
            "deployments": {"name": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": states}}},
            "sort": "START_TIME_ASC",
        }
        return self.ask("/flow_runs/filter", body)

    def artifacts(self, flow_run_id: str) -> list[dict[str, Any]]:
        body = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}
        return self.ask("/artifacts/filter", body)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operations")


@pytest.fixture(scope="module")
def environment(home: Path) -> Iterator[dict[str, str]]:
    """A server on PostgreSQL with authentication on; what its clients need in their environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    clone = home / "clone"
    ours = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "VIDEO2GIF_PROJECT": str(clone),
        "VIDEO2GIF_INBOX": str(home / "inbox"),
        "VIDEO2GIF_GIFS": str(home / "gifs"),
        "VIDEO2GIF_CACHE": str(home / "cache"),
        "PYTHONPATH": str(REPO),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    (home / "inbox").mkdir()
    clone.mkdir()
    for name in ("flows", "video2gif", "params.yaml", "prefect.yaml"):
        (clone / name).symlink_to(REPO / name)
    with postgres.database(home) as database:
        everything = {**kept, **ours, "PREFECT_API_DATABASE_CONNECTION_URL": database}
        log = (home / "server.log").open("w")
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-ui"],
            env=everything,
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: _healthy(url), every_s=0.5)
            yield everything
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE_S)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def deployed(environment: dict[str, str], home: Path) -> Server:
    """prefect.yaml's deployments on a work pool, as docs/operations.md says."""
    for words in (
        ["-m", "flows", "prepare"],
        ["-c", "from prefect.blocks.system import Secret; Secret(value=input()).save('s3-secret')"],
        ["-m", "prefect", "work-pool", "create", "--type", "process", "video2gif"],
        ["-m", "prefect", "--no-prompt", "deploy", "--all"],
    ):
        done = subprocess.run(
            [sys.executable, *words],
            env=environment,
            cwd=home / "clone",
            input="word\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    server = Server(environment["PREFECT_API_URL"])
    # Faster than the file's schedule, and files that were renamed into place need not settle.
    inbox = server.ask("/deployments/name/watch-folder/inbox", method="GET")
    parameters = {**inbox["parameters"], "top": 1, "settle_s": 0}
    server.ask(f"/deployments/{inbox['id']}", {"parameters": parameters}, method="PATCH")
    schedule = inbox["schedules"][0]["id"]
    server.ask(
        f"/deployments/{inbox['id']}/schedules/{schedule}",
        {"schedule": {"interval": EVERY_S}},
        method="PATCH",
    )
    return server


def worker(environment: dict[str, str], home: Path, name: str) -> "subprocess.Popen[bytes]":
    log = (home / f"{name}.log").open("w")
    return subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", "video2gif", "-n", name],
        env=environment,
        cwd=home / "clone",
        stdout=log,
        stderr=log,
    )


def kill(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL a worker and all it has started, as a machine that loses its power."""
    for pid in [*guard.children(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait()


def finished(home: Path) -> dict[str, dict[str, Any]]:
    """What was processed, by content; asserts that nothing was processed twice."""
    notes = [json.loads(path.read_text()) for path in (home / "gifs").glob("*/done.json")]
    by_content = {note["sha256"]: note for note in notes}
    assert len(by_content) == len(notes)
    return by_content


@pytest.mark.slow
def test_B20_a_run_whose_worker_died_before_it_began_is_marked_and_frees_its_slot(deployed: Server):
    name = {"automations": {"name": {"any_": ["video2gif: mark runs that never began as crashed"]}}}
    (alarm,) = deployed.ask("/automations/filter", name)
    # Ten seconds instead of ten minutes.
    own = ("name", "description", "enabled", "actions", "actions_on_trigger", "actions_on_resolve")
    faster = {key: alarm[key] for key in own} | {"trigger": {**alarm["trigger"], "within": 10}}
    deployed.ask(f"/automations/{alarm['id']}", faster, method="PUT")
    by_hand = deployed.ask("/deployments/name/pipeline/by-hand", method="GET")

    def taken_by_a_worker() -> tuple[str, str]:
        run = deployed.ask(
            f"/deployments/{by_hand['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}}
        )
        return run["id"], take(run["id"])

    def take(run_id: str) -> str:
        return deployed.ask(f"/flow_runs/{run_id}/set_state", {"state": {"type": "PENDING"}})[
            "status"
        ]

    lost, answer = taken_by_a_worker()  # Which dies at once.
    assert answer == "ACCEPT"
    late, answer = taken_by_a_worker()
    assert answer != "ACCEPT", "the slot is taken"
    until(lambda: deployed.runs("by-hand", "CRASHED"), every_s=0.5)
    (crashed,) = deployed.runs("by-hand", "CRASHED")
    assert crashed["id"] == lost
    until(lambda: take(late) == "ACCEPT", every_s=0.5)
    deployed.ask(f"/flow_runs/{late}/set_state", {"state": {"type": "CANCELLED"}})


@pytest.mark.slow
def test_B19_a_schedule_processes_each_video_once_and_outlives_a_killed_worker(
    deployed: Server, environment: dict[str, str], home: Path
):
    workers = [worker(environment, home, name) for name in ("one", "two")]
    try:
        dropped = 0
        while len(deployed.runs("inbox", "COMPLETED", "FAILED", "CRASHED")) < RUNS:
            if dropped <= len(deployed.runs("inbox", "COMPLETED")) and dropped < 8:
                video(home / "inbox" / f"video{dropped}.mp4", seed=dropped)
                dropped += 1
            time.sleep(1)
        done = deployed.runs("inbox", "COMPLETED")[:RUNS]
        assert len(done) == RUNS, "a run failed"
        spans = sorted((run["start_time"], run["end_time"]) for run in done)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        tables = [a for run in done for a in deployed.artifacts(run["id"]) if a["key"] == "videos"]
        assert len(tables) == RUNS
        rows = [row for table in tables for row in json.loads(table["data"])]
        assert len({row["sha256"] for row in rows}) == len(rows) == dropped
        assert len(finished(home)) == dropped
        pictures = [a for run in done for a in deployed.artifacts(run["id"]) if a["key"] == "gifs"]
        assert len(pictures) == dropped

        # A longer job, and everything that works on it loses its power.
        for seed in range(100, 104):
            video(home / "inbox" / f"video{seed}.mp4", seed=seed)
        until(lambda: len(finished(home)) > dropped, every_s=0.5)
        for process in workers:
            kill(process)
        running = deployed.runs("inbox", "RUNNING")
        workers = [worker(environment, home, "three")]
        until(lambda: len(finished(home)) == dropped + 4, every_s=0.5)
        until(
            lambda: (
                {run["id"] for run in running}
                <= {run["id"] for run in deployed.runs("inbox", "CRASHED", "COMPLETED")}
            ),
            every_s=0.5,
        )
        assert deployed.runs("inbox", "CRASHED")
    finally:
        for process in workers:
            kill(process)


def test_a_run_shows_the_counts_of_its_own_stages_only(tmp_path: Path):
    counts.note_counts(tmp_path, "download", Counts(computed=3, reused=2, quarantined=1))
    rows = counts.items_table(tmp_path, since=0)
    assert rows[0] == {"stage": "download", "computed": 3, "reused": 2, "quarantined": 1}
    assert rows[1] == {"stage": "fingerprint", "computed": "up to date"}
    later = counts.items_table(tmp_path, since=time.time() + 1)
    assert later[0] == {"stage": "download", "computed": "up to date"}
