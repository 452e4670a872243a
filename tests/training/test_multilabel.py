"""The task of action units: its loss and weights against loops, the lines and details of a run against their parts."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipeline.action_units import metrics as au_metrics
from pipeline.methods import LabelSmoothing
from pipeline.runs.files import plain
from pipeline.training.data import TrainingData
from pipeline.training.multilabel import Multilabel, class_weights, multilabel_task

pytestmark = pytest.mark.filterwarnings("error:::pipeline")

AU_NAMES = ("AU1", "AU2", "AU4")
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(40, 3)).astype(np.float32) * 2
LABELS = RANDOM.choice([0, 1, 9], (40, 3), p=[0.5, 0.35, 0.15]).astype(np.uint8)
WEIGHTS = np.array([0.5, 1.5, 1.0])


def part(logits: np.ndarray) -> np.ndarray:
    """Images that carry their logits: three pixels, 16 steps a unit."""
    return np.clip(np.round(logits * 16) + 128, 0, 255).astype(np.uint8)[:, None, :, None]


def predict(images: np.ndarray) -> np.ndarray:
    return (images[:, 0, :, 0].astype(np.float32) - 128) / 16


def data(**changes) -> TrainingData:
    """Parts that differ in everything; 4 test subjects."""
    random = np.random.default_rng(1)
    train, val, test = (random.normal(size=(n, 3)) * 2 for n in (60, 30, 40))
    labels, val_labels, test_labels = ((logits + 0.7 > 0).astype(np.uint8) for logits in (train, val, test))
    corrupted = np.arange(180).reshape(60, 3) % 5 == 0
    labels[7] = val_labels[3] = test_labels[3] = 9
    whole = TrainingData(
        part(train), np.where(corrupted & (labels != 9), 1 - (labels == 1), labels).astype(np.uint8), corrupted,
        part(val), val_labels, 1 - (val_labels == 1), part(test), test_labels, 3,
        test_noisy_labels=(test > 0.4).astype(np.uint8), val_subjects=np.arange(30) // 10,
        test_subjects=np.array([f"F{k // 10:03d}" for k in range(40)]), label_names=AU_NAMES,
    )  # fmt: skip
    return replace(whole, **changes)


def task_of(parts: TrainingData, **loss_section) -> Multilabel:
    section = SimpleNamespace(**({"class_weights": "inverse_frequency", "dice": 0.0} | loss_section))
    return multilabel_task(parts, section, ())


def test_the_task_is_made_from_the_training_labels_and_the_section():
    parts = data()
    task = task_of(parts, class_weights="none", dice=0.25)
    assert task.au_names == AU_NAMES and task.dice == 0.25
    np.testing.assert_array_equal(task.weights, [1, 1, 1])
    np.testing.assert_allclose(task_of(parts).weights, class_weights(parts.train_labels, "inverse_frequency"))


def test_a_line_holds_the_metrics_of_every_part():
    parts = data()
    task = task_of(parts)
    line = task.evaluate(predict, parts)
    assert tuple(line) == task.metric_names and task.test_metric in line
    train, val, test = predict(parts.train_images), predict(parts.val_images), predict(parts.test_images)
    for name, logits in (("train_eval", train), ("val", val), ("test", test)):
        labels = getattr(parts, f"{name.removesuffix('_eval')}_labels")
        assert line[f"{name}_loss"] == pytest.approx(float(task.loss(logits, labels)), rel=1e-5)
    assert line["train_f1"] == au_metrics.mean_f1(train, parts.train_labels)
    assert line["val_f1"] == au_metrics.mean_f1(val, parts.val_labels)
    assert line["val_clean_f1"] == au_metrics.mean_f1(val, parts.val_clean_labels)
    assert line["test_f1"] == au_metrics.mean_f1(test, parts.test_labels)
    assert line["test_noisy_f1"] == au_metrics.mean_f1(test, parts.test_noisy_labels)
    assert len({line[key] for key in line if key.endswith("f1")}) == 5  # the parts differ, so a mix-up would show
    assert task.score(line) == {"f1_mean": line["test_f1"], "loss": line["test_loss"]}


def test_fits_tell_wrong_from_right_labels():
    """A network that says the truth reproduces no wrong label and every right one; one that memorised all does both."""
    parts = data()
    truth = np.where(parts.corrupted, 1 - (parts.train_labels == 1), parts.train_labels == 1)
    line = task_of(parts).evaluate(predict, replace(parts, train_images=part(8.0 * truth - 4)))
    assert (line["train_noisy_fit"], line["train_clean_fit"]) == (0.0, 1.0)
    line = task_of(parts).evaluate(predict, replace(parts, train_images=part(8.0 * (parts.train_labels == 1) - 4)))
    assert (line["train_noisy_fit"], line["train_clean_fit"]) == (1.0, 1.0)


def test_unknown_values_are_none():
    nothing = np.zeros((0, 3), np.uint8)
    unknown = {"corrupted": None, "val_clean_labels": None, "test_noisy_labels": None, "test_subjects": None}
    parts = data(**unknown, val_labels=nothing, val_images=part(nothing))
    line = task_of(parts).evaluate(predict, parts)
    known = {"train_eval_loss", "train_f1", "test_loss", "test_f1"}
    assert {key for key, value in line.items() if value is not None} == known
    details = task_of(parts).details(predict, parts)
    missing = ("metrics_noisy", "intervals", "subject_counts", "train_noisy_fit_per_au", "test_noisy_fit")
    assert [details[key] for key in missing] == [None] * 5
    assert details["thresholds"] == {"AU1": 0.5, "AU2": 0.5, "AU4": 0.5}
    assert all("no known label in the validation part" in sentence for sentence in details["undefined"])


def test_details_hold_metrics_by_unit_with_their_thresholds_and_intervals():
    parts = data()
    task = task_of(parts)
    details = task.details(predict, parts)
    test = predict(parts.test_images)
    assert details["metrics"]["f1_mean"] == task.evaluate(predict, parts)["test_f1"]
    assert details["metrics_noisy"]["f1_mean"] == task.evaluate(predict, parts)["test_noisy_f1"]
    thresholds = np.array(list(details["thresholds"].values()))
    tuned = au_metrics.f1(au_metrics.counts(au_metrics.decisions(test, thresholds), parts.test_labels))
    assert list(details["metrics"]["f1_tuned"].values()) == tuned.tolist()
    assert (thresholds < 0.5).all()  # labels are present from logit -0.7 up
    assert details["metrics"]["f1_tuned_mean"] > details["metrics"]["f1_mean"]
    low, high = details["intervals"]["f1_mean"]
    assert low <= details["metrics"]["f1_mean"] <= high
    assert details["undefined"] == []
    summed = np.sum([list(row.values()) for row in details["subject_counts"].values()], axis=0)
    np.testing.assert_array_equal(summed, au_metrics.counts(test >= 0, parts.test_labels))
    assert sorted(details["subject_counts"]) == ["F000", "F001", "F002", "F003"]
    wrong = parts.corrupted & (parts.train_labels != 9)
    hits = wrong & ((predict(parts.train_images) >= 0) == (parts.train_labels == 1))
    np.testing.assert_allclose(list(details["train_noisy_fit_per_au"].values()), hits.sum(0) / wrong.sum(0))


def test_details_can_be_written_as_they_are():
    parts = data()
    details = task_of(parts).details(predict, parts)
    assert json.loads(json.dumps(details, allow_nan=False)) == plain(details)


def test_an_unknown_and_a_single_class_unit_are_named_not_scored():
    parts = data()
    labels, test_labels = parts.train_labels.copy(), parts.test_labels.copy()
    labels[:, 0], test_labels[:, 0] = 9, 9
    labels[labels[:, 1] == 1, 1] = 0
    test_labels[test_labels[:, 2] == 0, 2] = 1
    parts = replace(parts, train_labels=labels, test_labels=test_labels)
    task = task_of(parts)
    details = task.details(predict, parts)
    assert details["metrics"]["f1"]["AU1"] is None and details["intervals"]["f1"]["AU1"] is None
    assert details["metrics"]["auc"]["AU4"] is None and details["metrics"]["f1"]["AU4"] > 0
    assert details["train_noisy_fit_per_au"]["AU1"] is None
    words = [("AU1", "positive", "training"), ("AU2", "positive", "training"), ("AU1", "known", "test"),
             ("AU4", "negative", "test")]  # fmt: skip
    for sentence, (name, kind, part_name) in zip(details["undefined"], words, strict=True):
        assert sentence.startswith(f"{name}: no {kind} label in the {part_name} part")
    assert details["not_learned"] == ["AU1", "AU2"]
    assert math.isfinite(task.evaluate(predict, parts)["train_eval_loss"])


def test_the_fit_to_wrong_labels_of_unseen_subjects_is_measured_beside():
    parts = data()
    decided, hits = predict(parts.test_images) >= 0, []
    for row in range(40):
        for unit in range(3):
            truth, noisy = parts.test_labels[row, unit], parts.test_noisy_labels[row, unit]
            if 9 not in (truth, noisy) and truth != noisy:
                hits.append(decided[row, unit] == (noisy == 1))
    assert hits and task_of(parts).details(predict, parts)["test_noisy_fit"] == pytest.approx(np.mean(hits))


def test_decisions_and_metric_are_those_at_a_half():
    task = Multilabel(AU_NAMES, WEIGHTS)
    np.testing.assert_array_equal(task.decide(LOGITS), LOGITS >= 0)
    assert task.metric(LOGITS, LABELS) == au_metrics.mean_f1(LOGITS, LABELS)
    assert task.metric(LOGITS[:0], LABELS[:0]) is None


# --- Loss and class weights


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
