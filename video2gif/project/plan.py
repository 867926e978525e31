"""`video2gif plan`: what `dvc repro` would recompute, in items and estimated minutes.

`dvc status` says which stages have changed; the item store knows which of their items exist. To
count what is missing, a stage is started with a runtime that stops it as soon as it asks for its
items. These stages ask before they touch any output. Minutes come from earlier runs on this machine
(`rates`).
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from video2gif.core.config import Params
from video2gif.core.errors import EnvironmentProblem, Video2GifError
from video2gif.core.items import Context
from video2gif.core.layout import Layout
from video2gif.core.store import ItemStore
from video2gif.core.tables import DOWNLOADS
from video2gif.core.work import Chunk
from video2gif.datasets import read_manifest
from video2gif.project.dvcfiles import WrittenStage, written_stages
from video2gif.project.rates import Rate, known
from video2gif.stages import STAGES, load

PER_ITEM = ("fingerprint", "match", "extract")
"""Stages that ask for their items before they touch an output."""

StageState = Literal["up to date", "changed", "behind a changed stage"]


@dataclass(frozen=True)
class Planned:
    """One stage, as `dvc repro` would find it now."""

    stage: str
    state: StageState
    todo: int | None
    """Items to compute, counted from the tables as they are now. After a changed stage there may be
    others. None: not known, or the stage has no items."""
    total: int | None
    minutes: float | None
    """None: this stage has never run on this machine."""

    @property
    def by_item(self) -> bool:
        return self.stage in PER_ITEM


def plan(layout: Layout, params: Params, store: ItemStore) -> list[Planned]:
    """Every stage in order. Raises `EnvironmentProblem` if DVC cannot say what changed."""
    changed, rates = changed_stages(layout), known(store.root)
    behind = _behind(layout, changed)
    found = []
    for stage in STAGES:
        if stage not in changed | behind:
            found.append(Planned(stage, "up to date", 0, None, 0.0))
            continue
        todo, total = _items(stage, layout, params, store)
        state: StageState = "changed" if stage in changed else "behind a changed stage"
        found.append(Planned(stage, state, todo, total, minutes(rates.get(stage), todo)))
    return found


def minutes(rate: Rate | None, todo: int | None) -> float | None:
    """Minutes for `todo` items, or for the whole stage if that is None."""
    if rate is None:
        return None
    if todo is None:
        return rate.run_s / 60
    # Without a rate for items the time is unknown, unless there are none.
    return None if rate.item_s is None and todo else (rate.item_s or 0.0) * todo / 60


def changed_stages(layout: Layout) -> set[str]:
    """Stages whose code, parameters, inputs or outputs are not as in dvc.lock."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, cwd=layout.root, capture_output=True, text=True, check=False)
    try:
        return set(json.loads(done.stdout)) & set(STAGES)
    except ValueError:
        raise EnvironmentProblem(
            f"{layout.root}: `dvc status` failed: {done.stderr.strip()[-300:]}"
        ) from None


def _behind(layout: Layout, changed: set[str]) -> set[str]:
    """Stages that read, directly or not, what a changed stage writes."""
    stages = written_stages(layout.root)
    stale: set[str] = set()
    reached: set[str] = set()
    for stage in STAGES:
        # DVC has read the file by now, but a stage may have been taken out.
        entry = stages.get(stage, WrittenStage())
        if stage in changed or stale & set(entry.deps):
            reached.add(stage)
            stale |= entry.written().keys()
    return reached - changed


class _Asked(Exception):
    """Stops a stage once it is known how many of its items are missing, and of how many."""

    def __init__(self, todo: int, total: int) -> None:
        super().__init__()
        self.todo, self.total = todo, total


class _NoMapper:
    """Runs nothing."""

    workers = 1

    def run(self, chunks: Sequence[Chunk]) -> NoReturn:
        # No total: only `progress` knows it, and it raises first where the items are the stage's
        # own.
        raise _Asked(sum(len(chunk.jobs) for chunk in chunks), 0)


def _items(
    stage: str, layout: Layout, params: Params, store: ItemStore
) -> tuple[int | None, int | None]:
    if stage == "download":
        return _sources(layout, params)
    if stage not in PER_ITEM:
        return None, None

    def progress(asked: str, done: int, total: int) -> None:
        if asked == stage:
            raise _Asked(total - done, total)

    try:
        load(stage)(layout, params, Context(store, _NoMapper(), progress))
    except _Asked as answer:
        # No total: the stage asked for the warm-up of a backend. Its result is part of the keys, so
        # the items cannot be counted before it has run.
        return (answer.todo, answer.total) if answer.total else (None, None)
    except Video2GifError:  # Its inputs are not there yet.
        return None, None
    return 0, 0


def _sources(layout: Layout, params: Params) -> tuple[int | None, int | None]:
    """How many videos and GIFs of the manifest are not here yet, and how many there are."""
    try:
        rows = read_manifest(layout.root / params.download.manifest).rows
    except Video2GifError:
        return None, None
    wanted = {("video", row.video_id) for row in rows}
    wanted |= {("gif", row.gif_id) for row in rows if row.gif_id and row.gif_url}
    try:
        table = DOWNLOADS.read(layout.downloads)
    except Video2GifError:
        return len(wanted), len(wanted)
    here = table[table["status"] == "ok"]
    return len(wanted - set(zip(here["kind"], here["id"], strict=True))), len(wanted)
