"""The data of one training: images, noisy labels, and the true labels for evaluation."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.action_units.labels import Images, subset


@dataclass(frozen=True)
class TrainingData:
    """Images uint8 (N, H, W, C) of training, validation and test part, in memory or read on demand.

    Labels are int64 (N,) classes or uint8 (N, A) action units (0, 1, 9 unknown). Training and validation labels are
    noisy; test labels are the true ones where they are known. `corrupted`, of the shape of the labels, marks wrong
    training labels, None if unknown; it is used in evaluation only. The validation part may be empty. `classes` is K
    or A. Faces also have subjects (N,) and, if the true test labels are known, the noisy ones as well.
    """

    train_images: Images
    train_labels: np.ndarray
    corrupted: np.ndarray | None
    val_images: Images
    val_labels: np.ndarray
    val_clean_labels: np.ndarray | None
    test_images: Images
    test_labels: np.ndarray
    classes: int
    test_noisy_labels: np.ndarray | None = None
    val_subjects: np.ndarray | None = None
    test_subjects: np.ndarray | None = None
    label_names: tuple[str, ...] = ()

    def for_evaluation(self, count: int | None) -> "TrainingData":
        """The same with `count` evenly spaced training examples, on which the fit is measured; None keeps all."""
        if count is None or count >= len(self.train_labels):
            return self
        chosen = evenly_spaced(len(self.train_labels), count)
        corrupted = None if self.corrupted is None else self.corrupted[chosen]
        images = subset(self.train_images, chosen)
        return replace(self, train_images=images, train_labels=self.train_labels[chosen], corrupted=corrupted)


def evenly_spaced(n: int, count: int | None) -> np.ndarray:
    """`count` ascending indices int64 spread evenly over n examples; all of them if there are fewer."""
    if count is None or count >= n:
        return np.arange(n)
    return np.arange(count) * n // count
