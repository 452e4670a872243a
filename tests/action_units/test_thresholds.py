"""Thresholds against an exhaustive search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pipeline.action_units.metrics import choose_thresholds, probabilities

pytestmark = pytest.mark.filterwarnings("error")


def choose(logits: list[float], labels: list[int]) -> float:
    thresholds, reasons = choose_thresholds(np.array(logits, np.float32)[:, None], np.array(labels)[:, None], ["AU1"])
    assert not reasons
    return thresholds[0]


def looped_f1(labels: np.ndarray, decided: np.ndarray) -> float:
    """F1 of one column; scikit-learn's takes a millisecond, too long for every candidate."""
    hits = sum(labels[decided] == 1)
    errors = sum((labels == 1) != decided)
    return 2 * hits / (2 * hits + errors) if hits else 0.0


@given(st.lists(st.tuples(st.integers(-8, 8), st.sampled_from([0, 1, 1, 9])), min_size=1, max_size=30))
def test_no_threshold_has_a_higher_f1_and_none_as_good_is_nearer_to_a_half(examples: list[tuple[int, int]]):
    logits, labels = (np.array(column) for column in zip(*examples, strict=True))
    logits, labels = logits[labels != 9] / 2, labels[labels != 9]
    if not (labels == 1).any():
        return
    found = choose(logits, labels)
    probability = probabilities(logits)
    levels = np.unique(probability)
    candidates = [*((np.r_[0, levels[:-1]] + levels) / 2), 0.5]
    scores = {level: looped_f1(labels, probability >= level) for level in candidates}
    best = max(scores.values())
    assert f1_score(labels, probability >= found, zero_division=0) == pytest.approx(best)
    nearest = min(abs(level - 0.5) for level, score in scores.items() if score == pytest.approx(best))
    assert abs(found - 0.5) == pytest.approx(nearest)


def test_a_threshold_lies_between_two_probabilities():
    low, high = probabilities(np.array([-2.0, -1.0]))
    assert choose([-3.0, -2.0, -1.0, 1.0], [0, 0, 1, 1]) == pytest.approx((low + high) / 2)


def test_a_half_stays_if_it_is_among_the_best():
    assert choose([-1.0, -0.5, 2.0, 3.0], [0, 0, 1, 1]) == 0.5


def test_all_present_is_half_of_the_least_probability():
    assert choose([-2.0, -1.0], [1, 0]) == pytest.approx(probabilities(np.array(-2.0)) / 2)


def test_unknown_labels_do_not_count():
    assert choose([-3.0, -1.0, 5.0, 6.0], [0, 1, 9, 9]) == choose([-3.0, -1.0], [0, 1])


def test_units_without_a_positive_keep_a_half_and_give_a_reason():
    labels = np.array([[0, 9, 1], [9, 9, 0]], np.uint8)
    thresholds, reasons = choose_thresholds(np.array([[2.0, 2.0, -2.0]] * 2), labels, ("AU1", "AU2", "AU4"))
    assert thresholds[:2].tolist() == [0.5, 0.5] and thresholds[2] < 0.5
    assert set(reasons) == {"AU1", "AU2"} and all("0.5" in reason for reason in reasons.values())
    assert "no positive label" in reasons["AU1"] and "no known label" in reasons["AU2"]


def test_no_validation_part_at_all():
    thresholds, reasons = choose_thresholds(np.zeros((0, 2)), np.zeros((0, 2), np.uint8), ("AU1", "AU2"))
    assert thresholds.tolist() == [0.5, 0.5] and set(reasons) == {"AU1", "AU2"}
