"""`python benchmarks/clusters.py`: what a cluster gains, and what chunking costs.

First fingerprints of the real videos ($VIDEO2GIF_REALDATA) on a Dask cluster of one and of two
worker processes of one thread: bound to a core each, as on machines of their own, and free (where
one worker alone fills two cores: libav decodes in threads beside the one that measures). Then
no-op items through the pipeline's own loop, chunks and sandboxed children and store included, in a
flow with two children: seconds and memory of the driver.
"""

import argparse
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flows import server
from video2gif.core import work as works
from video2gif.core.config import Params
from video2gif.core.items import Context, Counts, compute
from video2gif.core.mappers import Mapper, ProcessMapper, SerialMapper
from video2gif.core.store import ItemStore
from video2gif.core.work import Chunk, Item, Outcome, Work
from video2gif.fingerprint.decode import fingerprinting

REPO = Path(__file__).parents[1]
REALDATA = Path(os.environ.get("VIDEO2GIF_REALDATA", REPO / "../shared/realdata")).resolve()


class Direct:
    """An engine as a mapper, without Prefect: at most `in_flight` chunks wait in it."""

    def __init__(self, engine: Any) -> None:
        self.workers, self._engine = engine.workers, engine

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        with ThreadPoolExecutor(self._engine.in_flight) as pool:
            yield from pool.map(self._engine.process, chunks)


@contextmanager
def cluster(workers: int, *, bound: bool) -> Iterator[Any]:
    """An engine on a scheduler and `workers` processes of one thread each, all started.

    `bound`: each may run on one core alone, the children it starts too.
    """
    from flows import executors  # It imports Prefect, which is quiet only if told before.

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"PYTHONPATH": f"{REPO}:{REPO / 'tests'}"}
    address = f"127.0.0.1:{port}"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = ["worker", address, "--nthreads", "1", "--no-nanny"]
    dask = [sys.executable, "-m", "dask"]
    cores = sorted(os.sched_getaffinity(0))
    bind = [["taskset", "-c", str(cores[n % len(cores)])] if bound else [] for n in range(workers)]
    commands = [[*dask, *scheduler], *([*one, *dask, *worker] for one in bind)]
    processes = [
        subprocess.Popen([*command, "--no-dashboard"], env=environment, **quiet)
        for command in commands
    ]
    try:
        time.sleep(8)
        os.environ["VIDEO2GIF_EXECUTOR"] = f"dask://{address}"
        with executors.engine(SerialMapper()) as engine:
            assert engine.workers == workers
            yield engine
    finally:
        for process in processes:
            process.kill()
            process.wait()


def fingerprint_s(workers: int, copies: int, folder: Path, *, bound: bool) -> float:
    """Seconds to fingerprint all real videos; the children are warm."""
    videos = sorted((REALDATA / "videos").iterdir())
    work = fingerprinting(Params.load(REPO / "params.yaml").fingerprint)
    films = [
        Item(
            id=f"{copy}:{path.name}",
            inputs=(path.name, str(copy)),
            args={"path": str(path), "kind": "video"},
        )
        for copy in range(copies)
        for path in videos
    ]
    with cluster(workers, bound=bound) as engine:
        compute(
            "warm", work, films[: 2 * workers], Context(ItemStore(folder / "w"), Direct(engine))
        )
        started = time.perf_counter()
        done = compute("fingerprint", work, films, Context(ItemStore(folder / "f"), Direct(engine)))
        taken = time.perf_counter() - started
    assert all(outcome.ok for outcome in done), [o.reason for o in done if not o.ok]
    return taken


def no_ops(n: int, folder: Path) -> None:
    """Print seconds and growth of memory for a tenth of `n` items, and for `n`, in a flow."""
    from flows import stages

    # The work of tests is no part of the package.
    setattr(works, "code_version", lambda module: "none")  # noqa: B010
    os.environ.update(VIDEO2GIF_EXECUTOR="process", PYTHONPATH=str(REPO / "tests"))
    with server.api(folder):
        for count in (n // 10, n):
            store = ItemStore(folder / str(count))
            started = time.perf_counter()
            stages._in_flow("none", partial(_echo, count, store), ProcessMapper(2))
            taken = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{count} no-op items: {taken:.1f} s, driver's peak {peak:.0f} MiB", flush=True)
            shutil.rmtree(store.root)


def _echo(count: int, store: ItemStore, mapper: Mapper) -> Counts:
    work = [Item(id=f"item:{i}", inputs=(str(i),), args={"text": str(i)}) for i in range(count)]
    counts = Counts.of(compute("none", Work(function="work:echo"), work, Context(store, mapper)))
    assert counts.computed == count
    return counts


def main() -> None:
    """Print both."""
    server.quiet()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--copies", type=int, default=2, help="of each real video; 0: no films")
    parser.add_argument("--store", default=None, help="folder for the item store (default: /tmp)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.store) as folder:
        if args.copies:
            for how, bound in (("bound to a core each", True), ("free", False)):
                one, two = (
                    fingerprint_s(n, args.copies, Path(folder) / f"{how}{n}", bound=bound)
                    for n in (1, 2)
                )
                print(
                    f"fingerprints, workers {how}: one {one:.1f} s, two {two:.1f} s:"
                    f" {one / two:.2f} ×",
                    flush=True,
                )
        if args.items:
            no_ops(args.items, Path(folder))


if __name__ == "__main__":
    main()
