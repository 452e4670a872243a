"""Intervals and tests of the reports against independent NumPy loops."""

import math

import numpy as np
import pytest
from scipy.stats import t

from pipeline.reports.statistics import bootstrap_interval, estimate


def test_interval_and_p_of_students_t():
    values = np.array([0.2, 0.5, 0.9, 0.3])
    found = estimate(values)
    error = math.sqrt(sum((value - values.mean()) ** 2 for value in values) / 3) / 2
    half = 3.182446 * error  # the 97.5 % quantile for 3 degrees of freedom, from a table
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-5)
    assert found.p == pytest.approx(2 * t.sf(values.mean() / error, 3))
    assert (found.n, found.smallest, found.largest) == (4, 0.2, 0.9)


def test_what_is_missing_is_left_out():
    found = estimate([1.0, None, math.nan, 3.0, math.inf])
    assert (found.n, found.mean) == (2, 2.0)
    assert estimate([None]) is None and estimate([]) is None
    single, equal = estimate([0.5]), estimate([0.5, 0.5])
    assert (single.low, single.p) == (None, None)
    assert (equal.low, equal.high, equal.p) == (0.5, 0.5, None)


def test_bootstrap_is_that_of_a_loop():
    values = np.random.default_rng(3).normal(size=12)
    low, high = bootstrap_interval(values, np.mean, seed=5)
    rng = np.random.default_rng(5)
    means = [np.mean([values[row] for row in draw]) for draw in rng.integers(12, size=(2000, 12))]
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert bootstrap_interval(values[:1], np.mean) is None
    assert bootstrap_interval(values, lambda rows: math.nan) is None
