"""Clusters run chunks: the same bytes as here, lost workers made good, other code refused."""

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE_S, until

from flows import executors
from video2gif.core import items, mappers
from video2gif.core import work as works
from video2gif.core.errors import EnvironmentProblem
from video2gif.core.items import Context, compute
from video2gif.core.mappers import SerialMapper, process_chunk
from video2gif.core.store import ItemStore
from video2gif.core.work import Chunk, Item, Job, Outcome, Work

REPO = Path(__file__).parents[1]
PATHS = f"{REPO}{os.pathsep}{REPO / 'tests'}"
# Real work of a real module: the workers compute its code version for themselves.
RENDER = Work(function="video2gif.sample:work", libraries=("numpy",))


def renders(n: int) -> list[Item]:
    """GIFs of the embedded corpus; cheap enough, and their bytes are known to be stable."""
    from video2gif.sample import manifest_csv

    rows = manifest_csv(limit=n).splitlines()
    column = rows[0].split(",").index("gif_url")
    urls = [url for url in (row.split(",")[column] for row in rows[1:]) if url][:n]
    return [Item(id=url, inputs=(url,), args={"source": url}) for url in urls]


def contents(store: ItemStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.root.rglob("??/*")}


class Straight:
    """A mapper on an engine, without Prefect: what engines are tested through."""

    def __init__(self, engine: executors.Engine) -> None:
        self.workers, self._engine = engine.workers, engine

    def run(self, chunks: list[Chunk]) -> Iterator[list[Outcome]]:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._engine.in_flight) as pool:
            yield from pool.map(self._engine.process, chunks)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dask_cluster(
    workers: int, *extra: str, host: str = "127.0.0.1", inside: Sequence[str] = ()
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and `workers` worker processes of one thread each, these run by `inside`."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    port = free_port()
    address = f"{host}:{port}"
    run = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONPATH": PATHS}
    scheduler = subprocess.Popen(
        [*run, "scheduler", "--host", host, "--port", str(port), "--no-dashboard"],
        env=environment,
        **quiet,
    )
    started = [
        subprocess.Popen(
            [
                *inside,
                *run,
                "worker",
                address,
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                *extra,
            ],
            env=environment,
            **quiet,
        )
        for _ in range(workers)
    ]
    try:
        yield address, started
    finally:
        for process in (*started, scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PYTHONPATH", PATHS)
    return monkeypatch


def test_a_worker_refuses_work_whose_key_it_would_not_give(tmp_path: Path):
    work = Work(function="video2gif.sample:work")
    job = Job("gif:1", "0" * 64, ("x",), {})
    with pytest.raises(EnvironmentProblem, match="same checkout"):
        process_chunk(Chunk(work, (job,), str(tmp_path)))


def test_a_chunk_that_is_run_again_computes_only_what_is_missing(
    tmp_path: Path, elsewhere: pytest.MonkeyPatch
):
    elsewhere.setattr(works, "code_version", lambda module: "test")
    work = Work(function="work:echo")
    jobs = [Job(f"i{i}", work.key((str(i),)), (str(i),), {"text": str(i)}) for i in range(3)]
    store = ItemStore(tmp_path)
    process_chunk(Chunk(work, tuple(jobs[:2]), str(tmp_path)))
    before = {job.key: store.path(job.key).stat().st_mtime_ns for job in jobs[:2]}
    process_chunk(Chunk(work, tuple(jobs), str(tmp_path)))
    assert before == {job.key: store.path(job.key).stat().st_mtime_ns for job in jobs[:2]}
    assert store.has(jobs[2].key)


@pytest.mark.parametrize(
    ("n_jobs", "workers", "size"),
    [
        pytest.param(1, 8, 1, id="one-item"),
        pytest.param(36, 2, 4, id="a-few-for-each-worker"),
        pytest.param(10_000, 2, 50, id="fifty-at-most"),
        pytest.param(100_000, 2, 500, id="more-where-there-are-many"),
        pytest.param(100_000, 800, 31, id="but-enough-for-every-worker"),
    ],
)
def test_chunks_are_small_but_not_too_many(n_jobs: int, workers: int, size: int):
    assert items._chunk_size(n_jobs, workers) == size


def test_a_cluster_that_does_not_answer_is_named_with_the_remedy(elsewhere: pytest.MonkeyPatch):
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    elsewhere.setattr(executors, "_CONNECT_S", 0.5)
    elsewhere.setenv("VIDEO2GIF_EXECUTOR", "dask://127.0.0.1:1")
    with (
        pytest.raises(EnvironmentProblem, match=r"127\.0\.0\.1:1.*dask scheduler"),
        executors.engine(SerialMapper()),
    ):
        pass


def test_an_executor_nobody_knows_is_named(elsewhere: pytest.MonkeyPatch):
    elsewhere.setenv("VIDEO2GIF_EXECUTOR", "spark://host:7077")
    with pytest.raises(EnvironmentProblem, match="spark://"), executors.engine(SerialMapper()):
        pass


@pytest.mark.slow
def test_dask_gives_the_same_bytes_with_a_worker_killed_on_the_way(
    tmp_path: Path, elsewhere: pytest.MonkeyPatch
):
    here = ItemStore(tmp_path / "here")
    compute("download", RENDER, renders(12), Context(here, SerialMapper()))
    there = ItemStore(tmp_path / "there")
    with dask_cluster(2) as (address, workers):
        elsewhere.setenv("VIDEO2GIF_EXECUTOR", f"dask://{address}")
        with executors.engine(SerialMapper()) as engine:
            until(lambda: len(engine.client.nthreads()) == 2)  # type: ignore[attr-defined]
            killed = kill_after_first_item(there, workers[0])
            outcomes = compute("download", RENDER, renders(12), Context(there, Straight(engine)))
            assert killed() == -signal.SIGKILL
    assert {outcome.status for outcome in outcomes} == {"computed"}
    assert contents(there) == contents(here)


@pytest.mark.slow
def test_dask_runs_gpu_work_only_where_there_is_a_gpu(
    tmp_path: Path, elsewhere: pytest.MonkeyPatch
):
    on_gpu = dataclasses.replace(RENDER, resources={"GPU": 1})
    for extra, ok in (((), False), (("--resources", "GPU=1"), True)):
        with dask_cluster(1, *extra) as (address, _):
            elsewhere.setenv("VIDEO2GIF_EXECUTOR", f"dask://{address}")
            with executors.engine(SerialMapper()) as engine:
                context = Context(ItemStore(tmp_path), Straight(engine))
                if ok:
                    assert compute("extract", on_gpu, renders(1), context)[0].ok
                else:
                    with pytest.raises(EnvironmentProblem, match="--resources GPU=1"):
                        compute("extract", on_gpu, renders(1), context)


@pytest.mark.slow
def test_ray_gives_the_same_bytes(tmp_path: Path, elsewhere: pytest.MonkeyPatch):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    here = ItemStore(tmp_path / "here")
    compute("download", RENDER, renders(6), Context(here, SerialMapper()))
    there = ItemStore(tmp_path / "there")
    elsewhere.setenv("VIDEO2GIF_EXECUTOR", "ray")
    with executors.engine(mappers.ProcessMapper(2)) as engine:
        assert engine.workers == 2
        compute("download", RENDER, renders(6), Context(there, Straight(engine)))
    assert contents(there) == contents(here)


@pytest.fixture
def other_machine() -> Iterator[tuple[str, list[str]]]:
    """A network namespace joined to ours by a cable: our address on it, and how to run inside."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2 (Debian: apt-get install iproute2)")
    name = f"v2g{os.getpid()}"
    cable = [
        f"netns add {name}",
        f"link add {name}a type veth peer name {name}b netns {name}",
        f"address add 10.213.77.1/30 dev {name}a",
        f"link set {name}a up",
        f"-n {name} address add 10.213.77.2/30 dev {name}b",
        f"-n {name} link set {name}b up",
        f"-n {name} link set lo up",
    ]
    try:
        for words in cable:
            done = subprocess.run(
                ["ip", *words.split()], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"no network namespaces here: ip {words}: {done.stderr.strip()}")
        yield "10.213.77.1", ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
def test_a_worker_with_an_address_of_its_own_gives_the_same_bytes(
    tmp_path: Path, elsewhere: pytest.MonkeyPatch, other_machine: tuple[str, list[str]]
):
    host, inside = other_machine
    here = ItemStore(tmp_path / "here")
    compute("download", RENDER, renders(3), Context(here, SerialMapper()))
    there = ItemStore(tmp_path / "there")
    with dask_cluster(1, host=host, inside=inside) as (address, _):
        elsewhere.setenv("VIDEO2GIF_EXECUTOR", f"dask://{address}")
        with executors.engine(SerialMapper()) as engine:
            (worker,) = engine.client.nthreads()  # type: ignore[attr-defined]
            assert "10.213.77.2" in worker
            compute("download", RENDER, renders(3), Context(there, Straight(engine)))
    assert contents(there) == contents(here)


def kill_after_first_item(store: ItemStore, process: "subprocess.Popen[bytes]"):
    """Kill a process as soon as the store holds an item; the returned call waits for its end."""
    import threading

    def kill() -> None:
        until(lambda: any(store.root.glob("??/[0-9a-f]*")))
        process.kill()

    threading.Thread(target=kill, daemon=True).start()
    return lambda: process.wait(timeout=PATIENCE_S)
