"""Training batches in an order addressed by (seed, epoch): a resumed run sees what an uninterrupted one does."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.data.sampling import stream

PADDING = 4  # pixels on each side, He et al. 2016, sec. 4.2


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation int64 (N,) in which `epoch` visits the n examples."""
    return stream("order", seed, epoch).permutation(n)


def augmentation(n: int, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """What `epoch` does to the n examples in its order: whether to mirror, bool (N,), and where to cut, int64 (N, 2).

    Corners (y, x) count from the corner of the padded image: (4, 4) leaves an image where it was.
    """
    draws = stream("augmentation", seed, epoch)
    return draws.random(n) < 0.5, draws.integers(0, 2 * PADDING + 1, size=(n, 2))


def flip_and_crop(images: np.ndarray, flips: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Mirror left-right where `flips` (B,), pad with 4 zeros on each side, cut (H, W) out at `corners` (B, 2).

    Takes and gives images (B, H, W, C). He et al. 2016, "Deep Residual Learning", sec. 4.2.
    """
    height, width = images.shape[1:3]
    mirrored = np.where(flips[:, None, None, None], images[:, :, ::-1], images)
    padded = np.pad(mirrored, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    windows = sliding_window_view(padded, (height, width), axis=(1, 2))  # (B, 9, 9, C, H, W), no copy
    cropped = windows[np.arange(len(images)), corners[:, 0], corners[:, 1]]
    return np.ascontiguousarray(np.moveaxis(cropped, 1, -1))


def training_batches(
    images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, epoch: int, augment: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield `epoch`'s batches of images uint8 (N, H, W, C) and labels int64 (N,): ((B, H, W, C), (B,)).

    A pure function of its arguments. The last partial batch is dropped unless it is the only one.
    """
    n = len(images)
    order = epoch_order(n, seed, epoch)
    flips, corners = augmentation(n, seed, epoch)
    for start in range(0, max(n - batch_size, 0) + 1, batch_size):
        part = slice(start, start + batch_size)
        batch = images[order[part]]
        if augment:
            batch = flip_and_crop(batch, flips[part], corners[part])
        yield batch, labels[order[part]]
