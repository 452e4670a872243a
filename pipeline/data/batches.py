"""Training batches in an order that depends on (seed, epoch) only, prefetched by a thread; batch sizes for inference."""

import math
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from pipeline.action_units.labels import Images
from pipeline.data.augmentation import Augmentation
from pipeline.runs.sampling import stream

MAX_IMAGES = 500
MAX_PIXELS = 2**20  # of all images of a batch together


def images_at_once(*size: int) -> int:
    """The batch size in inference for images of size (H, W), sequences (T,) or vectors (): MAX_IMAGES small ones, down to 1."""
    return min(max(MAX_PIXELS // math.prod(size), 1), MAX_IMAGES)


def image_batches(shape: Sequence[int]) -> Iterator[slice]:
    """The slices that cut images, or inputs of any `shape` (N, ..., C), into batches."""
    count, *size, _ = shape
    step = images_at_once(*size)
    return (slice(start, start + step) for start in range(0, count, step))


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation int64 (N,) in which `epoch` visits the n examples."""
    return stream("order", seed, epoch).permutation(n)


def training_batches(
    images: Images,
    labels: np.ndarray,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: Augmentation | None,
    first: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield `epoch`'s batches of images uint8 (N, H, W, C) and labels (N, ...): ((B, H, W, C), (B, ...)).

    A pure function of its arguments; it starts at the 0-based batch `first` and reads nothing before it. The last
    partial batch is dropped unless it is the only one.
    """
    n = len(images)
    order = epoch_order(n, seed, epoch)
    draws = augmentation.draw(n, seed, epoch) if augmentation else None
    for start in range(first * batch_size, max(n - batch_size, 0) + 1, batch_size):
        part = slice(start, start + batch_size)
        batch = images[order[part]]
        if augmentation:
            batch = augmentation.apply(batch, draws[part])
        yield batch, labels[order[part]]


Item = TypeVar("Item")
_END = object()


def prefetched(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order; up to `depth` of them are prefetched in a thread.

    An exception of `items` is raised after the items before it. When the consumer stops, the thread stops after its
    current item.
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
        _drain(ready)  # a thread that waits for room continues, and sees `stop`
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
