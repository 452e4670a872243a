"""Metrics against loops over the examples."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.training.data import TrainingData
from pipeline.training.tasks import accuracy, cross_entropy, fit, multiclass_metrics

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(40, 5)).astype(np.float32) * 4
LABELS = RNG.integers(0, 5, 40)


def data(**changes) -> TrainingData:
    images = np.zeros((40, 1, 1, 1), np.uint8)
    corrupted = np.arange(40) % 3 == 0
    whole = TrainingData(images, LABELS, corrupted, images, LABELS, (LABELS + 1) % 5, images, LABELS, 5)
    return replace(whole, **changes)


def test_cross_entropy_is_the_mean_negative_log_probability():
    losses = []
    for row, label in zip(LOGITS.astype(float), LABELS, strict=True):
        losses.append(-math.log(math.exp(row[label]) / sum(math.exp(value) for value in row)))
    assert cross_entropy(LOGITS, LABELS) == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_cross_entropy_of_huge_logits_is_finite():
    assert cross_entropy(np.array([[1e30, 0.0]], np.float32), np.array([1])) == pytest.approx(1e30)


def test_accuracy_counts_the_largest_logit():
    hits = sum(max(range(5), key=lambda k: row[k]) == label for row, label in zip(LOGITS, LABELS, strict=True))
    assert accuracy(LOGITS, LABELS) == hits / 40


def test_fit_looks_at_the_chosen_examples_only():
    chosen = np.arange(40) < 10
    assert fit(LOGITS, LABELS, chosen) == accuracy(LOGITS[:10], LABELS[:10])


def test_metrics_separate_corrupted_from_correct_labels():
    logits = np.eye(5, dtype=np.float32)[np.where(data().corrupted, (LABELS + 1) % 5, LABELS)]
    metrics = multiclass_metrics(logits, logits, logits, data())
    assert metrics["train_noisy_fit"] == 0.0
    assert metrics["train_clean_fit"] == 1.0
    assert metrics["train_accuracy"] == pytest.approx(26 / 40)
    assert metrics["val_clean_accuracy"] == pytest.approx(14 / 40)


@pytest.mark.parametrize("corrupted", [np.zeros(40, bool), None], ids=["no noise", "unknown noise"])
def test_metrics_without_known_noise_have_no_noisy_fit(corrupted):
    metrics = multiclass_metrics(LOGITS, LOGITS, LOGITS, data(corrupted=corrupted))
    assert metrics["train_noisy_fit"] is None
    assert metrics["train_clean_fit"] == (None if corrupted is None else metrics["train_accuracy"])


def test_metrics_without_validation_part_are_none():
    nothing = np.zeros(0, np.int64)
    metrics = multiclass_metrics(LOGITS, LOGITS[:0], LOGITS, data(val_labels=nothing, val_clean_labels=nothing))
    assert [metrics[key] for key in ("val_loss", "val_accuracy", "val_clean_accuracy")] == [None, None, None]
    assert metrics["test_loss"] == cross_entropy(LOGITS, LABELS)
