"""An iterator in a thread of its own."""

import threading
from collections.abc import Iterator

import pytest

from video2gif.fingerprint.ahead import Ahead


def counted(n: int, made: list[int]) -> Iterator[int]:
    for i in range(n):
        made.append(i)
        yield i


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 100])
@pytest.mark.parametrize("most", [0, 10, 10_000])
def test_everything_comes_in_order(n: int, most: int) -> None:
    with Ahead(counted(n, []), size=lambda _: 2, most=most) as items:
        assert list(items) == list(range(n))


def test_the_thread_is_never_far_ahead() -> None:
    made: list[int] = []
    with Ahead(counted(1000, made), size=lambda _: 1, most=1000) as items:
        for i in items:
            assert len(made) - i <= 13  # three chunks of four, and the one it waits with


def test_heavy_items_wait_one_by_one() -> None:
    made: list[int] = []
    with Ahead(counted(50, made), size=lambda _: 10, most=20) as items:
        for i in items:
            assert len(made) - i <= 4


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(6)
        raise ValueError("broken")

    seen = []

    def consume() -> None:
        with Ahead(broken(), size=lambda _: 1, most=100) as items:
            for item in items:
                seen.append(item)

    with pytest.raises(ValueError, match="broken"):
        consume()
    assert seen == list(range(6))


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    made: list[int] = []
    with Ahead(counted(10**9, made), size=lambda _: 1, most=100) as items:
        next(iter(items))
    assert threading.active_count() == before
    assert len(made) < 100
