"""What Prefect and DVC add: one writer, clean endings, exit codes, and never another result."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from patience import PATIENCE_S, until

from flows import guard, server
from flows.__main__ import main
from flows.executors import PrefectMapper
from flows.stages import run_stage
from video2gif import stages
from video2gif.core.errors import EnvironmentProblem, Exit, TooManyFailed
from video2gif.core.items import Context, Counts, compute
from video2gif.core.layout import Layout
from video2gif.core.mappers import SerialMapper
from video2gif.core.store import ItemStore
from video2gif.core.work import Item, Work

REPO = Path(__file__).parents[1]
ENV = os.environ | {"PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}"}


@pytest.fixture(scope="module")
def prefect_server() -> Iterator[None]:
    from prefect.testing.utilities import prefect_test_harness

    server.quiet()
    with prefect_test_harness(server_startup_timeout=int(PATIENCE_S)):
        from prefect.settings import PREFECT_API_URL

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
            yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with params and nothing else, its item store beside it."""
    (tmp_path / "params.yaml").write_text((REPO / "params.yaml").read_text())
    monkeypatch.setenv("VIDEO2GIF_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("PYTHONPATH", ENV["PYTHONPATH"])
    return tmp_path


ECHO = Work(function="work:echo")


def echoes(n: int) -> list[Item]:
    return [Item(id=f"item:{i}", inputs=(str(i),), args={"text": str(i)}) for i in range(n)]


def stored(store: ItemStore) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in store.root.rglob("??/*")}


@pytest.mark.usefixtures("prefect_server")
def test_a_stage_in_a_flow_gives_what_a_plain_call_gives(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("video2gif.core.work.code_version", lambda module: "test")
    mappers: list[object] = []

    def run(layout: Layout, params: object, context: Context) -> Counts:
        mappers.append(context.mapper)
        return Counts.of(compute("segment", ECHO, echoes(9), context))

    monkeypatch.setattr(stages, "load", lambda stage: run)
    assert run_stage("segment", project) == Counts(computed=9)
    assert run_stage("segment", project) == Counts(reused=9)
    assert isinstance(mappers[0], PrefectMapper)
    assert "segment: 9 computed, 0 reused, 0 quarantined (" in capsys.readouterr().err
    plain = ItemStore(project / "plain")
    run(Layout(project), None, Context(plain, SerialMapper()))
    assert stored(plain) == stored(ItemStore(project / "store"))


@pytest.mark.usefixtures("prefect_server")
def test_an_error_of_the_stage_keeps_its_code_and_has_no_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def run(layout: Layout, params: object, context: Context) -> Counts:
        raise TooManyFailed("download: 6 of 10 items failed")

    monkeypatch.setattr(stages, "load", lambda stage: run)
    monkeypatch.setattr(guard, "guarded", lambda body: body())
    assert main(["download", "--root", str(project)]) == Exit.TOO_MANY_FAILED
    assert guard.failure_code(project) == Exit.TOO_MANY_FAILED
    err = capfd.readouterr().err
    assert "download: 6 of 10 items failed" in err
    assert "Traceback" not in err


def test_B18_without_a_server_the_stage_runs_unobserved(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def broken(*_: object) -> str:
        raise server.ServerError("no server today")

    monkeypatch.setattr(server, "_start", broken)
    monkeypatch.setattr(stages, "load", lambda stage: lambda *_: Counts(computed=1))
    assert run_stage("train", project) == Counts(computed=1)
    assert "unobserved" in capfd.readouterr().err


def test_B16_a_second_run_names_the_first(tmp_path: Path):
    lock = tmp_path / "stage.lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from flows import guard\n"
            "with guard.locked(Path(sys.argv[1]), wait_s=0):\n"
            "    print('held', flush=True); time.sleep(900)",
            str(lock),
        ],
        env=ENV,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with (
        pytest.raises(EnvironmentProblem, match=f"process {holder.pid}"),
        guard.locked(lock, wait_s=0.1),
    ):
        pass
    holder.kill()
    holder.wait()
    with guard.locked(lock, wait_s=0):
        assert lock.read_text() == str(os.getpid())


SLEEPER = """
import subprocess, sys, time
from flows import guard
def body():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    time.sleep(900)
guard.guarded(body)
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_B3_a_signal_ends_the_stage_and_its_children_at_once(number: signal.Signals, code: int):
    stage = subprocess.Popen([sys.executable, "-c", SLEEPER], env=ENV, stdout=subprocess.PIPE)
    assert stage.stdout is not None
    child = int(stage.stdout.readline())
    stage.send_signal(number)
    assert stage.wait(timeout=PATIENCE_S) == code
    until(lambda: _is_gone(child))


def test_B2_a_stage_dies_with_a_killed_parent():
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
    dvc = subprocess.Popen([sys.executable, "-c", code], env=ENV, stdout=subprocess.PIPE)
    assert dvc.stdout is not None
    child = int(dvc.stdout.readline())
    (stage,) = [pid for pid in guard.children(dvc.pid) if pid != child]
    dvc.kill()
    dvc.wait()
    until(lambda: _is_gone(stage))
    until(lambda: _is_gone(child))


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_failure_without_a_note_is_the_environments(tmp_path: Path):
    assert guard.failure_code(tmp_path) == Exit.ENVIRONMENT
    guard.failure_file(tmp_path).parent.mkdir()
    guard.failure_file(tmp_path).write_text("{")
    assert guard.failure_code(tmp_path) == Exit.ENVIRONMENT


@pytest.mark.slow
def test_a_scheduled_deployment_really_runs(project: Path):
    # With sqlalchemy 2.1 flows run and the scheduler silently schedules nothing.
    (project / "dvc.yaml").write_text("stages: {}")
    log = (project / "serve.log").open("w+")
    served = subprocess.Popen(
        [sys.executable, "-m", "flows", "serve", "--interval", "2", "--root", str(project)],
        env={k: v for k, v in ENV.items() if k != "PREFECT_API_URL"},
        cwd=REPO,
        stdout=log,
        stderr=log,
    )
    try:
        # The pipeline's lock is taken by a run and by nothing else.
        until(Layout(project).lock("pipeline").exists, every_s=0.5)
    finally:
        served.terminate()
        served.wait(timeout=PATIENCE_S)
