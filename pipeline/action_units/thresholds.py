"""Decision thresholds of action units: the best on validation subjects, drawn towards 0.5 the fewer subjects there are.

The frames of a person resemble each other, so a few validation subjects say little about the next person, however many
frames they have: the threshold of highest F1 on four subjects is worse on others than plain 0.5. A threshold is
therefore the weighted mean of the best one, which weighs as many as the subjects that show the action unit, and of 0.5,
which weighs PRIOR_SUBJECTS. Measured in docs/results/thresholds.md.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.action_units.labels import UNKNOWN
from pipeline.action_units.metrics import probabilities

DEFAULT = 0.5
PRIOR_SUBJECTS = 10


def choose_thresholds(
    logits: np.ndarray, labels: np.ndarray, subjects: np.ndarray | None, au_names: Sequence[str]
) -> tuple[np.ndarray, dict[str, str]]:
    """The threshold (A,) of every action unit, from logits and noisy labels (N, A) of `subjects` (N,); reasons by name.

    Examples of unknown subjects, None, count as those of one. An action unit without a positive label keeps 0.5; the
    second result says why.
    """
    if subjects is None:
        subjects = np.zeros(len(labels), int)
    chosen, reasons = np.full(len(au_names), DEFAULT), {}
    for column, name in enumerate(au_names):
        known, positive = labels[:, column] != UNKNOWN, labels[:, column] == 1
        if positive.any():
            best = best_threshold(probabilities(logits[known, column]), positive[known])
            chosen[column] = towards_default(best, len(np.unique(subjects[positive])))
        else:
            what = "positive" if known.any() else "known"
            reasons[name] = f"no {what} label in the validation part, so its threshold stays {DEFAULT}"
    return chosen, reasons


def towards_default(best: float, subjects: int) -> float:
    """The mean of the best threshold on that many subjects and of 0.5, which counts as PRIOR_SUBJECTS."""
    return DEFAULT + subjects / (subjects + PRIOR_SUBJECTS) * (best - DEFAULT)


def best_threshold(probability: np.ndarray, positive: np.ndarray) -> float:
    """The threshold of highest F1 for the probabilities (n,) of an action unit and its labels, bool (n,), one positive.

    It lies half-way between the lowest probability that is called present and the next lower one (0 if there is none).
    Of equally good thresholds the one nearest to 0.5 is taken, 0.5 itself if it is among them.
    """
    values, first = np.unique(-probability, return_inverse=True)
    called = np.cumsum(np.bincount(first))
    found = np.cumsum(np.bincount(first, weights=positive))
    f1 = 2 * found / (called + positive.sum())
    values = -values  # descending
    thresholds = (values + np.r_[values[1:], 0]) / 2
    best = np.flatnonzero(f1 == f1.max())
    if any(values[k] >= DEFAULT > np.r_[values[1:], -1][k] for k in best):
        return DEFAULT
    return float(min(thresholds[best], key=lambda threshold: abs(threshold - DEFAULT)))
