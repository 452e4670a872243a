"""Means, intervals and tests over trainings: Student's t by SciPy, and the bootstrap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean of n values (n >= 1) with their range.

    `low` and `high` are its confidence interval and `p` the two-sided probability of such a mean if the true one were
    zero, both None for a single value; `p` is None too where all values are equal.
    """

    mean: float
    smallest: float
    largest: float
    n: int
    low: float | None = None
    high: float | None = None
    p: float | None = None


def estimate(values: pd.Series | Sequence[float]) -> Estimate | None:
    """The mean of the finite values with Student's t interval of level LEVEL; None if there are none.

    The interval takes the values for independent and normally distributed.
    """
    found = np.asarray(values, float)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    base = (float(found.mean()), float(found.min()), float(found.max()), len(found))
    if len(found) < 2:
        return Estimate(*base)
    from scipy.special import stdtr, stdtrit  # Student's t; all of scipy.stats takes a second to import

    error, degrees = float(found.std(ddof=1)) / len(found) ** 0.5, len(found) - 1
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * error
    p = 2 * float(stdtr(degrees, -abs(base[0]) / error)) if error > 0 else None
    return Estimate(*base, base[0] - half, base[0] + half, p)


def bootstrap_interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of `statistic` of rows of `values` (N, ...), from RESAMPLES resamples of the rows.

    None for fewer than two rows, or where the statistic is nowhere defined. Efron 1979.
    """
    values = np.asarray(values)
    if len(values) < 2:
        return None
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    found = np.array([statistic(values[rows]) for rows in draws], float)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
