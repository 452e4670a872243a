"""Confidence intervals of F1: a bootstrap over subjects."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.action_units.metrics import counts, f1

SubjectCounts = Mapping[
    str, Mapping[str, Sequence[int]]
]  # by subject and action unit: TP, FP, FN, TN, as in scores.json


def subject_counts(
    decided: np.ndarray, labels: np.ndarray, subjects: np.ndarray, au_names: Sequence[str]
) -> dict[str, dict[str, list[int]]]:
    """TP, FP, FN, TN by subject and action unit of decisions bool (N, A) on labels (N, A) of `subjects` (N,)."""
    found = {}
    for subject in np.unique(subjects):
        own = subjects == subject
        found[str(subject)] = dict(zip(au_names, counts(decided[own], labels[own]).tolist(), strict=True))
    return found


def bootstrap_f1(counted: SubjectCounts, n: int = 2000, seed: int = 0, level: float = 0.95) -> dict:
    """Percentile intervals [low, high] of F1, {"f1_mean": ..., "f1": {name: ...}}, from n resamples of the subjects.

    Frames of a subject resemble each other, so whole subjects are resampled. A resample without a positive label of an
    action unit is left out for it. None where F1 is undefined or there is only one subject. Counts of several folds may
    be pooled. Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    au_names = list(next(iter(counted.values()), {}))
    table = np.array([[row[name] for name in au_names] for row in counted.values()], np.float64)  # (S, A, 4)
    if len(table) < 2:
        return {"f1_mean": None, "f1": dict.fromkeys(au_names)}
    subjects = len(table)
    draws = np.random.default_rng(seed).multinomial(subjects, np.full(subjects, 1 / subjects), size=n)
    resampled = f1((draws @ table.reshape(subjects, -1)).reshape(n, -1, 4))
    return {
        "f1_mean": _interval(_mean(resampled), level),
        "f1": {name: _interval(resampled[:, column], level) for column, name in enumerate(au_names)},
    }


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the action units of (n, A) that are not nan, nan where all are."""
    defined = ~np.isnan(values)
    number = defined.sum(axis=1)
    return np.where(number > 0, np.where(defined, values, 0).sum(axis=1) / np.maximum(number, 1), np.nan)


def _interval(values: np.ndarray, level: float) -> list[float] | None:
    """The central interval that holds the share `level` of the values (n,) that are not nan."""
    values = values[~np.isnan(values)]
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist() if len(values) else None
