"""What an image set is: labelled images in memory, checked once where they are read, and where they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UserError


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 (N, H, W, C), labels int64 (N,) into the K `class_names`."""

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray | slice) -> "ImageSet":
        """The examples at `index`, in its order."""
        return ImageSet(self.images[index], self.labels[index], self.class_names)


@dataclass(frozen=True, kw_only=True)
class DebianPackage:
    """A package that installs an image set's original files into `folder`."""

    name: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Source:
    """One image set: how its original files are found and read, and what to tell a user who lacks it.

    `name` is that of the config and of TensorFlow Datasets; `files` says what `find` looks for, `archive` what to
    download; `tfds_url` is one of the files that TensorFlow Datasets downloads, None if it does not have the set.
    """

    name: str
    title: str
    image_shape: tuple[int, int, int]
    find: Callable[[Path], Path | None]
    read: Callable[[Path], tuple[ImageSet, ImageSet]]
    files: str
    archive: str
    tfds_url: str | None = None
    package: DebianPackage | None = None


def checked_set(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], image_shape: tuple[int, int, int], where: str
) -> ImageSet:
    """An `ImageSet` of images (N, H, W, C) and labels (N,) read from `where`.

    Raises:
        UserError: no image, images that are not of `image_shape` (H, W, C), another number of labels, or a label
            without a class.
    """
    if len(images) == 0:
        raise UserError(f"{where}: holds no images; get the file again")
    if images.shape[1:] != image_shape:
        found, wanted = _times(images.shape[1:]), _times(image_shape)
        raise UserError(
            f"{where}: images are {found} (height x width x channels), not {wanted}; is it another data set?"
        )
    if len(images) != len(labels):
        raise UserError(
            f"{where}: {len(images)} images but {len(labels)} labels; get both files again from the same source"
        )
    labels = np.asarray(labels, dtype=np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(class_names)))
    if len(wrong):
        raise UserError(
            f"{where}: {len(wrong)} labels are outside 0..{len(class_names) - 1}, the first is {labels[wrong[0]]} "
            f"at example {wrong[0]} (counted from 0); is it another data set?"
        )
    return ImageSet(images, labels, tuple(class_names))


def _times(sizes: Sequence[int]) -> str:
    return " x ".join(str(size) for size in sizes)
