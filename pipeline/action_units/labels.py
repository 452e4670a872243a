"""Face crops with labels of action units, and which subject, task and frame each is from."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

UNKNOWN = 9  # BP4D's code for "not annotated"
AU_NUMBERS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)  # those of BP4D's protocol
FACS_NAMES = {
    "AU1": "inner brow raiser",
    "AU2": "outer brow raiser",
    "AU4": "brow lowerer",
    "AU5": "upper lid raiser",
    "AU6": "cheek raiser",
    "AU7": "lid tightener",
    "AU9": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU16": "lower lip depressor",
    "AU17": "chin raiser",
    "AU18": "lip pucker",
    "AU20": "lip stretcher",
    "AU22": "lip funneler",
    "AU23": "lip tightener",
    "AU24": "lip pressor",
    "AU25": "lips part",
    "AU26": "jaw drop",
    "AU27": "mouth stretch",
    "AU28": "lip suck",
    "AU43": "eyes closed",
    "AU45": "blink",
}


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

    `clean_labels` are the true labels, where they are known. `crop` is the recipe the faces were cut out by, `skipped`
    counts what the source names but is missing here, by reason.
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
    """The images at `index`; those on disk stay there (they have a method `subset`)."""
    return images.subset(index) if hasattr(images, "subset") else images[index]
