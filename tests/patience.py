"""Waiting for what must happen: no test fails because the machine is slow or others use it.

A test says *what* happens, not how soon: it waits until that is so, and gives up only when nobody
would wait any longer. How fast things are is measured in benchmarks/, on a quiet machine.
"""

import time
from collections.abc import Callable

PATIENCE_S = 900.0
"""A test that hangs for so long has failed."""


def until(true: Callable[[], object], *, every_s: float = 0.05) -> None:
    """Return once `true()` is; raise `TimeoutError` when it never comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {PATIENCE_S:g} s")
        time.sleep(every_s)
