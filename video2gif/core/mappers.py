"""Where the chunks of a stage run: one after the other, in children side by side, on a cluster.

Every job runs inside a killable child (`video2gif.core.sandbox`). Dask and Ray are in
flows/executors.py; their workers call `process_chunk`.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from video2gif.core import codeversion
from video2gif.core.errors import EnvironmentProblem, ItemError
from video2gif.core.sandbox import Limits, Worker
from video2gif.core.store import ItemStore
from video2gif.core.work import LASTING, Chunk, Job, Outcome, Work
from video2gif.core.workplace import PARTIAL


def _process_all(chunk: Chunk, worker: Worker) -> list[Outcome]:
    store = ItemStore(Path(chunk.store_root))
    return [_process(job, work=chunk.work, store=store, worker=worker) for job in chunk.jobs]


def _process(job: Job, *, work: Work, store: ItemStore, worker: Worker) -> Outcome:
    try:
        # A chunk that is run again, because its worker was lost, finds what the first run left.
        if not store.has(job.key):
            kept = store.root / PARTIAL / job.started if work.resumes else None
            with store.writing(job.key) as out:
                worker.run(work.function, {**job.args, "params": work.params}, out, kept=kept)
    except ItemError as error:
        if work.repeatable and error.cause in LASTING:
            store.remember(job.key, error)
        return Outcome(job.id, job.key, "quarantined", error.cause, error.message)
    return Outcome(job.id, job.key, "computed")


class Mapper(Protocol):
    """Runs chunks somewhere; yields each chunk's outcomes, in any order."""

    workers: int

    def run(self, chunks: Sequence[Chunk]) -> Iterable[list[Outcome]]: ...


class SerialMapper:
    """One chunk after the other, all in one warm child."""

    workers = 1

    def __init__(self, *, stop: threading.Event | None = None) -> None:
        self._stop = stop

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        with WorkerPool(self._stop) as children:
            yield from map(children.process, chunks)


class ProcessMapper:
    """`workers` children side by side, each fed by a thread of this process."""

    def __init__(self, workers: int | None = None, *, stop: threading.Event | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._stop = stop

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        # Jobs of one stage differ much in length: single jobs balance better than whole chunks.
        singles = [
            Chunk(chunk.work, (job,), chunk.store_root) for chunk in chunks for job in chunk.jobs
        ]
        # Left from right to left: the children are closed while the threads that started them live.
        with ThreadPoolExecutor(self.workers) as pool, WorkerPool(self._stop) as children:
            yield from pool.map(children.process, singles)


class WorkerPool:
    """Idle children of one stage, kept warm between jobs (each has paid its imports).

    A child dies with the thread that started it: leave the block before those threads end.
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop
        # Threads share the list without a lock: its `pop` and `append` are atomic.
        self._idle: list[tuple[tuple[str, Limits, str], Worker]] = []

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the idle children."""
        while self._idle:
            self._idle.pop()[-1].close()

    def process(self, chunk: Chunk) -> list[Outcome]:
        """Run the jobs of a chunk one after the other in an idle child. Call it from any thread.

        One bad job never stops the next.
        """
        kind = (chunk.work.function, chunk.work.limits, chunk.store_root)
        worker = self._worker(kind)
        try:
            return _process_all(chunk, worker)
        finally:
            self._idle.append((kind, worker))

    def _worker(self, wanted: tuple[str, Limits, str]) -> Worker:
        with suppress(IndexError):
            while True:
                kind, worker = self._idle.pop()
                if kind == wanted:
                    return worker
                worker.close()  # It did the work of an earlier stage.
        _, limits, store_root = wanted
        return Worker(limits, root=Path(store_root), stop=self._stop)


@cache
def _pool_of_this_process() -> WorkerPool:
    return WorkerPool()


def process_chunk(chunk: Chunk) -> list[Outcome]:
    """What runs on the workers of a cluster: a chunk, in a child that stays warm.

    Raises `EnvironmentProblem` when this machine's code or libraries would give other results:
    when the key it computes is not the key that was sent.
    """
    if not _same_code(chunk):
        # Perhaps the checkout was updated under a worker that runs for days: read the code anew,
        # and let new children import it.
        codeversion.forget()
        _pool_of_this_process().close()
        if not _same_code(chunk):
            raise EnvironmentProblem(
                f"{socket.gethostname()}: the worker's code or libraries are not those of the"
                f" machine that sends work ({chunk.work.function}); give both the same checkout"
                " and the same constraints.txt, then start the worker again"
            )
    return _pool_of_this_process().process(chunk)


def _same_code(chunk: Chunk) -> bool:
    # One job tells: code, libraries and parameters are those of the whole chunk.
    return all(chunk.work.key(job.inputs) == job.key for job in chunk.jobs[:1])


def executor_name() -> str:
    """What `$VIDEO2GIF_EXECUTOR` asks for."""
    return os.environ.get("VIDEO2GIF_EXECUTOR", "process")


def default_mapper(name: str = "", *, stop: threading.Event | None = None) -> Mapper:
    """`serial` or `process`, or what `$VIDEO2GIF_EXECUTOR` asks for; `$VIDEO2GIF_WORKERS` wide.

    Once `stop` is set, jobs end with cause `stopped`.
    """
    name = name or executor_name()
    asked = os.environ.get("VIDEO2GIF_WORKERS", "0")
    if not asked.isdecimal():
        raise EnvironmentProblem(f"VIDEO2GIF_WORKERS={asked}: not a number of workers")
    workers = int(asked) or None
    mappers: dict[str, Callable[[], Mapper]] = {
        "serial": partial(SerialMapper, stop=stop),
        "process": partial(ProcessMapper, workers, stop=stop),
    }
    if name not in mappers:
        raise EnvironmentProblem(
            f"VIDEO2GIF_EXECUTOR={name}: unknown here; use one of {', '.join(mappers)}, or with"
            " `python -m flows` also dask://host:port, ray, ray://host:port"
        )
    return mappers[name]()


class WarmMapper:
    """Runs chunks one after the other in a child that has paid its imports.

    For one thread, the one that calls `run` first: the child dies with it.
    """

    workers = 1

    def __init__(self) -> None:
        self._children = WorkerPool()

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        yield from map(self._children.process, chunks)

    def close(self) -> None:
        """End the child."""
        self._children.close()
