"""What a training run sees: images, noisy labels, and the truth it is measured by."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrainingData:
    """Images uint8 (N, H, W, C) and labels int64 (N,) of the three parts; N differs between them.

    Training and validation labels are noisy. `corrupted` (N,) tells which training labels are wrong, None if nobody
    knows; it is measured with, never trained with. The validation part may be empty.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    corrupted: np.ndarray | None
    val_images: np.ndarray
    val_labels: np.ndarray
    val_clean_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: int
