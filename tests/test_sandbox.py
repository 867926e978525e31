"""Whatever a job does, the parent goes on, and says what happened."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import until

from video2gif.core import sandbox
from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.core.sandbox import Limits, Worker

TESTS = Path(__file__).parent


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with Worker(Limits(wall_s=20, memory_bytes=2 << 30)) as one:
        yield one


def test_a_job_writes_its_result(worker: Worker, tmp_path: Path):
    worker.run("work:echo", {"params": {"suffix": "é"}, "text": "hello"}, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "hello é"


def test_a_child_serves_many_jobs(worker: Worker, tmp_path: Path):
    for name in ("a", "b"):
        worker.run("work:pid", {"params": {}}, tmp_path / name)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_E4_a_child_counts_with_one_thread_whatever_its_parent_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with Worker(Limits(wall_s=20)) as worker:
        worker.run("work:blas_threads", {"params": {}}, tmp_path / "out")
    assert json.loads((tmp_path / "out").read_text()) == [1]


def test_what_libraries_print_does_not_break_the_protocol(worker: Worker, tmp_path: Path):
    worker.run("work:noisy", {"params": {}}, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "fine"


@pytest.mark.parametrize(
    ("work", "args", "cause"),
    [
        pytest.param("refuse", {"cause": "truncated"}, "truncated", id="item-error"),
        pytest.param("grow", {}, "oom", id="too-much-memory"),
        pytest.param("killed", {}, "oom", id="killed-by-the-kernel"),
        pytest.param("fall", {}, "crash", id="segmentation-fault"),
        pytest.param("missing", {}, "crash", id="no-such-function"),
    ],
)
def test_B13_B15_a_bad_job_is_named_and_the_next_one_runs(
    worker: Worker, tmp_path: Path, work: str, args: dict, cause: str
):
    with pytest.raises(ItemError) as caught:
        worker.run(f"work:{work}", {"params": {}, **args}, tmp_path / "out")
    assert caught.value.cause == cause
    worker.run("work:echo", {"params": {}, "text": "alive"}, tmp_path / "out")


def test_B14_an_endless_job_is_killed_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with Worker(Limits(wall_s=1)) as worker, pytest.raises(ItemError, match="limit of 1 s") as e:
        worker.run("work:loop", {"params": {}}, tmp_path / "out")
    assert e.value.cause == "timeout"


def test_B11_a_full_disk_is_no_items_fault(worker: Worker, tmp_path: Path):
    with pytest.raises(EnvironmentProblem, match="No space left"):
        worker.run("work:full_disk", {"params": {}}, tmp_path / "out")


@pytest.mark.parametrize("what", ["write", "make", "remove", "thread", "run", "connect"])
def test_D35_a_hijacked_child_can_change_nothing_outside(worker: Worker, tmp_path: Path, what: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = str(server.getsockname()[1]) if what == "connect" else str(tmp_path / "target")
        if what == "remove":
            Path(target).write_text("precious")
        args = {"params": {}, "what": what, "target": target}
        with pytest.raises(ItemError, match=r"PermissionError|Read-only file system"):
            worker.run("work:hijacked", args, tmp_path / "out")
        assert what == "connect" or Path(target).exists() == (what == "remove")


@pytest.mark.parametrize(
    "kind", ["link", "hard link", "folder", "fifo", "nothing"], ids=lambda kind: kind
)
def test_S2_a_result_that_is_no_plain_file_is_not_taken(
    worker: Worker, tmp_path: Path, kind: str
) -> None:
    """A link would have the parent change, or show, a file elsewhere; a pipe would keep it."""
    (tmp_path / "precious").write_text("precious")
    args = {"params": {}, "kind": kind, "target": str(tmp_path / "precious")}
    with pytest.raises(ItemError) as caught:
        worker.run("work:odd_result", args, tmp_path / "out")
    assert caught.value.cause == "crash"
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "precious").read_text() == "precious"


def test_S2_a_child_finds_its_folder_empty_each_time(worker: Worker, tmp_path: Path) -> None:
    for _ in range(2):
        worker.run("work:leave_behind", {"params": {}}, tmp_path / "out")
        assert json.loads((tmp_path / "out").read_text()) == []


def test_S2_a_child_that_writes_without_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    limits = Limits(wall_s=30, disk_bytes=5_000_000)
    for many in (False, True):  # one file, which the kernel ends; many, which the parent counts
        with Worker(limits, root=tmp_path) as worker, pytest.raises(ItemError) as caught:
            worker.run("work:fill", {"params": {}, "many": many}, tmp_path / "out")
        assert caught.value.cause == "too_large"
        assert not list((tmp_path / "children").iterdir())


def test_S2_a_child_that_answers_no_more_ends_at_its_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It may close what it answers with, or stop reading, and live on."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with Worker(Limits(wall_s=2)) as worker:
        with pytest.raises(ItemError):
            worker.run("work:hang_up", {"params": {}}, tmp_path / "out")
        with pytest.raises(ItemError, match="limit of 2 s"):
            worker.run("work:loop", {"params": {}, "ballast": "x" * 1_000_000}, tmp_path / "out")


def test_S6_a_cache_that_was_removed_under_a_warm_child_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    root = tmp_path / "cache"
    with Worker(Limits(wall_s=20), root=root) as worker:
        for text in ("before", "after"):
            worker.run("work:echo", {"params": {}, "text": text}, tmp_path / text)
            assert (tmp_path / text).read_text() == f"{text} "
            shutil.rmtree(root)


def test_B2_what_a_killed_parent_had_lent_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = f"""
from pathlib import Path
from video2gif.core.sandbox import Limits, Worker
root = Path({str(tmp_path)!r})
worker = Worker(Limits(), root=root)
for seconds in (0, 3600):
    args = {{"params": {{}}, "seconds": seconds}}
    worker.run("work:go_on", args, root / "out", kept=root / "partial" / "one")
    print("ready", flush=True)
"""
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    parent.stdout.readline()
    lent = "children/*/kept-one/tries"
    until(lambda: [path for path in tmp_path.glob(lent) if path.stat().st_size == 2])
    parent.kill()
    parent.wait()
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with Worker(Limits(wall_s=20), root=tmp_path) as worker:
        kept = tmp_path / "partial" / "one"
        args = {"params": {}, "seconds": 0}
        worker.run("work:go_on", args, tmp_path / "out", kept=kept)
    assert (tmp_path / "out").read_text() == "3"


def test_D34_what_a_job_leaves_behind_does_not_pile_up(worker: Worker, tmp_path: Path):
    resident = []
    for _ in range(8):
        worker.run("work:cycle", {"params": {}}, tmp_path / "out")
        resident.append(int((tmp_path / "out").read_text()))
    assert max(resident) - resident[0] < 60_000_000


@pytest.mark.parametrize(
    "line",
    [b"not json\n", b'{"ok": false}\n', b"[]\n", b"\xff\n"],
    ids=["text", "bare", "list", "bytes"],
)
def test_an_answer_that_makes_no_sense_is_a_crash(line: bytes):
    assert sandbox._understood(line)[0] == "garbled"


def test_B2_a_child_dies_with_its_parent(tmp_path: Path):
    code = f"""
from pathlib import Path
from video2gif.core.sandbox import Limits, Worker
worker = Worker(Limits())
worker.run("work:pid", {{"params": {{}}}}, Path({str(tmp_path / "pid")!r}))
print("ready", flush=True)
worker.run("work:loop", {{"params": {{}}}}, Path("/dev/null"))
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child = Path("/proc") / (tmp_path / "pid").read_text()
    until(lambda: not child.exists() or "Z" in (child / "stat").read_text().split()[2])
