"""How many images go through a network at once: fewer the larger they are, so that memory does not grow with them."""

from collections.abc import Iterator, Sequence

MOST_IMAGES = 500
PIXELS = 2**20  # of all images of a batch together


def images_at_once(height: int, width: int) -> int:
    """Images of a batch in inference: MOST_IMAGES small ones, one where a single image fills the batch."""
    return min(max(PIXELS // (height * width), 1), MOST_IMAGES)


def image_batches(shape: Sequence[int]) -> Iterator[slice]:
    """The slices that cut images of `shape` (N, H, W, C) into batches."""
    count, height, width, _ = shape
    step = images_at_once(height, width)
    return (slice(start, start + step) for start in range(0, count, step))
