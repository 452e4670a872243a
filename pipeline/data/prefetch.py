"""Batches made by a thread ahead of the training step that uses them."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def prefetched(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order; up to `depth` of them are made ahead in a thread.

    An exception of `items` is raised after the items before it. When the consumer stops, so does the thread, after
    the item that it is at.
    """
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        _drain(ready)  # a thread that waits for room goes on, and sees `stop`
        thread.join()


def _fill(items: Iterable[Item], ready: queue.Queue, stop: threading.Event) -> None:
    try:
        for item in items:
            ready.put((item, None))
            if stop.is_set():
                return
        ready.put((_END, None))
    except BaseException as error:
        ready.put((None, error))


def _drain(ready: queue.Queue) -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        return
