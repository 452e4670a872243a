"""The temporal median and the neutral baseline against loops in NumPy."""

import numpy as np

from pipeline.detect import Detector
from pipeline.detect.values import NeutralBaseline, TemporalMedian
from tests.detect.detect_samples import MODEL, scene

VALUES = np.random.default_rng(5).uniform(size=(20, 3))


def test_the_median_looks_back():
    median = TemporalMedian(5)
    for index, value in enumerate(VALUES):
        other = median(1, 1 - value)
        expected = np.sort(VALUES[max(0, index - 4) : index + 1], axis=0)
        length = len(expected)
        middle = (expected[(length - 1) // 2] + expected[length // 2]) / 2
        np.testing.assert_allclose(median(0, value), middle)
        np.testing.assert_allclose(other, 1 - middle)


def test_a_forgotten_face_starts_again():
    median, baseline = TemporalMedian(3), NeutralBaseline(1.0)
    for time in (0.0, 0.5):
        median(4, VALUES[0])
        baseline(4, VALUES[0], time)
    median.keep({7})
    baseline.keep({7})
    np.testing.assert_array_equal(median(4, VALUES[1]), VALUES[1])
    np.testing.assert_array_equal(baseline(4, VALUES[1], 9.0), np.zeros(3))


def test_the_baseline_is_the_median_of_the_first_seconds():
    baseline = NeutralBaseline(0.4)
    for index, value in enumerate(VALUES):
        time = 3.0 + index / 10
        neutral = np.median(VALUES[: min(index, 3) + 1], axis=0)
        expected = [max(0.0, p - n) / max(1 - n, 0.5) for p, n in zip(value, neutral, strict=True)]
        np.testing.assert_allclose(baseline(0, value, time), expected)


def test_extremes_of_the_baseline():
    baseline = NeutralBaseline(1.0)
    np.testing.assert_array_equal(baseline(0, np.array([0.0, 0.5, 1.0]), 0.0), [0, 0, 0])
    np.testing.assert_allclose(baseline(0, np.array([1.0, 1.0, 1.0]), 5.0), [1, 1, 0])
    baseline(1, np.full(3, 0.99), 0.0)
    np.testing.assert_allclose(baseline(1, np.full(3, 0.999), 5.0), 0.018)
    np.testing.assert_array_equal(NeutralBaseline(0.0)(0, VALUES[0], None), VALUES[0])


def test_a_smile_that_lasts_from_the_start_counts_as_neutral():
    plain, calibrated = Detector(MODEL), Detector(MODEL, calibrate=0.5, smooth=3)
    for step in range(5):
        (before,) = plain.frame(scene((80, 30)), step / 10)
        (after,) = calibrated.frame(scene((80, 30)), step / 10)
    assert before.present["AU12"] and not after.present["AU12"]
    assert max(after.probabilities.values()) < 0.2
