"""Whether a training has learned anything: sentences for scores no better than chance and for a loss that grew."""

import math
from collections.abc import Sequence

import numpy as np

from pipeline.action_units.labels import UNKNOWN

LEAST = 200  # test images for a judgement: of fewer, a useful network cannot be told from chance
MARGIN = 2.0  # standard errors above chance that a score must have
GROWN = 3.0  # times the loss of a guess; an untrained network begins near that of a guess
ADVICE = "Lower train.learning_rate, train for longer, or check the data"


def chance_of_classes(accuracy: float, labels: np.ndarray) -> list[str]:
    """A sentence if an accuracy on test labels (N,) is not clearly above the share of the most frequent class."""
    n = len(labels)
    if n < LEAST:
        return []
    share = np.bincount(labels).max() / n
    if accuracy > share + MARGIN * math.sqrt(share * (1 - share) / n):
        return []
    found = f"the accuracy of {accuracy:.1%} on {n:,} test images is not clearly better than"
    return [f"{found} {share:.1%}, that of always answering the most frequent class. {ADVICE}"]


def chance_of_action_units(areas: Sequence[float | None], labels: np.ndarray) -> list[str]:
    """A sentence if the mean area under the ROC curve is not clearly above 0.5; areas (A,), test labels (N, A).

    The standard error is that of unrelated scores and labels (Mann and Whitney 1947), as if images and action units
    were independent; it is too small rather than too large, so that only clear cases are reported.
    """
    defined = [unit for unit, area in enumerate(areas) if area is not None]
    n = len(labels)
    if n < LEAST or not defined:
        return []
    known = labels[:, defined]
    positive, negative = (known == 1).sum(axis=0), ((known != 1) & (known != UNKNOWN)).sum(axis=0)
    error = math.sqrt(((positive + negative + 1) / (12 * positive * negative)).sum()) / len(defined)
    mean = float(np.mean([areas[unit] for unit in defined]))
    if mean > 0.5 + MARGIN * error:
        return []
    return [f"the mean AUC of {mean:.3f} on {n:,} test images is not clearly better than 0.5, that of chance. {ADVICE}"]


def grown_loss(loss: float | None, guess: float | None) -> list[str]:
    """A sentence if the loss on the training images is far above that of a guess: all probabilities alike."""
    if loss is None or guess is None or loss <= GROWN * guess:
        return []
    return [f"the loss on the training images grew to {loss:.3g}; a guess has {guess:.3g}. {ADVICE}"]
