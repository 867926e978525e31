"""One decode of a video for several readers: its fingerprint, and networks that look at it.

What each reader makes is an item of its own. Where a video lacks the items of two or more, one job
decodes it once, every reader takes the frames in a thread of its own, and the results are stored as
the items that each would have written alone: the same bytes.

A work can take part if its item has the argument `path`, and its module, beside `work`, a function
`read(out, film, *, params, …)` that writes the item's payload from a `media.decode.DecodedFilm`.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from video2gif.core.errors import ItemError
from video2gif.core.items import Context, compute
from video2gif.core.sandbox import Limits
from video2gif.core.store import read_arrays, write_arrays
from video2gif.core.work import Item, Outcome, Work
from video2gif.media.decode import DECODING_THREADS, DecodedFilm, Decoder

_WAITING_FRAMES, _WAITING_PIXELS = 8, 24 << 20
"""Frames that wait for a slow reader: few, as decoders have a bounded number, and memory has."""


@dataclass(frozen=True)
class Reading:
    """One work on one video."""

    work: Work
    item: Item

    @property
    def key(self) -> str:
        return self.work.key(self.item.inputs)


def read_together(stage: str, videos: Sequence[Sequence[Reading]], context: Context) -> None:
    """Store what two or more of a video's readings still lack; the rest is left to `compute`.

    So is a video that cannot be read in this way: each reading then says for itself why. Readings
    stand in the same order for each video.
    """
    groups: dict[tuple[int, ...], list[Sequence[Reading]]] = {}
    for readings in videos:
        lacking = tuple(n for n, one in enumerate(readings) if _is_lacking(one.key, context))
        if len(lacking) > 1:
            groups.setdefault(lacking, []).append([readings[number] for number in lacking])
    for group in groups.values():
        joint = [_joint_item(readings) for readings in group]
        outcomes = compute(stage, _joint_work(group[0]), joint, context)
        for outcome, readings in zip(outcomes, group, strict=True):
            if outcome.ok:
                _split(outcome, readings, context)


def _is_lacking(key: str, context: Context) -> bool:
    return not context.store.has(key) and context.store.failure(key) is None


def _joint_work(readings: Sequence[Reading]) -> Work:
    works = [one.work for one in readings]
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


def _joint_item(readings: Sequence[Reading]) -> Item:
    items = [one.item for one in readings]
    own = [{name: v for name, v in item.args.items() if name != "path"} for item in items]
    return Item(
        id=items[0].id,
        # The keys of the parts: they hold the code of the readers, which this module imports late.
        inputs=tuple(one.key for one in readings),
        args={"path": items[0].args["path"], "args": own},
    )


def _split(outcome: Outcome, readings: Sequence[Reading], context: Context) -> None:
    """Store each part of a joint item by its own key, and forget the joint one."""
    payloads, _ = read_arrays(context.store.read(outcome.key))
    for number, reading in enumerate(readings):
        with context.store.writing(reading.key) as out:
            payloads[str(number)].tofile(out)
    context.store.drop(outcome.key)


def work(*, out: Path, params: dict[str, Any], path: str, args: Sequence[dict[str, Any]]) -> None:
    """Decode a video once for several readers; each payload is an array, `NUMBER`.

    Raises `ItemError` for a damaged video: what decoders make of damage depends on how many threads
    they have, and each reading has its own rule for it.
    """
    parts = [out.with_name(f"{out.name}.{number}") for number in range(len(args))]

    def reader(number: int) -> Callable[[DecodedFilm], None]:
        read = import_module(params["modules"][number]).read
        return partial(read, parts[number], params=params["params"][number], **args[number])

    readers = [reader(number) for number in range(len(args))]
    with Decoder(Path(path), threads=DECODING_THREADS) as decoder:
        _feed(decoder, readers)
        if decoder.bad_packets:
            raise ItemError("decode", "a damaged video is read for one thing at a time")
    payloads = {str(n): np.fromfile(part, np.uint8) for n, part in enumerate(parts)}
    write_arrays(out, payloads)
    for part in parts:
        part.unlink()


def _feed(decoder: Decoder, readers: Sequence[Callable[[DecodedFilm], None]]) -> None:
    pixels = max(1, decoder.info.width * decoder.info.height)
    waiting = min(_WAITING_FRAMES, max(1, _WAITING_PIXELS // pixels))

    def share(read: Callable[[DecodedFilm], None]) -> Callable[[Iterator[Any]], None]:
        return lambda frames: read(_Share(decoder, frames))

    shared(decoder.frames(), [share(read) for read in readers], waiting=waiting)


class _Share:
    """A `DecodedFilm`: another decoder's frames, and what it says of them."""

    def __init__(self, decoder: Decoder, frames: Iterator[tuple[float, VideoFrame]]) -> None:
        self._decoder, self._frames = decoder, frames

    def frames(self) -> Iterator[tuple[float, VideoFrame]]:
        return self._frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)


def shared(
    items: Iterable[Any],
    readers: Sequence[Callable[[Iterator[Any]], Any]],
    *,
    waiting: int = _WAITING_FRAMES,
) -> list[Any]:
    """What each reader makes of the same items, which are made once.

    Each runs in a thread of its own and waits for the slowest. One that stops early lets the
    others go on; the first error, of a reader or of the items, is raised.
    """
    taps = [_Tap(reader, waiting) for reader in readers]
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

    def __init__(self, reader: Callable[[Iterator[Any]], Any], waiting: int) -> None:
        self._reader = reader
        self._waiting: queue.Queue[Any] = queue.Queue(waiting)
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
