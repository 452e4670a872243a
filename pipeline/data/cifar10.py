"""CIFAR-10 from the folder of the original Python archive (https://www.cs.toronto.edu/~kriz/cifar.html)."""

import codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.image_set import ImageSet, Source, checked_set
from pipeline.errors import UserError

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
META_FILE = "batches.meta"
FILES = (*TRAIN_FILES, TEST_FILE, META_FILE)
IMAGE_SHAPE = (32, 32, 3)
CLASSES = 10
AGAIN = "unpack the archive cifar-10-python.tar.gz again"

# What the standard library's pickle documents, plus what damaged NumPy states raise.
_DAMAGE = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, LookupError, TypeError, ValueError,
    OverflowError, MemoryError,
)  # fmt: skip


def find_cifar10(root: Path) -> Path | None:
    """The folder at `root` or up to two below it that holds any of CIFAR-10's seven files."""
    candidates = [root, root / "cifar-10-batches-py", *sorted(root.glob("*/cifar-10-batches-py"))]
    return next((folder for folder in candidates if any((folder / name).is_file() for name in FILES)), None)


def read_cifar10(folder: Path) -> tuple[ImageSet, ImageSet]:
    """The (training, test) sets of `folder`, training batches in the order of their numbers.

    Raises:
        UserError: a file is missing, damaged, or not what the archive holds.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: CIFAR-10 is incomplete, {', '.join(missing)} missing; {AGAIN}")
    names = _class_names(folder / META_FILE)
    batches = [_read_batch(folder / file, names) for file in TRAIN_FILES]
    train = ImageSet(
        np.concatenate([batch.images for batch in batches]), np.concatenate([batch.labels for batch in batches]), names
    )
    return train, _read_batch(folder / TEST_FILE, names)


class _ArrayUnpickler(pickle.Unpickler):
    """Builds containers, numbers, bytes and NumPy arrays, and nothing else: a pickle may come from anywhere."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a CIFAR-10 file") from None


def _dtype(kind: Any, align: Any = False, copy: Any = False) -> np.dtype:
    """`numpy.dtype` for the archive's arguments 0 and 1, which NumPy 2.4 deprecates in favour of False and True."""
    return np.dtype(kind, bool(align), bool(copy))


_reconstruct = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 1, the archive
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 2
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): codecs.encode,
}


def _unpickle(path: Path) -> dict:
    """The dictionary in a file written by Python 2 or 3, with keys as bytes."""
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="bytes").load()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error
    except _DAMAGE as error:
        raise UserError(f"{path}: damaged or not a CIFAR-10 file ({error}); {AGAIN}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a dictionary; {AGAIN}")
    return content


def _entry(content: dict, key: bytes, path: Path) -> Any:
    if key not in content:
        found = ", ".join(sorted(repr(other) for other in content)) or "none"
        raise UserError(f"{path}: key {key!r} is missing, found {found}; {AGAIN}")
    return content[key]


def _class_names(path: Path) -> tuple[str, ...]:
    names = _entry(_unpickle(path), b"label_names", path)
    if not isinstance(names, list) or len(names) != CLASSES or not all(isinstance(name, bytes) for name in names):
        raise UserError(f"{path}: b'label_names' is not a list of {CLASSES} names; {AGAIN}")
    return tuple(name.decode("ascii", "replace") for name in names)


def _read_batch(path: Path, class_names: tuple[str, ...]) -> ImageSet:
    content = _unpickle(path)
    data = _entry(content, b"data", path)
    labels = _entry(content, b"labels", path)
    planes = IMAGE_SHAPE[0] * IMAGE_SHAPE[1] * IMAGE_SHAPE[2]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != planes:
        raise UserError(f"{path}: b'data' is {_kind(data)}, not uint8 of shape (N, {planes}); {AGAIN}")
    if not isinstance(labels, list) or not all(isinstance(label, int) and abs(label) < 2**31 for label in labels):
        raise UserError(f"{path}: b'labels' is {_kind(labels)}, not a list of class numbers; {AGAIN}")
    images = data.reshape(-1, IMAGE_SHAPE[2], *IMAGE_SHAPE[:2]).transpose(0, 2, 3, 1)
    return checked_set(np.ascontiguousarray(images), labels, class_names, IMAGE_SHAPE, str(path))


def _kind(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


CIFAR10 = Source(
    name="cifar10",
    title="CIFAR-10",
    image_shape=IMAGE_SHAPE,
    find=find_cifar10,
    read=read_cifar10,
    files="cifar-10-batches-py with data_batch_1 and its companions",
    archive="and unpack https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    tfds_url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
)
