"""Where chunks of items run: an engine, and the Prefect tasks that watch it, one a chunk.

`$VIDEO2GIF_EXECUTOR` names the engine: children of this process (`serial`, `process`), a Dask
cluster (`dask://host:port`), a Ray cluster (`ray://host:port`) or one that Ray starts here (`ray`).
A chunk holds paths, never frames; the workers need this project's code and its folders under the
same paths, and nothing of Prefect. Prefect caches nothing: the item store owns results.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import Any, Protocol

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from video2gif.core.errors import EnvironmentProblem
from video2gif.core.mappers import Mapper, WorkerPool, executor_name, process_chunk
from video2gif.core.work import Chunk, Outcome

_CONNECT_S = 20
_LOST_WORKERS = 3  # A chunk that has taken three workers with it would take the fourth as well.


class Engine(Protocol):
    """Runs one chunk somewhere and waits for it; called from `in_flight` threads."""

    @property
    def workers(self) -> int: ...

    @property
    def in_flight(self) -> int: ...

    def process(self, chunk: Chunk) -> list[Outcome]: ...


@dataclass(frozen=True)
class Children:
    """Children of this process, warm between chunks."""

    workers: int
    pool: WorkerPool

    @property
    def in_flight(self) -> int:
        return self.workers

    def process(self, chunk: Chunk) -> list[Outcome]:
        return self.pool.process(chunk)


@dataclass(frozen=True)
class Dask:
    """A Dask cluster, through its own client."""

    workers: int
    client: Any  # distributed.Client: an extra, not always there to take types from

    @property
    def in_flight(self) -> int:
        return _with_spare(self.workers)

    def process(self, chunk: Chunk) -> list[Outcome]:
        from distributed import KilledWorker

        self._check_resources(chunk)
        # Not pure: Dask must not answer a second run from the first one's memory.
        future = self.client.submit(
            process_chunk, chunk, pure=False, resources=dict(chunk.work.resources) or None
        )
        try:
            outcomes: list[Outcome] = future.result()
        except KilledWorker as error:
            raise _lost(chunk, error) from None
        return outcomes

    def _check_resources(self, chunk: Chunk) -> None:
        if not chunk.work.resources:
            return
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        for name, amount in chunk.work.resources.items():
            if not any(worker["resources"].get(name, 0) >= amount for worker in workers):
                raise EnvironmentProblem(
                    f"no worker of the Dask cluster has {amount:g} {name};"
                    f" start one with `dask worker … --resources {name}={amount:g}`"
                )


@dataclass(frozen=True)
class Ray:
    """A Ray cluster, through its own client."""

    workers: int

    @property
    def in_flight(self) -> int:
        return _with_spare(self.workers)

    def process(self, chunk: Chunk) -> list[Outcome]:
        import ray

        wanted = dict(chunk.work.resources)
        remote = ray.remote(process_chunk).options(
            max_retries=_LOST_WORKERS, num_gpus=wanted.pop("GPU", 0), resources=wanted
        )
        try:
            outcomes: list[Outcome] = ray.get(remote.remote(chunk))
        except ray.exceptions.WorkerCrashedError as error:
            raise _lost(chunk, error) from None
        return outcomes


def _with_spare(workers: int) -> int:
    """Some chunks wait at the cluster, so that no worker idles while an answer travels."""
    return workers + min(workers, 32)


def _lost(chunk: Chunk, error: Exception) -> EnvironmentProblem:
    ids = ", ".join(job.id for job in chunk.jobs[:3])
    return EnvironmentProblem(
        f"{type(error).__name__}: every worker that took this chunk was lost ({ids}, …); look for"
        " the kernel's out-of-memory killer on the workers"
    )


@contextmanager
def engine(local: Mapper) -> Iterator[Engine]:
    """The engine that `$VIDEO2GIF_EXECUTOR` names; `local` says how many children there may be.

    Raises `EnvironmentProblem` when a cluster does not answer or its client is not installed.
    """
    name = executor_name()
    with ExitStack() as stack:
        if name.startswith("dask://"):
            yield stack.enter_context(_dask(name.removeprefix("dask://")))
        elif name == "ray" or name.startswith("ray://"):
            yield stack.enter_context(_ray(name, local.workers))
        elif "://" in name:
            raise EnvironmentProblem(
                f"VIDEO2GIF_EXECUTOR={name}: unknown; use serial, process, dask://host:port, ray or"
                " ray://host:port"
            )
        else:
            yield Children(local.workers, stack.enter_context(WorkerPool()))


@contextmanager
def _dask(address: str) -> Iterator[Dask]:
    try:
        from distributed import Client
    except ImportError:
        raise _not_installed("dask") from None
    try:
        client = Client(f"tcp://{address}", timeout=_CONNECT_S, set_as_default=False)
    except OSError as error:
        raise EnvironmentProblem(
            f"VIDEO2GIF_EXECUTOR=dask://{address}: no Dask scheduler answers there ({error});"
            " start one with `dask scheduler`, and workers with `dask worker`"
        ) from None
    with client:
        client.wait_for_workers(1, timeout=_CONNECT_S)
        yield Dask(sum(client.nthreads().values()), client)


@contextmanager
def _ray(name: str, workers: int) -> Iterator[Ray]:
    try:
        import ray
    except ImportError:
        raise _not_installed("ray") from None
    here = name == "ray" and "RAY_ADDRESS" not in os.environ
    only_here = {"num_cpus": workers, "include_dashboard": False} if here else {}
    try:
        ray.init(
            None if name == "ray" else name,
            log_to_driver=False,
            logging_level="ERROR",
            **only_here,
        )
    except ConnectionError as error:
        raise EnvironmentProblem(
            f"VIDEO2GIF_EXECUTOR={name}: no Ray cluster answers there ({error});"
            " start one with `ray start --head`"
        ) from None
    try:
        yield Ray(int(ray.cluster_resources().get("CPU", 1)))
    finally:
        ray.shutdown()


def _not_installed(extra: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"VIDEO2GIF_EXECUTOR names {extra}, which is not installed:"
        f" pip install -c constraints.txt 'video2gif[{extra}]'"
    )


class PrefectMapper:
    """Runs each chunk as a task of the current flow. Chunks not yet started wait here."""

    def __init__(self, engine: Engine) -> None:
        self.workers = engine.workers
        self._engine = engine

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        """Outcomes of each chunk as it ends. Call it inside a flow."""
        observed = task(
            name="chunk",
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=0,  # A bad item is an outcome; what is left would fail again.
        )(self._process)
        ended: SimpleQueue[PrefectFuture[list[Outcome]]] = SimpleQueue()
        waiting = iter(chunks)
        # As one ends, the next is sent. The rest waits here, and not in the cluster.
        for chunk in islice(waiting, self._engine.in_flight):
            observed.submit(chunk).add_done_callback(ended.put)
        for _ in chunks:
            outcomes = ended.get().result()
            for chunk in islice(waiting, 1):
                observed.submit(chunk).add_done_callback(ended.put)
            yield outcomes

    def _process(self, chunk: Chunk) -> list[Outcome]:
        outcomes = self._engine.process(chunk)
        for outcome in outcomes:
            if not outcome.ok:
                get_run_logger().warning("%s quarantined: %s", outcome.id, outcome.reason)
        return outcomes
