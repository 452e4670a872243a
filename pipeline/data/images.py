"""The image sets a config can name: where they are looked for, in which order, and how much of them is taken.

A new one is a module with a `Source`, such as fashion_mnist.py, an entry of SOURCES here, and a section in settings.py.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.data import prepared
from pipeline.data.cifar10 import CIFAR10
from pipeline.data.fashion_mnist import FASHION_MNIST
from pipeline.data.image_set import ImageSet, Source
from pipeline.data.splits import training_subset
from pipeline.errors import UserError

SOURCES = {source.name: source for source in (FASHION_MNIST, CIFAR10)}


@dataclass(frozen=True)
class Place:
    """A folder that holds an image set, and what reads its (training, test) sets."""

    folder: Path
    read: Callable[[], tuple[ImageSet, ImageSet]]


def load_images(data: Any) -> tuple[ImageSet, ImageSet]:
    """The (training, test) sets of the config section `data`: its name, root, train_examples and test_examples.

    With a root: original files or a prepared TFDS data set in that folder, and nowhere else. Without: the system's
    folder, then TFDS's (TFDS_DATA_DIR or ~/tensorflow_datasets), then a download by TFDS into it.
    `train_examples` is a random subset, the same for every seed; `test_examples` are the first of the test set.

    Raises:
        UserError: nothing found, files that are damaged, or more examples asked for than there are.
    """
    source = SOURCES[data.name]
    place = find(source, data.root)
    if place is None and data.root is not None:
        raise UserError(_lacking_root(source, Path(data.root).expanduser()))
    train, test = (place or download(source)).read()
    _check_count("train_examples", data.train_examples, len(train), f"training set of {source.title}")
    _check_count("test_examples", data.test_examples, len(test), f"test set of {source.title}")
    if data.train_examples is not None:
        train = train.take(training_subset(len(train), data.train_examples))
    return train, test.take(slice(data.test_examples))


def find(source: Source, root: str | None = None) -> Place | None:
    """Where the image set lies on this machine, or None; a `root` rules out every other folder.

    Raises:
        UserError: the root is a folder that cannot be read.
    """
    only = Path(root).expanduser() if root is not None else None
    if only:
        _check_readable(only)
    folder = only or (source.package.folder if source.package else None)
    original = source.find(folder) if folder else None
    if original:
        return Place(original, partial(source.read, original))
    ready = prepared.find_prepared(only or prepared.tfds_folder(), source.name)
    return _prepared_place(source, ready) if ready else None


def download(source: Source) -> Place:
    """Let TFDS download the image set into its folder.

    Raises:
        UserError: it could not; says every place looked at and every way to get the data.
    """
    data_dir = prepared.tfds_folder()
    try:
        if source.tfds_url is None:
            raise UserError("TensorFlow Datasets does not have it")
        return _prepared_place(source, prepared.download(source.name, data_dir, source.tfds_url))
    except UserError as error:
        looked = [f"{source.package.folder}: no {source.files}"] if source.package else []
        looked += [f"{data_dir / source.name}: not prepared by TFDS", f"download: {error}"]
        raise UserError(_missing(f"{source.title} was not found. Looked at:", looked, source)) from error


def _check_readable(root: Path) -> None:
    """That a folder cannot be read does not mean that the data are not there."""
    try:
        os.listdir(root)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise UserError(f"data.root: {root} cannot be read ({error.strerror}). Repair it or name another") from error


def _prepared_place(source: Source, folder: Path) -> Place:
    return Place(folder, partial(prepared.read_prepared, folder, source.image_shape))


def _lacking_root(source: Source, root: Path) -> str:
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        return _missing(f"data.root: {root} {state}.", [], source)
    looked = [f"{root}: no {source.files}", f"{root / source.name}: not prepared by TFDS"]
    return _missing(f"data.root: {source.title} is not in {root}. Looked at:", looked, source)


def _missing(headline: str, looked: list[str], source: Source) -> str:
    """The message for who lacks an image set: what was looked at, and every way to get it."""
    ways = [f"download {source.archive}, and set data.root to the folder"]
    if source.package:
        ways.insert(0, f"apt-get install {source.package.name}, and leave data.root out")
    ways.append("set TFDS_DATA_DIR (or data.root) to a TFDS data folder that holds it")
    return "\n".join([headline, *(f"  {line}" for line in looked), "Do one of:", *(f"  {way}" for way in ways)])


def _check_count(key: str, wanted: int | None, available: int, what: str) -> None:
    if wanted is not None and wanted > available:
        raise UserError(f"data.{key}: {wanted} asked for, but the {what} has {available}; lower it or leave it out")
