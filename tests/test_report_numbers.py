"""The report's statistics and number formats, against independent calculations."""

import math

import numpy as np
import pytest

from pipeline.reporting import words
from pipeline.reporting.read import Run, SeedRun, number
from pipeline.reporting.summary import T_QUANTILES, Spread, compare, curve, missing_seeds, shipped, spread, worst


def seed_run(seed: int, scores: dict | None = None, verification: dict | None = None, epochs: tuple = ()) -> SeedRun:
    return SeedRun(f"seed{seed}", seed, None, epochs, scores or {}, verification or {}, None, None)


def a_run(*seeds: SeedRun, baseline: Run | None = None, config: dict | None = None) -> Run:
    return Run("name", config or {}, "", {}, {}, {}, seeds, baseline, "", ())


def t_mass(quantile: float, degrees: int) -> float:
    """Probability that |t| <= quantile, by integrating the density."""
    t = np.linspace(0, quantile, 200_001)
    scale = math.gamma((degrees + 1) / 2) / math.sqrt(degrees * math.pi) / math.gamma(degrees / 2)
    density = scale * (1 + t**2 / degrees) ** (-(degrees + 1) / 2)
    return 2 * float(np.sum((density[1:] + density[:-1]) / 2) * (t[1] - t[0]))


@pytest.mark.parametrize("degrees", range(1, len(T_QUANTILES) + 1))
def test_t_quantiles_enclose_95_percent(degrees: int):
    assert t_mass(T_QUANTILES[degrees - 1], degrees) == pytest.approx(0.95, abs=1e-4)


def test_interval_of_known_values():
    low, high = Spread((1.0, 2.0, 3.0)).interval()
    assert (low, high) == pytest.approx((2 - 4.303 / math.sqrt(3), 2 + 4.303 / math.sqrt(3)))


def test_one_value_has_no_interval():
    assert Spread((0.5,)).interval() is None


def test_spread_leaves_out_what_is_missing():
    values = spread([None, 3.0, 1.0])
    assert (values.n, values.mean, values.low, values.high) == (2, 2.0, 1.0, 3.0)
    assert spread([None]) is None


def test_differences_are_paired_by_seed_folder():
    baseline = a_run(seed_run(2, {"x": 0.1}), seed_run(3, {"x": 0.9}))
    comparison = compare(a_run(seed_run(1, {"x": 0.7}), seed_run(2, {"x": 0.5}), baseline=baseline), "x")
    assert comparison.method.values == (0.7, 0.5)
    assert comparison.baseline.values == (0.1, 0.9)
    assert comparison.difference.values == (0.4,)


def test_curve_takes_the_seeds_that_reached_an_epoch():
    first = seed_run(1, epochs=({"epoch": 1, "x": 0.2}, {"epoch": 2, "x": 0.4}))
    second = seed_run(2, epochs=({"epoch": 1, "x": 0.6}, {"epoch": 2, "x": None}))
    values = curve(a_run(first, second), "x", factor=100)
    assert values.epochs == (1, 2)
    assert values.mean == pytest.approx((40, 40))
    assert values.low == pytest.approx((20, 40))
    assert values.high == pytest.approx((60, 40))
    assert curve(a_run(first), "y") is None
    assert curve(None, "x") is None


def test_shipped_seed_has_the_best_validation_accuracy():
    seeds = [seed_run(i, {"val_accuracy": v}, {"passed": True}) for i, v in ((1, 0.5), (2, 0.6), (3, 0.6))]
    assert shipped(a_run(*seeds, seed_run(4, {"val_accuracy": 0.9}))).name == "seed2"
    assert shipped(a_run()) is None


def test_worst_over_seeds():
    run = a_run(seed_run(1, {}, {"m": 0.1}), seed_run(2, {}, {"m": 0.3}), seed_run(3))
    assert (worst(run, "m", max), worst(run, "m", min), worst(run, "n", max)) == (0.3, 0.1, None)


def test_missing_seeds_are_those_wanted_or_begun_without_scores():
    run = a_run(seed_run(1, {"x": 1}), seed_run(2), config={"seeds": [1, 2, 3]})
    assert missing_seeds(run) == ("seed3", "seed2")


@pytest.mark.parametrize("value", [None, "1", True, math.nan, math.inf, [1], {"b": 1}])
def test_only_finite_numbers_count(value: object):
    assert number({"a": value}, "a") is None
    assert number({"a": {"b": 3}}, "a", "b") == 3
    assert number(value, "a") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.percent(0.8125), "81.2 %"),
        (words.percent(None), "missing"),
        (words.points(-0.0123), "−1.2 points"),
        (words.points(0.5), "+50.0 points"),
        (words.agreement(1.0), "100 %"),
        (words.agreement(0.99999), "99.99 %"),
        (words.agreement(0.9997), "99.97 %"),
        (words.agreement(0.999), "99.90 %"),
        (words.mismatch(0.0), "0 %"),
        (words.mismatch(0.0000123), "0.0012 %"),
        (words.mismatch(1e-9), "1e-07 %"),
        (words.plain(1234567.0), "1,234,567"),
        (words.plain(0.01234), "0.0123"),
        (words.plain(-12.345), "-12.3"),
        (words.count(10000), "10,000"),
        (words.kilobytes(95231), "95.2 kB"),
        (words.kilobytes(1118400), "1,118 kB"),
        (words.milliseconds(0.0612), "0.0612 ms"),
        (words.duration(7384), "2 h 3 min"),
        (words.duration(64.2), "1 min 4 s"),
        (words.duration(9), "9 s"),
        (words.ratio(28, 100), "28 %"),
        (words.ratio(28, 0), "missing"),
        (words.listing(["a"]), "a"),
        (words.listing(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_in_words(text: str, expected: str):
    assert text == expected
