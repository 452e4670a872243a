"""Metrics of action units from logits; unknown labels do not count, undefined metrics are None."""

import math
from collections.abc import Sequence

import numpy as np

from pipeline.action_units.labels import UNKNOWN

TP, FP, FN, TN = range(4)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The logistic function of logits of any shape, float64; exactly 0.5 at 0."""
    small = np.exp(-np.abs(np.asarray(logits, np.float64)))
    return np.where(logits >= 0, 1, small) / (1 + small)


def decisions(logits: np.ndarray, thresholds: np.ndarray | float = 0.5) -> np.ndarray:
    """Whether each action unit is present, bool (N, A): a probability of at least its threshold, (A,) or one for all."""
    return probabilities(logits) >= thresholds


def counts(decided: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """int64 (A, 4): true and false positives, false and true negatives of decisions bool (N, A) on labels (N, A)."""
    positive, negative = labels == 1, labels == 0
    pairs = (decided & positive, decided & negative, ~decided & positive, ~decided & negative)
    return np.stack([pair.sum(axis=0) for pair in pairs], axis=-1)


def f1(counted: np.ndarray) -> np.ndarray:
    """2 TP / (2 TP + FP + FN) of counts (..., 4), float64 (...); nan without a positive label."""
    tp, fp, fn = (counted[..., kind].astype(np.float64) for kind in (TP, FP, FN))
    return _ratio(2 * tp, 2 * tp + fp + fn, tp + fn > 0)


def balanced_accuracy(counted: np.ndarray) -> np.ndarray:
    """The mean of sensitivity and specificity of counts (..., 4); nan without labels of both kinds."""
    tp, fp, fn, tn = np.moveaxis(counted.astype(np.float64), -1, 0)
    both = _both(counted)
    return (_ratio(tp, tp + fn, both) + _ratio(tn, tn + fp, both)) / 2


def mcc(counted: np.ndarray) -> np.ndarray:
    """Matthews correlation coefficient of counts (A, 4); 0 if all decisions are alike, nan without labels of both kinds.

    Matthews 1975, "Comparison of the predicted and observed secondary structure of T4 phage lysozyme".
    """
    from sklearn.metrics import matthews_corrcoef

    labels, decided = (1, 0, 1, 0), (1, 1, 0, 0)  # of TP, FP, FN, TN
    defined = zip(counted, _both(counted), strict=True)
    return np.array(
        [matthews_corrcoef(labels, decided, sample_weight=row) if both else np.nan for row, both in defined]
    )


def base_rate(labels: np.ndarray) -> np.ndarray:
    """The share of present among the known labels (N, A), float64 (A,); nan without a known label."""
    known = (labels != UNKNOWN).sum(axis=0)
    return _ratio((labels == 1).sum(axis=0), known, known > 0)


def all_positive_f1(labels: np.ndarray) -> np.ndarray:
    """F1 (A,) of calling every action unit present, 2 r / (1 + r) at base rate r; nan without a positive label."""
    return f1(counts(np.ones(labels.shape, bool), labels))


def auc(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The area under the ROC curve (A,) of scores (N, A), ties counted half; nan without labels of both kinds.

    Also nan if a score of the action unit is not finite.
    """
    return np.array([_auc(column, label) for column, label in zip(scores.T, labels.T, strict=True)], np.float64)


def _auc(scores: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    known = labels != UNKNOWN
    scores, labels = scores[known], labels[known]
    if len(np.unique(labels)) < 2 or not np.isfinite(scores).all():
        return math.nan
    return float(roc_auc_score(labels, scores))


def cross_entropy(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float | None:
    """The mean over known labels (N, A) of weight (A,) times binary cross entropy in nats; None without any.

    Action units of weight 0 are left out of the mean, as in the loss that is minimised.
    """
    counted = (labels != UNKNOWN) & (weights > 0)
    if not counted.any():
        return None
    logits = np.asarray(logits, np.float64)
    losses = np.maximum(logits, 0) - logits * (labels == 1) + np.log1p(np.exp(-np.abs(logits)))
    return float((losses * weights)[counted].mean())


def mean_f1(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """F1 at probability 0.5, averaged over the action units that have a positive label; None without any."""
    return mean_defined(f1(counts(decisions(logits), labels)))


def agreement(logits: np.ndarray, labels: np.ndarray, chosen: np.ndarray | None) -> float | None:
    """The share of the known labels (N, A) among the `chosen`, bool (N, A), that the network reproduces, or None."""
    return None if chosen is None else mean_defined(np.atleast_1d(_agreement(logits, labels, chosen, axis=None)))


def agreement_per_au(logits: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """`agreement` for every action unit, float64 (A,); nan without a chosen known label."""
    return _agreement(logits, labels, chosen, axis=0)


def _agreement(logits: np.ndarray, labels: np.ndarray, chosen: np.ndarray, axis: int | None) -> np.ndarray:
    chosen = chosen & (labels != UNKNOWN)
    count = chosen.sum(axis=axis)
    return _ratio((chosen & (decisions(logits) == (labels == 1))).sum(axis=axis), count, count > 0)


def mean_defined(values: np.ndarray) -> float | None:
    """The mean of the entries (A,) that are not nan, None without any."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def by_name(values: np.ndarray, au_names: Sequence[str]) -> dict[str, float | None]:
    """Values (A,) by action unit, nan as None."""
    return {
        name: None if math.isnan(value) else float(value) for name, value in zip(au_names, values.tolist(), strict=True)
    }


def au_metrics(
    logits: np.ndarray, labels: np.ndarray, au_names: Sequence[str], thresholds: np.ndarray, weights: np.ndarray
) -> dict:
    """`metrics` of scores.json from logits and labels (N, A); `f1_tuned` decides by `thresholds` (A,), the rest by 0.5.

    The loss is weighted by `weights` (A,). A mean is over the action units for which the metric is defined.
    """
    counted = counts(decisions(logits), labels)
    per_au = {
        "f1": f1(counted),
        "f1_tuned": f1(counts(decisions(logits, thresholds), labels)),
        "balanced_accuracy": balanced_accuracy(counted),
        "mcc": mcc(counted),
        "auc": auc(logits, labels),
        "base_rate": base_rate(labels),
        "f1_all_positive": all_positive_f1(labels),
    }
    metrics = {}
    for name, values in per_au.items():
        if name != "base_rate":
            metrics[f"{name}_mean"] = mean_defined(values)
        metrics[name] = by_name(values, au_names)
    return {**metrics, "loss": cross_entropy(logits, labels, weights)}


def undefined(labels: np.ndarray, au_names: Sequence[str], part: str) -> list[str]:
    """A sentence for every action unit with an undefined metric on the labels (N, A) of a `part` such as "test"."""
    found = []
    for name, column in zip(au_names, labels.T, strict=True):
        if not (column != UNKNOWN).any():
            found.append(f"{name}: no known label in the {part} part, so no metric")
        elif not (column == 1).any():
            found.append(f"{name}: no positive label in the {part} part, so no F1, balanced accuracy, MCC or AUC")
        elif not (column == 0).any():
            found.append(f"{name}: no negative label in the {part} part, so no balanced accuracy, MCC or AUC")
    return found


def _both(counted: np.ndarray) -> np.ndarray:
    return (counted[..., TP] + counted[..., FN] > 0) & (counted[..., TN] + counted[..., FP] > 0)


def _ratio(above: np.ndarray, below: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """above / below where `defined`, nan elsewhere."""
    return np.where(defined, above / np.where(defined, below, 1), np.nan)
