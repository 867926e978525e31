"""What Prefect's own troubles do to a stage: nothing."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE_S

from video2gif.core.store import ItemStore

TESTS = Path(__file__).parent
REPO = TESTS.parent

STAGE = """
import sys
from pathlib import Path
from flows import guard
from flows.stages import run_stage
from video2gif import stages
from video2gif.core import work as works
from video2gif.core.items import Counts, compute
from video2gif.core.work import Item, Work

works.code_version = lambda module: "test"
SECONDS = float(sys.argv[2])

def run(layout, params, context):
    work = Work(function="work:wait")
    todo = [Item(id=str(n), inputs=(str(n),), args={"seconds": SECONDS}) for n in range(16)]
    print("begun", flush=True)
    return Counts.of(compute("segment", work, todo, context))

stages.load = lambda stage: run
print(guard.guarded(lambda: run_stage("segment", Path(sys.argv[1]), quiet=True)), flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text((REPO / "params.yaml").read_text())
    return tmp_path


@contextmanager
def running(project: Path, *, seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """A stage of sixteen items under a Prefect server of its own, begun."""
    own = {"PYTHONPATH": f"{REPO}{os.pathsep}{TESTS}", "VIDEO2GIF_CACHE": str(project / "store")}
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"} | own
    stage = subprocess.Popen(
        [sys.executable, "-c", STAGE, str(project), str(seconds)],
        env=environment,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert stage.stdout is not None
        for line in stage.stdout:
            if line.startswith("begun"):
                break
        yield stage
    finally:
        stage.kill()
        stage.wait()


def completed(project: Path, stage: "subprocess.Popen[str]") -> None:
    told, _ = stage.communicate(timeout=PATIENCE_S)
    assert stage.returncode == 0, told[-2000:]
    assert "16 computed, 0 reused, 0 quarantined" in told
    store = ItemStore(project / "store")
    keys = [path.name for path in store.root.glob("??/*")]
    assert len(keys) == 16
    assert all(store.check(key) == "item" for key in keys)


@pytest.mark.slow
def test_B18_a_stage_completes_although_its_server_is_killed(project: Path):
    with running(project, seconds=0.5) as stage:
        server = json.loads((project / ".video2gif/prefect/server.json").read_text())
        os.kill(server["pid"], signal.SIGKILL)
        completed(project, stage)


@pytest.mark.slow
@pytest.mark.parametrize("locked_s", [5, 60])
def test_B21_a_stage_completes_although_prefects_database_is_locked(
    project: Path, locked_s: float, record_property
):
    started = time.monotonic()
    with running(project, seconds=locked_s / 16) as stage:
        (database,) = (project / ".video2gif/prefect").glob("*.db")
        with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as other:
            other.execute("begin exclusive")
            time.sleep(locked_s)
            other.execute("rollback")
        completed(project, stage)
    with closing(sqlite3.connect(database)) as known:
        states = known.execute("select state_type, count(*) from flow_run group by 1").fetchall()
    record_property("figure", f"{time.monotonic() - started:.0f} s, runs {dict(states)}")
    assert states == [("COMPLETED", 1)]
