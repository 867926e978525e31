"""The loop that every per-item stage runs.

An *item* is one unit of a stage's work: one video to decode, one GIF to align. Its result is a
file in the `ItemStore` under a key made of everything that could change it: the work's code, the
libraries it leans on, the digests of its inputs, its parameters. DVC owns whole stages; the store
lets a stage that DVC re-runs compute only what is new, and lets a killed run lose only the items
in flight.

`compute` is that loop: keys → what is missing → chunks → a `Mapper` → outcomes, one per item,
in the order given. A Mapper says only *where* chunks run (`SerialMapper`, `ProcessMapper`; Dask
and Ray in flows/executors.py, whose workers call `process_chunk`), and every job runs inside a
killable child (`video2gif.core.sandbox`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from video2gif.core.errors import TooManyFailed
from video2gif.core.mappers import Mapper, default_mapper
from video2gif.core.store import ItemStore
from video2gif.core.work import Chunk, Item, Job, Outcome, Work

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
    # Equal keys go out once: two ids with the same bytes are one piece of work.
    for key, item in zip(keys, items, strict=True):
        if key not in found:
            todo.setdefault(key, item)
    done = 0
    context.progress(stage, len(items) - len(todo), len(items))
    for outcomes in context.mapper.run(_chunks(work, todo, context)):
        found |= {one.key: one for one in outcomes}
        done += len(outcomes)
        context.progress(stage, len(items) - len(todo) + done, len(items))
    # The outcome of a key may come from another id with the same bytes: each gets its own id.
    return [replace(found[key], id=item.id) for key, item in zip(keys, items, strict=True)]


def one(stage: str, work: Work, item: Item, context: Context) -> bytes:
    """The payload of a single item. Raises its `ItemError` if it failed."""
    (outcome,) = compute(stage, work, [item], context)
    return payload_of(outcome, context)


def _in_store(store: ItemStore, keys: Iterable[str]) -> dict[str, Outcome]:
    """The outcomes that are known already, by key; their ids are for the caller to fill in."""
    found: dict[str, Outcome] = {}
    for key in keys:
        if store.has(key):
            found[key] = Outcome("", key, "reused")
        elif error := store.failure(key):
            found[key] = Outcome("", key, "quarantined", error.cause, error.message)
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


def payload_of(outcome: Outcome, context: Context) -> bytes:
    """The item's payload; its `ItemError` if it was quarantined."""
    if not outcome.ok:
        raise outcome.error
    return context.store.read(outcome.key)
