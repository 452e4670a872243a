"""Order, flips and crops against loops that know nothing of the vectorised code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.batches import augmentation, epoch_order, flip_and_crop, training_batches

pytestmark = pytest.mark.filterwarnings("error")


def _images(n: int, height: int = 5, width: int = 7, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (n, height, width, channels), dtype=np.uint8)


def _looped(image: np.ndarray, flip: bool, corner: np.ndarray) -> np.ndarray:
    """One image (H, W, C), pixel by pixel; what lies outside of the image is 0."""
    height, width, _ = image.shape
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            source_y, source_x = y + corner[0] - 4, x + corner[1] - 4
            if 0 <= source_y < height and 0 <= source_x < width:
                result[y, x] = image[source_y, width - 1 - source_x if flip else source_x]
    return result


def test_every_flip_and_crop_equals_the_loop() -> None:
    cases = [(flip, (y, x)) for flip in (False, True) for y in range(9) for x in range(9)]
    images = _images(len(cases))
    flips, corners = np.array([flip for flip, _ in cases]), np.array([corner for _, corner in cases])
    expected = np.stack([_looped(*case) for case in zip(images, flips, corners, strict=True)])
    result = flip_and_crop(images, flips, corners)
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.uint8 and result.flags.c_contiguous


def test_no_flip_and_the_middle_corner_change_nothing() -> None:
    images = _images(3)
    np.testing.assert_array_equal(flip_and_crop(images, np.zeros(3, bool), np.full((3, 2), 4)), images)


def test_flips_are_half_and_corners_uniform() -> None:
    n = 81_000
    flips, corners = augmentation(n, 1, 0)
    assert abs(flips.mean() - 0.5) < 5 * 0.5 / np.sqrt(n)
    counts = np.zeros((9, 9), int)
    for y, x in corners:
        counts[y, x] += 1
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


@given(n=st.integers(1, 200), seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
def test_order_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    order = epoch_order(n, seed, epoch)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_order_and_augmentation_depend_on_seed_and_epoch() -> None:
    addresses = [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert len({epoch_order(100, *address).tobytes() for address in addresses}) == 4
    assert len({augmentation(100, *address)[1].tobytes() for address in addresses}) == 4


def test_order_is_the_one_of_earlier_releases() -> None:
    """A change here (NumPy's included) means that old runs cannot be resumed or compared: say so in the change log."""
    assert epoch_order(10, 1, 0).tolist() == [2, 6, 9, 7, 4, 0, 8, 5, 1, 3]


@pytest.mark.parametrize(("n", "batch_size", "sizes"), [(10, 4, [4, 4]), (8, 4, [4, 4]), (3, 4, [3]), (5, 1, [1] * 5)])
def test_partial_batch_is_dropped_unless_alone(n: int, batch_size: int, sizes: list[int]) -> None:
    batches = list(training_batches(_images(n), np.arange(n), batch_size, 1, 0, False))
    assert [len(images) for images, _ in batches] == [len(labels) for _, labels in batches] == sizes


@pytest.mark.parametrize("augment", [False, True])
def test_batches_follow_order_and_augmentation(augment: bool) -> None:
    images, labels = _images(23), np.arange(23) * 10
    order, (flips, corners) = epoch_order(23, 3, 5), augmentation(23, 3, 5)
    position = 0
    for batch, batch_labels in training_batches(images, labels, 4, 3, 5, augment):
        for image, label in zip(batch, batch_labels, strict=True):
            original = images[order[position]]
            expected = _looped(original, flips[position], corners[position]) if augment else original
            np.testing.assert_array_equal(image, expected)
            assert label == labels[order[position]]
            position += 1
    assert position == 20


def test_same_arguments_same_batches_and_the_source_untouched() -> None:
    images = _images(20)
    before = images.copy()
    runs = [list(training_batches(images, np.arange(20), 8, 7, 2, True)) for _ in range(2)]
    for (first, first_labels), (second, second_labels) in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first_labels, second_labels)
        first[:] = 0  # what a consumer does to a batch must not reach the data
    np.testing.assert_array_equal(images, before)
