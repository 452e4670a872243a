"""The loss of action units and their weights, against loops over examples and units."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from pipeline.methods import LabelSmoothing
from pipeline.multilabel import Multilabel, class_weights

pytestmark = pytest.mark.filterwarnings("error:::pipeline")

AU_NAMES = ("AU1", "AU2", "AU4")
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(40, 3)).astype(np.float32) * 2
LABELS = RANDOM.choice([0, 1, 9], (40, 3), p=[0.5, 0.35, 0.15]).astype(np.uint8)
WEIGHTS = np.array([0.5, 1.5, 1.0])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def looped_cross_entropy(logits, labels, weights, alpha=0.0) -> float:
    total, number = 0.0, 0
    for row, marks in zip(logits.tolist(), labels.tolist(), strict=True):
        for logit, mark, weight in zip(row, marks, weights, strict=True):
            if mark != 9 and weight > 0:
                target = (1 - alpha) * mark + alpha / 2
                total -= weight * (target * math.log(sigmoid(logit)) + (1 - target) * math.log(sigmoid(-logit)))
                number += 1
    return total / number


def loss(logits=LOGITS, labels=LABELS, **changes) -> float:
    task = replace(Multilabel(AU_NAMES, WEIGHTS), **changes)
    return float(task.loss(tf.constant(logits), tf.constant(labels)))


def test_the_loss_is_the_weighted_mean_over_known_labels():
    assert loss() == pytest.approx(looped_cross_entropy(LOGITS, LABELS, WEIGHTS), rel=1e-5)


def test_smoothing_is_per_label_with_two_classes():
    smoothed = loss(smoothers=(LabelSmoothing(alpha=0.2).smooth,))
    assert smoothed == pytest.approx(looped_cross_entropy(LOGITS, LABELS, WEIGHTS, 0.2), rel=1e-5)


def test_dice_is_the_mean_over_units_of_what_is_known():
    losses = []
    for column in range(3):
        overlap = total = 0.0
        for row in range(40):
            if LABELS[row, column] != 9:
                overlap += sigmoid(LOGITS[row, column]) * LABELS[row, column]
                total += sigmoid(LOGITS[row, column]) + LABELS[row, column]
        losses.append(1 - (2 * overlap + 1) / (total + 1))
    assert loss(dice=0.5) == pytest.approx(loss() + 0.5 * sum(losses) / 3, rel=1e-5)


def test_unknown_labels_and_units_without_weight_have_no_gradient():
    weights = np.array([1.0, 0.0, 2.0])
    task = Multilabel(AU_NAMES, weights, 0.5, (LabelSmoothing(alpha=0.1).smooth,))
    logits = tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = task.loss(logits, tf.constant(LABELS))
    gradient = tape.gradient(value, logits).numpy()
    np.testing.assert_array_equal(gradient == 0, (LABELS == 9) | (weights == 0))


def test_the_value_under_an_unknown_label_does_not_matter():
    other = np.where(LABELS == 9, 77, LOGITS).astype(np.float32)
    assert loss(other, dice=0.5) == pytest.approx(loss(dice=0.5))


@pytest.mark.parametrize("weights", [WEIGHTS, np.zeros(3)])
def test_a_batch_without_a_known_label_costs_nothing(weights: np.ndarray):
    assert loss(labels=np.full((40, 3), 9, np.uint8), weights=weights, dice=0.5) == 0.0


def test_huge_logits_have_a_finite_loss():
    labels = np.array([[0, 1, 1]], np.uint8)
    logits = np.array([[1e4, -1e4, 1e4]], np.float32)
    assert loss(logits, labels) == pytest.approx((0.5e4 + 1.5e4) / 3, rel=1e-5)


def test_weights_are_inverse_base_rates_of_mean_one():
    rates = [(LABELS[:, k] == 1).sum() / (LABELS[:, k] != 9).sum() for k in range(3)]
    inverse = [1 / rate for rate in rates]
    expected = [3 * value / sum(inverse) for value in inverse]
    np.testing.assert_allclose(class_weights(LABELS, "inverse_frequency"), expected)
    np.testing.assert_array_equal(class_weights(LABELS, "none"), [1, 1, 1])


@pytest.mark.parametrize(("kind", "expected"), [("inverse_frequency", [0, 4 / 3, 2 / 3]), ("none", [0, 1, 1])])
def test_a_unit_without_a_positive_has_no_weight(kind: str, expected: list[float]):
    labels = np.array([[0, 1, 1], [9, 0, 1], [0, 0, 0], [0, 0, 0]], np.uint8)
    np.testing.assert_allclose(class_weights(labels, kind), expected)
    labels[:, 0] = 9
    np.testing.assert_allclose(class_weights(labels, kind), expected)


def test_nothing_to_learn_has_no_weight_at_all():
    np.testing.assert_array_equal(class_weights(np.zeros((4, 3), np.uint8), "inverse_frequency"), [0, 0, 0])
