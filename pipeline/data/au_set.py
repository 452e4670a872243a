"""Face crops with labels of action units, and where every one comes from."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

UNKNOWN = 9  # BP4D's code for "not annotated"
AU_NUMBERS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)  # those of BP4D's protocol


class Images(Protocol):
    """uint8 (N, H, W, C), in memory or read on demand."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        """N."""

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """The images (n, H, W, C) at a slice, at integers, or where a mask is true."""


@dataclass(frozen=True)
class AuSet:
    """N images, labels uint8 (N, A) of 0, 1 and UNKNOWN, and the subject, task and frame (N,) of every image.

    `clean_labels` are the truth where somebody knows it. `crop` is the recipe the faces were cut out by, `skipped`
    counts by reason what the source named and is not here.
    """

    images: Images
    labels: np.ndarray
    clean_labels: np.ndarray | None
    subjects: np.ndarray
    tasks: np.ndarray
    frames: np.ndarray
    au_names: tuple[str, ...]
    crop: dict = field(default_factory=dict)
    skipped: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> "AuSet":
        """The examples at the ascending integers or in the mask `index`."""
        clean = None if self.clean_labels is None else self.clean_labels[index]
        parts = {name: getattr(self, name)[index] for name in ("labels", "subjects", "tasks", "frames")}
        return replace(self, images=subset(self.images, index), clean_labels=clean, **parts)


def subset(images: Images, index: np.ndarray) -> Images:
    """The images at `index`, still on the disk if they are (`subset` is what such images have of their own)."""
    return images.subset(index) if hasattr(images, "subset") else images[index]
