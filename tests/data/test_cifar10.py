"""CIFAR-10's original folder: the authors' own pickle layout, damage, and files that try to run code."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.cifar10 import find_cifar10, read_cifar10
from pipeline.errors import UserError
from tests.data.data_trees import CIFAR_NAMES, cifar_batch, cifar_rows, write_cifar10

pytestmark = pytest.mark.filterwarnings("error")


def _pixel_by_pixel(row: np.ndarray) -> np.ndarray:
    """A row (3072,) as an image (32, 32, 3), as https://www.cs.toronto.edu/~kriz/cifar.html describes it."""
    image = np.zeros((32, 32, 3), np.uint8)
    for y in range(32):
        for x in range(32):
            image[y, x] = [row[channel * 1024 + y * 32 + x] for channel in range(3)]
    return image


def test_reads_pixels_labels_and_names_in_the_order_of_the_batches(tmp_path: Path) -> None:
    train, test = read_cifar10(write_cifar10(tmp_path, 4))
    rows, labels = zip(*(cifar_rows(4, seed) for seed in range(1, 6)), strict=True)
    expected = np.stack([_pixel_by_pixel(row) for row in np.concatenate(rows)])
    np.testing.assert_array_equal(train.images, expected)
    np.testing.assert_array_equal(train.labels, np.concatenate(labels))
    np.testing.assert_array_equal(test.images[0], _pixel_by_pixel(cifar_rows(4, 6)[0][0]))
    assert train.class_names == test.class_names == tuple(name.decode() for name in CIFAR_NAMES)
    assert train.images.dtype == np.uint8 and train.labels.dtype == np.int64


@pytest.mark.parametrize("protocol", [2, 4])
def test_reads_batches_that_python_3_wrote(tmp_path: Path, protocol: int) -> None:
    folder = write_cifar10(tmp_path, 4)
    rows, labels = cifar_rows(4, 9)
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": rows, b"labels": labels}, protocol=protocol))
    np.testing.assert_array_equal(read_cifar10(folder)[1].images[3], _pixel_by_pixel(rows[3]))


@pytest.mark.parametrize("below", [".", "..", "../.."])
def test_finds_the_folder_itself_and_below(tmp_path: Path, below: str) -> None:
    folder = write_cifar10(tmp_path / "a")
    found = find_cifar10((folder / below).resolve())
    assert found is not None and found.samefile(folder)


def test_finds_nothing_elsewhere(tmp_path: Path) -> None:
    assert find_cifar10(tmp_path) is None and find_cifar10(tmp_path / "absent") is None


def _message(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_cifar10(folder)
    return str(caught.value)


def test_names_the_missing_files(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_3").unlink()
    (folder / "batches.meta").unlink()
    assert "data_batch_3, batches.meta missing" in _message(folder)


ROWS, LABELS = cifar_rows(6, 1)
BATCHES = {
    "zero bytes": (b"", "damaged"),
    "web page": (b"<html>404</html>", "damaged"),
    "truncated": (cifar_batch(ROWS, LABELS)[:-3000], "damaged"),
    "a list": (pickle.dumps([1]), "holds a list, not a dictionary"),
    "no labels": (
        pickle.dumps({b"data": ROWS, b"fine_labels": LABELS}),
        "key b'labels' is missing, found b'data', b'f",
    ),
    "text keys": (pickle.dumps({"data": ROWS, "labels": LABELS}), "key b'data' is missing, found 'data', 'labels'"),
    "narrow rows": (cifar_batch(ROWS[:, :-1], LABELS), "uint8 of shape (6, 3071), not uint8 of shape (N, 3072)"),
    "float pixels": (pickle.dumps({b"data": ROWS / 255, b"labels": LABELS}), "float64 of shape (6, 3072)"),
    "no array": (pickle.dumps({b"data": [1, 2], b"labels": LABELS}), "b'data' is a list"),
    "labels of text": (pickle.dumps({b"data": ROWS, b"labels": ["cat"] * 6}), "b'labels' is a list, not a list of"),
    "giant label": (pickle.dumps({b"data": ROWS, b"labels": [2**70] * 6}), "b'labels'"),
    "label 10": (cifar_batch(ROWS, [0, 1, 2, 3, 10, 5]), "the first is 10 at example 4"),
    "label -1": (cifar_batch(ROWS, [0, 1, 2, 3, -1, 5]), "the first is -1"),
    "other counts": (cifar_batch(ROWS, LABELS[:-1]), "6 images but 5 labels"),
    "no images": (cifar_batch(ROWS[:0], []), "no images"),
}


@pytest.mark.parametrize(("content", "expected"), BATCHES.values(), ids=BATCHES)
def test_says_what_is_wrong_with_a_batch(tmp_path: Path, content: bytes, expected: str) -> None:
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_2").write_bytes(content)
    message = _message(folder)
    assert expected in message and str(folder / "data_batch_2") in message


@pytest.mark.parametrize("names", [["cat"] * 10, [b"cat"] * 9, b"cat"])
def test_class_names_must_be_ten(tmp_path: Path, names: object) -> None:
    folder = write_cifar10(tmp_path)
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}))
    assert "not a list of 10 names" in _message(folder)


def test_every_truncation_is_explained(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path, 1)
    whole = (folder / "data_batch_1").read_bytes()
    for length in (*range(0, 260), *range(len(whole) - 60, len(whole))):
        (folder / "data_batch_1").write_bytes(whole[:length])
        assert "data_batch_1: damaged" in _message(folder)


class _Attack:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def test_a_pickle_cannot_run_code(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path)
    trace = tmp_path / "trace"
    for attack in (_Attack(os.mkdir, str(trace)), _Attack(eval, f"open({str(trace)!r}, 'w')")):
        (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": attack, b"labels": []}))
        assert "is not allowed" in _message(folder)
    assert not trace.exists()
