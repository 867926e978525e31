"""One stage as a Prefect flow: lock, run, say what was computed.

Prefect watches and schedules; it never decides. When its server fails, the stage runs without it.
"""

import importlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from flows import guard, server
from flows.counts import note_counts
from video2gif import stages
from video2gif.core.config import Params
from video2gif.core.errors import Video2GifError
from video2gif.core.items import Context, Counts, Progress, no_progress
from video2gif.core.layout import Layout
from video2gif.core.mappers import Mapper, default_mapper, executor_name
from video2gif.core.store import ItemStore
from video2gif.project import rates

log = logging.getLogger("video2gif")

_LOCK_WAIT_S = 10.0  # Long enough for a killed run's stage to end, short enough to be told soon.
_LOG_EVERY_S = 10.0

Body = Callable[[Mapper], Counts]


def run_stage(stage: str, root: Path, *, quiet: bool = False) -> Counts:
    """Run one stage of the project at `root` under its lock and print one line about it."""
    started = time.monotonic()
    _log_to_stderr(quiet)
    layout = Layout(root)
    params = Params.load(layout.params)
    with guard.locked(layout.lock(stage), wait_s=_LOCK_WAIT_S), _progress(quiet) as progress:
        counts = _observed(
            stage,
            lambda mapper: stages.load(stage)(
                layout, params, Context(ItemStore.default(), mapper, progress)
            ),
            root,
        )
    seconds = time.monotonic() - started
    note_counts(root, stage, counts)
    rates.remember(ItemStore.default().root, stage, counts, seconds)
    print(f"{stage}: {counts} ({seconds:.1f} s)", file=sys.stderr, flush=True)
    return counts


def _log_to_stderr(quiet: bool) -> None:
    # On our own logger: on the root one, every HTTP request of Prefect's client would be told.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.WARNING if quiet else logging.INFO)


def _observed(stage: str, body: Body, root: Path) -> Counts:
    """Run `body` inside a flow; without one where Prefect itself fails."""
    # What the environment asks for is checked before any work; a cluster when it is needed.
    name = executor_name()
    mapper = default_mapper("process" if name == "ray" or "://" in name else name)
    try:
        with server.api(root, meanwhile=partial(_import, stage)):
            return _in_flow(stage, body, mapper)
    except Video2GifError:
        raise
    except Exception as error:
        if not _is_prefects(error):
            raise
        log.warning("%s: runs unobserved, Prefect failed: %s", stage, error)
        return body(mapper)


def _import(stage: str) -> None:
    """What takes a second to import, once the settings it reads are known."""
    stages.load(stage)
    importlib.import_module("flows.executors")


def _in_flow(stage: str, body: Body, local: Mapper) -> Counts:
    from prefect import flow, get_run_logger
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows import executors

    done: list[Counts] = []
    # The scheduled run that starts the stages sends heartbeats for them. A stage sends none of its
    # own, since stopping Prefect's heartbeat thread can take a second.
    heartless = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    try:
        with executors.engine(local) as engine, heartless:

            @flow(
                name=stage,
                task_runner=ThreadPoolTaskRunner(max_workers=engine.in_flight),  # type: ignore[arg-type]
                persist_result=False,
                validate_parameters=False,
            )
            def observed() -> None:
                done.append(body(executors.PrefectMapper(engine)))
                get_run_logger().info("%s: %s", stage, done[0])

            observed()
    except Exception as error:
        if not (done and _is_prefects(error)):
            raise
        log.warning("%s: done, but Prefect could not be told: %s", stage, error)
    return done[0]


def _is_prefects(error: BaseException) -> bool:
    """Whether an error is about the server and not about the work: it is raised by its client."""
    home = type(error).__module__.partition(".")[0]
    return home in {"prefect", "httpx", "httpcore", "websockets"} or isinstance(
        error, server.ServerError
    )


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    if quiet:
        yield no_progress
    elif sys.stderr.isatty():
        with _bar() as progress:
            yield progress
    else:
        yield _log_lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, object] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield progress


def _log_lines() -> Progress:
    last = time.monotonic()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_EVERY_S:
            last = time.monotonic()
            log.info("%s: %d of %d items", stage, done, total)

    return progress
