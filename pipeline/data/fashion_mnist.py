"""Fashion-MNIST from its IDX files, plain or gzipped (format: http://yann.lecun.com/exdb/mnist/)."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.image_set import DebianPackage, ImageSet, Source, checked_set
from pipeline.errors import UserError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
IMAGE_SHAPE = (28, 28, 1)
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
AGAIN = "delete it and get it again"


def find_fashion_mnist(folder: Path) -> Path | None:
    """`folder` if it holds any of the four files, gzipped or not; `read_fashion_mnist` names those that are missing."""
    return folder if any(_present(folder, name) for name in FILES) else None


def read_fashion_mnist(folder: Path) -> tuple[ImageSet, ImageSet]:
    """The (training, test) sets of `folder`; a plain file wins over its gzipped twin.

    Raises:
        UserError: a file is missing, damaged, of another kind, or does not fit its partner.
    """
    paths = [_present(folder, name) for name in FILES]
    missing = [name for name, path in zip(FILES, paths, strict=True) if path is None]
    if missing:
        lack = ", ".join(f"{name}(.gz)" for name in missing)
        raise UserError(f"{folder}: Fashion-MNIST is incomplete, {lack} missing; put all four files there")
    train_images, train_labels, test_images, test_labels = paths
    return _read_pair(train_images, train_labels), _read_pair(test_images, test_labels)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array with `dimensions` axes that an IDX file holds, gzipped if the name ends in .gz.

    Raises:
        UserError: unreadable, truncated, too long, or not an IDX file of bytes with so many axes.
    """
    content = _content(path)
    header = 4 + 4 * dimensions
    magic = 0x0800 + dimensions
    if len(content) < header:
        raise UserError(f"{path}: holds {len(content)} bytes, less than its {header}-byte header; {AGAIN}")
    found = int.from_bytes(content[:4], "big")
    if found != magic:
        raise UserError(f"{path}: starts with the number {found}, not {magic}, so it is another kind of file; {AGAIN}")
    shape = [int(size) for size in np.frombuffer(content, dtype=">u4", count=dimensions, offset=4)]
    expected = math.prod(shape)
    if len(content) - header != expected:
        sizes = " x ".join(str(size) for size in shape)
        raise UserError(
            f"{path}: announces {sizes} = {expected} bytes but holds {len(content) - header}; "
            f"it is truncated or damaged, {AGAIN}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _present(folder: Path, name: str) -> Path | None:
    """The plain or gzipped file called `name`, if there."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_pair(images_path: Path, labels_path: Path) -> ImageSet:
    images = read_idx(images_path, 3)
    labels = read_idx(labels_path, 1)
    return checked_set(images[..., None], labels, CLASS_NAMES, IMAGE_SHAPE, f"{images_path} and {labels_path.name}")


def _content(path: Path) -> bytes:
    """The bytes of a file, uncompressed if its name ends in .gz."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except EOFError as error:
        raise UserError(f"{path}: the gzip data ends too early, the file is truncated; {AGAIN}") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: damaged or not a gzip file ({error}); {AGAIN}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error


FASHION_MNIST = Source(
    name="fashion_mnist",
    title="Fashion-MNIST",
    image_shape=IMAGE_SHAPE,
    find=find_fashion_mnist,
    read=read_fashion_mnist,
    files=f"{FILES[0]}(.gz) or one of its three companions",
    archive=f"{', '.join(f'{name}.gz' for name in FILES)} from {URL}",
    tfds_url=f"{URL}{FILES[0]}.gz",
    package=DebianPackage(name="dataset-fashion-mnist", folder=Path("/usr/share/datasets/fashion-mnist")),
)
