"""Run an iterator in a thread of its own, a little ahead of the code that consumes it.

Decoding frames and measuring them both release the interpreter's lock for most of their time, so
they run side by side on two cores.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

# Items handed over at once, as waking the other thread costs as much as decoding a small frame.
_CHUNK = 4


class Ahead(Generic[T]):
    """Iterate once over `items`, which are made in a thread; use it in `with`.

    `size(item)` is an item's weight. The items that wait weigh at most `most` together, except that
    a single heavier item may wait. An exception in the thread is raised to the consumer after the
    items that came before it.
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
        # The thread may be waiting for room: what it puts is taken until it sees that it is to
        # stop.
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
            if chunk:  # Items that were ready before an error are handed over as well.
                self._chunks.put(chunk)
