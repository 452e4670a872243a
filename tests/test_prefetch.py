"""`prefetched` passes items on as they are, works ahead, and ends with its consumer."""

import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.data.prefetch import prefetched


def numbers(made: list[int], count: int = 100) -> Iterator[int]:
    for number in range(count):
        made.append(number)
        yield number


def wait_for(condition) -> None:
    """Until the condition holds; fails after 10 s."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_all_items_in_order():
    assert list(prefetched(range(1000))) == list(range(1000))
    assert list(prefetched([])) == []
    assert list(prefetched([None, (), 0])) == [None, (), 0]


def test_works_ahead_but_only_by_its_depth():
    made: list[int] = []
    items = prefetched(numbers(made), depth=3)
    assert next(items) == 0
    wait_for(lambda: len(made) == 5)  # one given, three waiting, one in hand
    time.sleep(0.05)
    assert len(made) == 5
    items.close()


def test_an_exception_comes_through_after_the_items_before_it():
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("no third")

    items = prefetched(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        next(items)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_consumer_that_stops_ends_the_thread(depth: int):
    made: list[int] = []
    for item in prefetched(numbers(made, 10**9), depth):
        if item == 3:
            break
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name == "prefetch"])
    assert len(made) < 20
