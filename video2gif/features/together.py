"""Several networks over one decode of a video.

Each network's features are an item of their own, so that one can be added later. Where a video
lacks the items of two or more, one job decodes it once, every network reads the frames in a thread
of its own, and the results are stored as the items that each would have written alone: the same
bytes.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from video2gif.core.items import Context, compute
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Outcome, Work
from video2gif.features.network import Extraction
from video2gif.media.decode import Decoder

_WAITING = 8
"""Frames that wait for a slow network: few, as decoders have a bounded number of them."""


@dataclass(frozen=True)
class WantedVideo:
    """A video whose features are wanted."""

    id: str
    sha256: str
    path: Path
    spans: np.ndarray
    """Its segments, int (n, 2)."""


def compute_features(
    stage: str, extractions: Sequence[Extraction], films: Sequence[WantedVideo], context: Context
) -> list[list[Outcome]]:
    """For each network its outcomes, in the order of `films`."""
    items = [[_item(one, film) for film in films] for one in extractions]
    if len(extractions) > 1:
        _decode_together(stage, extractions, items, context)
    return [
        compute(stage, one.work, own, context) for one, own in zip(extractions, items, strict=True)
    ]


def _item(extraction: Extraction, film: WantedVideo) -> Item:
    return extraction.item(f"video:{film.id}", sha256=film.sha256, path=film.path, spans=film.spans)


def _decode_together(
    stage: str,
    extractions: Sequence[Extraction],
    items: Sequence[Sequence[Item]],
    context: Context,
) -> None:
    """Store what two or more networks still lack of a video. One that fails is left to them."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for film in range(len(items[0])):
        lacking = tuple(
            number
            for number, one in enumerate(extractions)
            if _is_lacking(one.work.key(items[number][film].inputs), context)
        )
        if len(lacking) > 1:
            groups.setdefault(lacking, []).append(film)
    for numbers, films in groups.items():
        chosen = [extractions[number] for number in numbers]
        own = [[items[number][film] for number in numbers] for film in films]
        joint = [_joint_item(chosen, parts) for parts in own]
        for outcome, parts in zip(
            compute(stage, _joint_work(chosen), joint, context), own, strict=True
        ):
            if outcome.ok:
                _split(outcome, chosen, parts, context)


def _is_lacking(key: str, context: Context) -> bool:
    return not context.store.has(key) and context.store.failure(key) is None


def _joint_work(extractions: Sequence[Extraction]) -> Work:
    works = [one.work for one in extractions]
    return Work(
        function=f"{__name__}:work",
        params={
            "modules": [one.function.partition(":")[0] for one in works],
            "params": [one.params for one in works],
        },
        libraries=tuple(sorted({name for one in works for name in one.libraries})),
        limits=Limits(
            wall_s=max(one.limits.wall_s for one in works),
            memory_bytes=max(one.limits.memory_bytes for one in works),
            gpu=any(one.limits.gpu for one in works),
        ),
        resources={name: amount for one in works for name, amount in one.resources.items()},
    )


def _joint_item(extractions: Sequence[Extraction], parts: Sequence[Item]) -> Item:
    # The keys of the parts: they hold the code of the networks, which this module imports late.
    keys = (one.work.key(part.inputs) for one, part in zip(extractions, parts, strict=True))
    own = [{name: v for name, v in part.args.items() if name != "path"} for part in parts]
    return Item(
        id=parts[0].id,
        inputs=tuple(keys),
        args={"path": parts[0].args["path"], "args": own},
    )


def _split(
    outcome: Outcome, extractions: Sequence[Extraction], parts: Sequence[Item], context: Context
) -> None:
    """Store each network's part of a joint item by its own key, and forget the joint one."""
    arrays, _ = read_arrays(context.store.read(outcome.key))
    for number, (extraction, part) in enumerate(zip(extractions, parts, strict=True)):
        start = f"{number}."
        own = {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}
        with context.store.writing(extraction.work.key(part.inputs)) as out:
            write_arrays(out, own)
    context.store.drop(outcome.key)


def work(*, out: Path, params: dict[str, Any], path: str, args: Sequence[dict[str, Any]]) -> None:
    """Decode a video once for several networks; each array is named `NUMBER.name`."""

    def reader(number: int) -> Callable[[Iterable[Any]], dict[str, np.ndarray]]:
        module = import_module(params["modules"][number])
        own = {"params": params["params"][number], **args[number]}
        return lambda frames: module.arrays(frames, **own)

    readers = [reader(number) for number in range(len(args))]
    with Decoder(Path(path)) as decoder:
        found = shared(decoder.frames(), readers)
    named = {f"{n}.{name}": a for n, arrays in enumerate(found) for name, a in arrays.items()}
    write_arrays(out, named)


def shared(items: Iterable[Any], readers: Sequence[Callable[[Iterable[Any]], Any]]) -> list[Any]:
    """What each reader makes of the same items, which are made once.

    Each runs in a thread of its own and waits for the slowest. One that stops early lets the
    others go on; the first error, of a reader or of the items, is raised.
    """
    taps = [_Tap(reader) for reader in readers]
    for tap in taps:
        tap.start()
    error: BaseException | None = None
    try:
        for item in items:
            for tap in taps:
                tap.put(item)
            if all(tap.is_done for tap in taps):
                break
    except BaseException as found:
        error = found
    for tap in taps:
        tap.finish(error)
    for tap in taps:
        tap.join()
    for found_error in (error, *(tap.error for tap in taps)):
        if found_error is not None:
            raise found_error
    return [tap.result for tap in taps]


class _Tap:
    """A reader in its thread, fed item by item."""

    def __init__(self, reader: Callable[[Iterable[Any]], Any]) -> None:
        self._reader = reader
        self._waiting: queue.Queue[Any] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def put(self, item: Any) -> None:
        while not self.is_done:
            try:
                return self._waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def finish(self, error: BaseException | None) -> None:
        self.put(_End(error))

    def _items(self) -> Iterator[Any]:
        while not isinstance(item := self._waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def _run(self) -> None:
        try:
            self.result = self._reader(self._items())
        except BaseException as error:
            self.error = error
        finally:
            self.is_done = True


@dataclass(frozen=True)
class _End:
    error: BaseException | None
