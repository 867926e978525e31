"""Where the review page's small jobs run: in one child that stays warm."""

from collections.abc import Iterator, Sequence

from video2gif.items import Chunk, Outcome, WorkerPool


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
