"""Order and contents of training batches, and `prefetched`, which prepares them ahead in a thread."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.augmentation import FaceAugmentation, PadCrop
from pipeline.data.batches import epoch_order, prefetched, training_batches
from tests.processes import wait_until

pytestmark = pytest.mark.filterwarnings("error")

FACES = FaceAugmentation(flip=True, rotation=10.0, zoom=0.1, shift=0.05)
AUGMENTATIONS = pytest.mark.parametrize("augmentation", [None, PadCrop(), FACES], ids=["none", "pad_crop", "faces"])


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (n, 5, 7, 3), dtype=np.uint8)


class OnDisk:
    """Images that are read on demand: a length and indexing by integers, no array."""

    def __init__(self, stored: np.ndarray):
        self.stored, self.read = stored, []

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        self.read.extend(index.tolist())
        return self.stored[index]


@given(n=st.integers(1, 200), seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
def test_order_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    order = epoch_order(n, seed, epoch)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_order_depends_on_seed_and_epoch() -> None:
    assert len({epoch_order(100, seed, epoch).tobytes() for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_order_is_the_one_of_earlier_releases() -> None:
    """A change here (NumPy's included) means that old runs cannot be resumed or compared: say so in the change log."""
    assert epoch_order(10, 1, 0).tolist() == [2, 6, 9, 7, 4, 0, 8, 5, 1, 3]


@pytest.mark.parametrize(("n", "batch_size", "sizes"), [(10, 4, [4, 4]), (8, 4, [4, 4]), (3, 4, [3]), (5, 1, [1] * 5)])
def test_partial_batch_is_dropped_unless_alone(n: int, batch_size: int, sizes: list[int]) -> None:
    batches = list(training_batches(images(n), np.arange(n), batch_size, 1, 0, None))
    assert [len(batch) for batch, _ in batches] == [len(labels) for _, labels in batches] == sizes


@AUGMENTATIONS
def test_batches_follow_order_and_draws_whatever_their_size(augmentation) -> None:
    stored, labels = images(23), np.arange(23) * 10
    order, position = epoch_order(23, 3, 5), 0
    draws = augmentation.draw(23, 3, 5) if augmentation else None
    for batch, batch_labels in training_batches(stored, labels, 4, 3, 5, augmentation):
        for image, label in zip(batch, batch_labels, strict=True):
            expected = stored[order[position]][None]
            if augmentation:
                expected = augmentation.apply(expected, draws[position : position + 1])
            np.testing.assert_array_equal(image, expected[0])
            assert label == labels[order[position]]
            position += 1
    assert position == 20


def test_labels_may_be_rows_of_action_units() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (23, 12), dtype=np.uint8)
    found = [batch for _, batch in training_batches(images(23), labels, 4, 3, 5, None)]
    np.testing.assert_array_equal(np.concatenate(found), labels[epoch_order(23, 3, 5)[:20]])
    assert found[0].dtype == np.uint8


@AUGMENTATIONS
def test_a_later_start_gives_the_rest_and_reads_nothing_before(augmentation) -> None:
    whole = list(training_batches(images(23), np.arange(23), 4, 3, 5, augmentation))
    disk = OnDisk(images(23))
    rest = list(training_batches(disk, np.arange(23), 4, 3, 5, augmentation, first=2))
    assert len(rest) == len(whole) - 2
    for (batch, labels), (expected, expected_labels) in zip(rest, whole[2:], strict=True):
        np.testing.assert_array_equal(batch, expected)
        np.testing.assert_array_equal(labels, expected_labels)
    assert disk.read == epoch_order(23, 3, 5)[8:20].tolist()
    assert not list(training_batches(disk, np.arange(23), 4, 3, 5, augmentation, first=5))


@AUGMENTATIONS
def test_same_arguments_same_batches_and_the_source_untouched(augmentation) -> None:
    stored = images(20)
    runs = [list(training_batches(stored, np.arange(20), 8, 7, 2, augmentation)) for _ in range(2)]
    for (first, first_labels), (second, second_labels) in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first_labels, second_labels)
        first[:] = 0  # what a consumer does to a batch must not reach the data
    np.testing.assert_array_equal(stored, images(20))


def numbers(made: list[int], count: int = 100) -> Iterator[int]:
    for number in range(count):
        made.append(number)
        yield number


def test_prefetched_gives_all_items_in_order():
    assert list(prefetched(range(1000))) == list(range(1000))
    assert list(prefetched([])) == []
    assert list(prefetched([None, (), 0])) == [None, (), 0]


def test_prefetched_works_ahead_but_only_by_its_depth():
    made: list[int] = []
    items = prefetched(numbers(made), depth=3)
    assert next(items) == 0
    wait_until(lambda: len(made) == 5)  # one given, three waiting, one in hand
    time.sleep(0.05)  # a producer that went on would have made more by now
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
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "prefetch"])
    assert len(made) < 20
