"""Thresholds against an exhaustive search, and how far few subjects move them from 0.5."""

import os
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pipeline.action_units.metrics import probabilities
from pipeline.action_units.thresholds import best_threshold, choose_thresholds

pytestmark = pytest.mark.filterwarnings("error")


def best(logits: list[float], labels: list[int]) -> float:
    return best_threshold(probabilities(np.array(logits, np.float32)), np.array(labels) == 1)


def chosen(logits: list[float], labels: list[int], subjects: list[str] | None) -> float:
    people = None if subjects is None else np.array(subjects)
    columns = (np.array(values)[:, None] for values in (logits, labels))
    thresholds, reasons = choose_thresholds(*columns, people, ["AU1"])
    assert not reasons
    return thresholds[0]


def looped_f1(labels: np.ndarray, decided: np.ndarray) -> float:
    """F1 of one column; scikit-learn's takes a millisecond, too long for every candidate."""
    hits = sum(labels[decided] == 1)
    errors = sum((labels == 1) != decided)
    return 2 * hits / (2 * hits + errors) if hits else 0.0


def searched(probability: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(the highest F1, the distance from 0.5 of the nearest threshold that has it), of every one there is."""
    levels = np.unique(probability)
    candidates = [*((np.r_[0, levels[:-1]] + levels) / 2), 0.5]
    scores = {level: looped_f1(labels, probability >= level) for level in candidates}
    highest = max(scores.values())
    return highest, min(abs(level - 0.5) for level, score in scores.items() if score == pytest.approx(highest))


@given(st.lists(st.tuples(st.integers(-8, 8), st.sampled_from([0, 1, 1])), min_size=1, max_size=30))
def test_no_threshold_has_a_higher_f1_and_none_as_good_is_nearer_to_a_half(examples: list[tuple[int, int]]):
    logits, labels = (np.array(column) for column in zip(*examples, strict=True))
    if not labels.any():
        return
    probability = probabilities(logits / 2)
    found = best(logits / 2, labels)
    highest, distance = searched(probability, labels)
    assert f1_score(labels, probability >= found, zero_division=0) == pytest.approx(highest)
    assert abs(found - 0.5) == pytest.approx(distance)


def test_a_threshold_lies_between_two_probabilities():
    low, high = probabilities(np.array([-2.0, -1.0]))
    assert best([-3.0, -2.0, -1.0, 1.0], [0, 0, 1, 1]) == pytest.approx((low + high) / 2)


def test_a_half_stays_if_it_is_among_the_best():
    assert best([-1.0, -0.5, 2.0, 3.0], [0, 0, 1, 1]) == 0.5


def test_all_present_is_half_of_the_least_probability():
    assert best([-2.0, -1.0], [1, 0]) == pytest.approx(probabilities(np.array(-2.0)) / 2)


def test_thresholds_against_a_loop():
    """`NIBBLE_TEST_SEED=... pytest` repeats the numbers of a failure."""
    seed = int(os.environ.get("NIBBLE_TEST_SEED") or random.randrange(2**32))
    print(f"NIBBLE_TEST_SEED={seed}")
    rng = np.random.default_rng(seed)
    logits, subjects = rng.normal(size=(60, 8)) * 2 - 0.5, rng.choice(["F1", "F2", "M1", "M2", "M3"], 60)
    labels = rng.choice([0, 1, 9], (60, 8), p=[0.7, 0.1, 0.2])
    labels[0] = 1
    found, reasons = choose_thresholds(logits, labels, subjects, [f"AU{unit}" for unit in range(8)])
    assert not reasons
    for unit, threshold in enumerate(found):
        known = [row for row in range(60) if labels[row, unit] != 9]
        people = {subjects[row] for row in known if labels[row, unit] == 1}
        _, distance = searched(1 / (1 + np.exp(-logits[known, unit])), labels[known, unit])
        assert abs(threshold - 0.5) == pytest.approx(distance * len(people) / (len(people) + 10))


def test_more_subjects_move_a_threshold_further_but_more_frames_do_not():
    logits, labels = [-3.0, -2.0, 2.0, 3.0], [0, 1, 0, 1]
    found = [chosen(logits * people, labels * people, np.repeat(range(people), 4)) for people in (1, 4, 10, 1000)]
    assert sorted(found, reverse=True) == found and found[0] < 0.5
    goal = best(logits, labels)
    assert found[2] == pytest.approx((goal + 0.5) / 2) and found[3] == pytest.approx(goal, abs=0.01)
    assert chosen(logits * 100, labels * 100, ["F1"] * 400) == found[0]


def test_certain_networks_keep_usable_thresholds():
    """Probabilities of exactly 0 and 1 in float64, for which the best threshold is 0."""
    assert 0.3 < chosen([-900.0, 900.0], [1, 0], ["F1", "F2"]) < 0.5


def test_subjects_without_the_action_unit_do_not_count():
    one = chosen([-3.0, -1.0, -2.0], [0, 1, 0], ["F1", "F1", "F1"])
    assert one < 0.5
    assert chosen([-3.0, -1.0, -2.0], [0, 1, 0], ["F1", "F1", "F2"]) == one


def test_unknown_subjects_count_as_one():
    logits, labels = [-3.0, -1.0, -1.5], [0, 1, 1]
    one = chosen(logits, labels, ["F1"] * 3)
    assert chosen(logits, labels, None) == one > chosen(logits, labels, ["F1", "F2", "F3"])


def test_unknown_labels_do_not_count():
    several = chosen([-3.0, -1.0, 5.0, 6.0], [0, 1, 9, 9], ["F1", "F1", "F2", "F3"])
    assert several == chosen([-3.0, -1.0], [0, 1], ["F1", "F1"])


def test_units_without_a_positive_keep_a_half_and_give_a_reason():
    labels = np.array([[0, 9, 1], [9, 9, 0]], np.uint8)
    logits, subjects = np.array([[2.0, 2.0, -2.0]] * 2), np.array(["F1", "F2"])
    thresholds, reasons = choose_thresholds(logits, labels, subjects, ("AU1", "AU2", "AU4"))
    assert thresholds[:2].tolist() == [0.5, 0.5] and thresholds[2] < 0.5
    assert set(reasons) == {"AU1", "AU2"} and all("0.5" in reason for reason in reasons.values())
    assert "no positive label" in reasons["AU1"] and "no known label" in reasons["AU2"]


@pytest.mark.parametrize("subjects", [None, np.zeros(0, "U4")])
def test_no_validation_part_at_all(subjects: np.ndarray | None):
    thresholds, reasons = choose_thresholds(np.zeros((0, 2)), np.zeros((0, 2), np.uint8), subjects, ("AU1", "AU2"))
    assert thresholds.tolist() == [0.5, 0.5] and set(reasons) == {"AU1", "AU2"}
