"""Training batches in an order addressed by (seed, epoch): a resumed run sees what an uninterrupted one does."""

from collections.abc import Iterator

import numpy as np

from pipeline.data.au_set import Images
from pipeline.data.augmentation import Augmentation
from pipeline.data.sampling import stream


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

    A pure function of its arguments; it begins with the 0-based batch `first` and reads nothing before it. The last
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
