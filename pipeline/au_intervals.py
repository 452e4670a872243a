"""How sure a result is: bootstrap over subjects, and differences paired by fold and seed."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.au_metrics import counts, f1

SubjectCounts = Mapping[str, Mapping[str, Sequence[int]]]  # subject, unit: TP, FP, FN, TN, as in scores.json


def subject_counts(
    decided: np.ndarray, labels: np.ndarray, subjects: np.ndarray, au_names: Sequence[str]
) -> dict[str, dict[str, list[int]]]:
    """TP, FP, FN, TN by subject and unit of decisions bool (N, A) on labels (N, A) of `subjects` (N,)."""
    found = {}
    for subject in np.unique(subjects):
        own = subjects == subject
        found[str(subject)] = dict(zip(au_names, counts(decided[own], labels[own]).tolist(), strict=True))
    return found


def bootstrap_f1(counted: SubjectCounts, n: int = 2000, seed: int = 0, level: float = 0.95) -> dict:
    """Percentile intervals [low, high] of F1, {"f1_mean": ..., "f1": {unit: ...}}, from n resamples of the subjects.

    Frames of a subject resemble each other, so whole subjects are drawn. A resample without a positive label of a unit
    says nothing of that unit. None where F1 is undefined or there is but one subject. Counts of several folds may be
    pooled. Efron 1979, "Bootstrap methods: another look at the jackknife".
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
    """The mean over the units of (n, A) that are not nan, nan where all are."""
    defined = ~np.isnan(values)
    number = defined.sum(axis=1)
    return np.where(number > 0, np.where(defined, values, 0).sum(axis=1) / np.maximum(number, 1), np.nan)


def _interval(values: np.ndarray, level: float) -> list[float] | None:
    """The central interval that holds the share `level` of the values (n,) that are not nan."""
    values = values[~np.isnan(values)]
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist() if len(values) else None


@dataclass(frozen=True)
class Difference:
    """The mean of n paired differences and its interval; None where there are too few pairs (none, or but one)."""

    mean: float | None
    low: float | None
    high: float | None
    pairs: int


Numbers = Mapping[Hashable, float | None]  # by what runs are paired by, such as (seed, fold)


def paired_difference(values: Numbers, reference: Numbers, level: float = 0.95) -> Difference:
    """The mean of `values` minus `reference` over the keys, such as (fold, seed), that both have a number for.

    The interval is Student's t of the differences, sharing in his assumption: pairs independent, differences normal.
    Runs of one fold share their test subjects, so it is rather too narrow for a claim about other people.
    """
    return _student([value - other for value, other in _pairs(values, reference)], level)


def paired_gain(values: Numbers, reference: Numbers, level: float = 0.95) -> Difference:
    """The mean of (`values` - `reference`) / `reference`, interval as of `paired_difference`; a reference of 0 has none."""
    return _student([(value - other) / other for value, other in _pairs(values, reference) if other], level)


def _pairs(values: Numbers, reference: Numbers) -> list[tuple[float, float]]:
    found = [(value, reference.get(key)) for key, value in values.items()]
    return [(value, other) for value, other in found if value is not None and other is not None]


def _student(differences: Sequence[float], level: float) -> Difference:
    from scipy.stats import t

    n = len(differences)
    if n < 2:
        return Difference(float(differences[0]) if n else None, None, None, n)
    mean = float(np.mean(differences))
    half = float(t.ppf((1 + level) / 2, n - 1) * np.std(differences, ddof=1) / math.sqrt(n))
    return Difference(mean, mean - half, mean + half, n)
