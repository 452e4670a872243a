"""IDX files: what is read, and what is said about every damage."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.fashion_mnist import CLASS_NAMES, find_fashion_mnist, read_fashion_mnist, read_idx
from pipeline.data.images import SOURCES
from pipeline.errors import UserError
from tests.data.data_trees import fashion_arrays, idx_bytes, write_fashion_mnist

pytestmark = pytest.mark.filterwarnings("error")

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_reads_every_pixel_and_label(tmp_path: Path, suffix: str) -> None:
    train, test = read_fashion_mnist(write_fashion_mnist(tmp_path, 40, 20, suffix))
    for part, n, seed in ((train, 40, 1), (test, 20, 2)):
        images, labels = fashion_arrays(n, seed)
        assert part.images.shape == (n, 28, 28, 1) and part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        np.testing.assert_array_equal(part.images[..., 0], images)
        np.testing.assert_array_equal(part.labels, labels)
        assert part.class_names == CLASS_NAMES


def test_the_set_on_this_machine_is_balanced(tmp_path: Path) -> None:
    """Debian's package where it is installed (60,000 and 10,000 images), else a generated tree."""
    folder = SOURCES["fashion_mnist"].package.folder
    sizes = (60_000, 10_000)
    if not folder.is_dir():
        folder, sizes = write_fashion_mnist(tmp_path, 40, 20), (40, 20)
    train, test = read_fashion_mnist(folder)
    assert (len(train), len(test)) == sizes
    assert len(set(np.bincount(train.labels))) == 1 and len(set(np.bincount(test.labels))) == 1
    assert train.images.min() == 0 and train.images.max() == 255


def test_a_folder_counts_as_found_with_any_of_the_files(tmp_path: Path) -> None:
    assert find_fashion_mnist(tmp_path) is None
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"")
    assert find_fashion_mnist(tmp_path) == tmp_path


def _message(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_fashion_mnist(folder)
    return str(caught.value)


def test_names_the_missing_file(tmp_path: Path) -> None:
    (write_fashion_mnist(tmp_path) / TRAIN_LABELS).unlink()
    assert "train-labels-idx1-ubyte(.gz) missing" in _message(tmp_path)


def _replaced(folder: Path, name: str, content: bytes) -> str:
    """What is said when one file of an otherwise good folder holds `content`."""
    write_fashion_mnist(folder)
    (folder / name).write_bytes(content)
    message = _message(folder)
    assert name in message
    return message


IMAGES, LABELS = fashion_arrays(40, 1)
DAMAGES = {
    "truncated gzip": (TRAIN_IMAGES, gzip.compress(idx_bytes(IMAGES))[:-500], "truncated"),
    "not gzip": (TRAIN_IMAGES, b"<html>404</html>", "not a gzip file"),
    "bad deflate stream": (TRAIN_IMAGES, gzip.compress(b"")[:10] + b"\xff" * 30, "damaged"),
    "zero bytes": (TRAIN_IMAGES, b"", "holds 0 bytes"),
    "no header": (TRAIN_IMAGES, gzip.compress(b"\0\0\x08"), "holds 3 bytes"),
    "truncated payload": (TRAIN_IMAGES, gzip.compress(idx_bytes(IMAGES)[:-1]), "= 31360 bytes but holds 31359"),
    "bytes too many": (TRAIN_IMAGES, gzip.compress(idx_bytes(IMAGES) + b"\0"), "but holds 31361"),
    "labels for images": (TRAIN_IMAGES, gzip.compress(idx_bytes(LABELS)), "starts with the number 2049, not 2051"),
    "other counts": (TRAIN_LABELS, gzip.compress(idx_bytes(LABELS[:-1])), "40 images but 39 labels"),
    "label 10": (TRAIN_LABELS, gzip.compress(idx_bytes(LABELS + 1)), "outside 0..9, the first is 10 at example 9"),
    "image size": (TRAIN_IMAGES, gzip.compress(idx_bytes(IMAGES[:, :27])), "27 x 28 x 1"),
    "no images": (TRAIN_IMAGES, gzip.compress(idx_bytes(IMAGES[:0])), "no images"),
}


@pytest.mark.parametrize(("name", "content", "expected"), DAMAGES.values(), ids=DAMAGES)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    assert expected in _replaced(tmp_path, name, content)


def test_an_enormous_announced_size_is_truncation_and_not_an_allocation(tmp_path: Path) -> None:
    content = idx_bytes(IMAGES)[:4] + b"\xff" * 12 + b"\0" * 100
    assert "truncated" in _replaced(tmp_path, TRAIN_IMAGES, gzip.compress(content))


@given(content=st.binary(max_size=64), position=st.integers(0, 15), value=st.integers(0, 255))
def test_any_bytes_are_read_or_explained(tmp_path_factory, content: bytes, position: int, value: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any-idx1-ubyte"
    good = bytearray(idx_bytes(np.frombuffer(content, np.uint8)))
    good[position % len(good)] = value
    for data in (content, bytes(good)):
        path.write_bytes(data)
        try:
            array = read_idx(path, 1)
        except UserError as error:
            assert str(path) in str(error)
        else:
            assert array.tobytes() == data[8:]
