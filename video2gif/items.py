"""The loop that every per-item stage runs.

An *item* is one unit of a stage's work: one video to decode, one GIF to align. Its result is a
file in the `ItemStore` under a key made of everything that could change it: the work's code, the
libraries it leans on, the digests of its inputs, its parameters. DVC owns whole stages; the store
lets a stage that DVC re-runs compute only what is new, and lets a killed run lose only the items
in flight.

`compute` is that loop: keys → what is missing → chunks → a `Mapper` → outcomes, one per item,
in the order given. A Mapper says only *where* chunks run (`SerialMapper`, `ProcessMapper`; Dask
and Ray in flows/executors.py, whose workers call `process_chunk`), and every job runs inside a
killable child (`video2gif.sandbox`).
"""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

from video2gif import codeversion
from video2gif.codeversion import code_version
from video2gif.errors import EnvironmentProblem, ItemError, TooManyFailed
from video2gif.sandbox import Limits, Worker
from video2gif.store import ItemStore

Status = Literal["computed", "reused", "quarantined"]

# What lies in the input itself: the same bytes fail the same way, so they are not tried again
# until code, libraries or parameters change. Memory, time, crashes and the network are luck.
LASTING = frozenset(
    {
        *("empty", "not_media", "truncated", "no_frames", "no_video", "codec"),
        *("too_large", "decode", "overflow", "label"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage does to one item, and all that its result depends on but the input.

    `function` is "module:function", called in a child as `function(out=Path, **args)`.
    """

    function: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """JSON parameters that change the result; passed to the function as `params`."""
    libraries: tuple[str, ...] = ()
    """Distributions whose version is part of the key, as `av`."""
    limits: Limits = field(default_factory=Limits)
    resources: Mapping[str, float] = field(default_factory=dict)
    """What a worker must have besides a CPU, as {"GPU": 1}; for schedulers of many machines."""
    repeatable: bool = True
    """Whether the inputs alone decide if it fails: not so where a server has a say."""

    def key(self, inputs: Sequence[str]) -> str:
        """sha256 over code, libraries, parameters and the digests of the inputs."""
        identity = {
            "function": self.function,
            "code": code_version(self.function.partition(":")[0]),
            "libraries": {name: _version(name) for name in self.libraries},
            "params": self.params,
            "inputs": list(inputs),
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@cache
def _version(distribution: str) -> str:
    return version(distribution)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One input of a per-item stage."""

    id: str
    """For tables and logs, such as `video:bunny0`."""
    inputs: tuple[str, ...]
    """Digests of what the item reads: they, not the paths, decide whether it is new."""
    args: Mapping[str, Any]
    """JSON arguments of the work: paths and numbers, never frames."""


@dataclass(frozen=True)
class Outcome:
    """What became of one item: its key in the store, or why it is quarantined."""

    id: str
    key: str
    status: Status
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.status != "quarantined"


@dataclass(frozen=True)
class Job:
    """An item with its key, ready to travel to where it runs."""

    id: str
    key: str
    inputs: tuple[str, ...]
    args: Mapping[str, Any]


@dataclass(frozen=True)
class Chunk:
    """A handful of jobs: one task of a scheduler. Small and picklable: it holds only paths."""

    work: Work
    jobs: tuple[Job, ...]
    store_root: str


def _process_all(chunk: Chunk, worker: Worker) -> list[Outcome]:
    store = ItemStore(Path(chunk.store_root))
    return [_process(job, work=chunk.work, store=store, worker=worker) for job in chunk.jobs]


def _process(job: Job, *, work: Work, store: ItemStore, worker: Worker) -> Outcome:
    try:
        # A chunk that is run again, because its worker was lost, finds what the first run left.
        if not store.has(job.key):
            with store.writing(job.key) as out:
                worker.run(work.function, {**job.args, "params": work.params}, out)
    except ItemError as error:
        if work.repeatable and error.cause in LASTING:
            store.remember(job.key, error)
        return Outcome(job.id, job.key, "quarantined", error.reason)
    return Outcome(job.id, job.key, "computed")


class Mapper(Protocol):
    """Runs chunks somewhere; yields each chunk's outcomes, in any order."""

    workers: int

    def run(self, chunks: Sequence[Chunk]) -> Iterable[list[Outcome]]: ...


class SerialMapper:
    """One chunk after the other, all in one warm child."""

    workers = 1

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        with WorkerPool() as children:
            yield from map(children.process, chunks)


class ProcessMapper:
    """`workers` children side by side, each fed by a thread of this process."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        # Jobs of one stage differ much in length: single jobs balance better than whole chunks.
        singles = [
            Chunk(chunk.work, (job,), chunk.store_root) for chunk in chunks for job in chunk.jobs
        ]
        with ThreadPoolExecutor(self.workers) as pool, WorkerPool() as children:
            yield from pool.map(children.process, singles)


class WorkerPool:
    """Idle children of one stage, kept warm between jobs (each has paid its imports).

    A child dies with the thread that started it: leave the block before those threads end.
    """

    def __init__(self) -> None:
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
        return Worker(limits, folder=Path(store_root))


@cache
def _pool_of_this_process() -> WorkerPool:
    return WorkerPool()


def process_chunk(chunk: Chunk) -> list[Outcome]:
    """What runs on the workers of a cluster: a chunk, in a child that stays warm.

    Raises `EnvironmentProblem` when this machine's code or libraries would give other results:
    when the key it computes is not the key that was sent.
    """
    if not _same_code(chunk):
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
    return all(chunk.work.key(job.inputs) == job.key for job in chunk.jobs[:1])


def executor_name() -> str:
    """What `$VIDEO2GIF_EXECUTOR` asks for."""
    return os.environ.get("VIDEO2GIF_EXECUTOR", "process")


def default_mapper(name: str = "") -> Mapper:
    """`serial` or `process`, or what `$VIDEO2GIF_EXECUTOR` asks for; `$VIDEO2GIF_WORKERS` wide."""
    name = name or executor_name()
    asked = os.environ.get("VIDEO2GIF_WORKERS", "0")
    if not asked.isdecimal():
        raise EnvironmentProblem(f"VIDEO2GIF_WORKERS={asked}: not a number of workers")
    workers = int(asked) or None
    mappers: dict[str, Callable[[], Mapper]] = {
        "serial": SerialMapper,
        "process": partial(ProcessMapper, workers),
    }
    if name not in mappers:
        raise EnvironmentProblem(
            f"VIDEO2GIF_EXECUTOR={name}: unknown here; use one of {', '.join(mappers)}, or with"
            " `python -m flows` also dask://host:port, ray, ray://host:port"
        )
    return mappers[name]()


Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`, called after every item or chunk."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Context:
    """The runtime of a stage: where items are kept, where work runs, who watches.

    None of it changes a result, so none of it stands in params.yaml.
    """

    store: ItemStore
    mapper: Mapper
    progress: Progress = no_progress

    @classmethod
    def default(cls, progress: Progress = no_progress) -> "Context":
        return cls(ItemStore.default(), default_mapper(), progress)


@dataclass(frozen=True)
class Counts:
    """How many items of a stage were computed, reused, quarantined. Adds up with `+`."""

    computed: int = 0
    reused: int = 0
    quarantined: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Counts":
        statuses = [outcome.status for outcome in outcomes]
        return cls(*(statuses.count(s) for s in ("computed", "reused", "quarantined")))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.computed + other.computed,
            self.reused + other.reused,
            self.quarantined + other.quarantined,
        )

    @property
    def total(self) -> int:
        return self.computed + self.reused + self.quarantined

    def __str__(self) -> str:
        return f"{self.computed} computed, {self.reused} reused, {self.quarantined} quarantined"


def compute(stage: str, work: Work, items: Sequence[Item], context: Context) -> list[Outcome]:
    """Have every item computed or reused; the outcomes stand in the order of `items`.

    Items with equal keys (two ids, same bytes) are computed once. What failed before and would
    fail again is quarantined with the reason it had, without trying.
    """
    keys = [work.key(item.inputs) for item in items]
    found = _in_store(context.store, set(keys))
    todo: dict[str, Item] = {}
    for key, item in zip(keys, items, strict=True):
        if key not in found:
            todo.setdefault(key, item)
    done = 0
    context.progress(stage, len(items) - len(todo), len(items))
    for outcomes in context.mapper.run(_chunks(work, todo, context)):
        found |= {one.key: (one.status, one.reason) for one in outcomes}
        done += len(outcomes)
        context.progress(stage, len(items) - len(todo) + done, len(items))
    return [Outcome(item.id, key, *found[key]) for key, item in zip(keys, items, strict=True)]


def _in_store(store: ItemStore, keys: Iterable[str]) -> dict[str, tuple[Status, str]]:
    """Status and reason of the keys whose outcome is known."""
    found: dict[str, tuple[Status, str]] = {}
    for key in keys:
        if store.has(key):
            found[key] = "reused", ""
        elif (reason := store.failure(key)) is not None:
            found[key] = "quarantined", reason
    return found


def _chunks(work: Work, todo: Mapping[str, Item], context: Context) -> list[Chunk]:
    jobs = [Job(item.id, key, item.inputs, item.args) for key, item in todo.items()]
    size = _chunk_size(len(jobs), context.mapper.workers)
    root = str(context.store.root)
    return [
        Chunk(work, tuple(jobs[start : start + size]), root) for start in range(0, len(jobs), size)
    ]


def _chunk_size(n_jobs: int, workers: int) -> int:
    """Chunks enough for every worker; of 50 at most, or 500 where there would be many hundreds."""
    most = min(500, max(50, n_jobs // 200))
    return max(1, min(most, n_jobs // (4 * workers)))


def check_failed_fraction(stage: str, *, failed: int, total: int, limit: float) -> None:
    """Raise `TooManyFailed` when more than `limit` of the items failed."""
    if total and failed / total > limit:
        raise TooManyFailed(
            f"{stage}: {failed} of {total} items failed ({failed / total:.0%}), more than"
            f" max_failed_fraction = {limit:.0%}; see the reasons in its table, mend the inputs"
            f" or raise {stage}.max_failed_fraction in params.yaml"
        )
