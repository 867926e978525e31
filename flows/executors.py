"""Where chunks of items run: Prefect tasks, one a chunk, each feeding a killable child.

A task passes paths, never frames, and Prefect caches nothing: the item store owns results.
"""

from collections.abc import Iterator, Sequence

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed

from video2gif.items import Chunk, Outcome, WorkerPool


class PrefectMapper:
    """Runs each chunk as a task of the current flow, `workers` side by side."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, chunks: Sequence[Chunk]) -> Iterator[list[Outcome]]:
        """Outcomes of each chunk as it ends. Call it inside a flow."""
        with WorkerPool() as children:
            process: Task[[Chunk], list[Outcome]] = task(
                name="chunk",
                cache_policy=NO_CACHE,
                persist_result=False,
                retries=0,  # A bad item is an outcome; what is left would fail again.
            )(children.process)
            futures = [process.submit(chunk) for chunk in chunks]
            for future in as_completed(futures):
                yield future.result()
