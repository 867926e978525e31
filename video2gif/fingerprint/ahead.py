"""Run an iterator in a thread of its own, a little ahead of the one that consumes it.

Decoding and looking at frames release the interpreter's lock for most of their time, so the two
run side by side on two cores.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_CHUNK = 4  # Items handed over at once: waking a thread costs as much as decoding a small frame.


class Ahead(Generic[T]):
    """Iterate over `items`, which are made in a thread; use in `with`, iterate once.

    `size(item)` is what an item weighs; items of more than `most` together are never waiting
    (but for one that alone is heavier). An exception of the iterator is raised to the consumer,
    in its place in the order.
    """

    def __init__(self, items: Iterator[T], *, size: Callable[[T], int], most: int) -> None:
        self._items = items
        self._size = size
        self._chunk_weight = most // 3  # one being filled, one waiting, one being consumed
        self._chunks: queue.Queue[list[T] | BaseException | None] = queue.Queue(maxsize=1)
        self._stopped = False
        self._thread = threading.Thread(target=self._make, name="ahead", daemon=True)

    def __enter__(self) -> "Ahead[T]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread: afterwards nobody touches the iterator."""
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._chunks.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while (chunk := self._chunks.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield from chunk

    def _make(self) -> None:
        try:
            self._fill()
        except BaseException as error:
            self._chunks.put(error)
        else:
            self._chunks.put(None)

    def _fill(self) -> None:
        chunk: list[T] = []
        weight = 0
        try:
            for item in self._items:
                if self._stopped:
                    return
                chunk.append(item)
                weight += self._size(item)
                if len(chunk) == _CHUNK or weight >= self._chunk_weight:
                    self._chunks.put(chunk)
                    chunk, weight = [], 0
        finally:
            if chunk:  # Also what came before an error.
                self._chunks.put(chunk)
