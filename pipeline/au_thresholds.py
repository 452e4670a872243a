"""The probability from which an action unit counts as present, chosen on validation subjects."""

from collections.abc import Sequence

import numpy as np

from pipeline.au_metrics import probabilities
from pipeline.data.au_set import UNKNOWN

DEFAULT = 0.5


def choose_thresholds(
    logits: np.ndarray, labels: np.ndarray, au_names: Sequence[str]
) -> tuple[np.ndarray, dict[str, str]]:
    """The threshold (A,) of highest F1 for every unit on logits and (noisy) labels (N, A), and the units without one.

    A threshold lies half-way between the least probability that is called present and the next lower one (0 if there
    is none). Of equally good thresholds the one nearest to 0.5 counts, and 0.5 itself if it is among them. A unit
    without a positive label keeps 0.5; the second result names it with the reason.
    """
    chosen, reasons = np.full(len(au_names), DEFAULT), {}
    for column, name in enumerate(au_names):
        known = labels[:, column] != UNKNOWN
        positive = labels[known, column] == 1
        if positive.any():
            chosen[column] = _best(probabilities(logits[known, column]), positive)
        else:
            what = "positive" if known.any() else "known"
            reasons[name] = f"no {what} label in the validation part, so its threshold stays {DEFAULT}"
    return chosen, reasons


def _best(probability: np.ndarray, positive: np.ndarray) -> float:
    """The threshold for one unit's probabilities (n,) and labels, bool (n,)."""
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
