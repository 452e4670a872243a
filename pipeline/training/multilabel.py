"""The task of learning action units: each one independently present, absent or unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipeline.action_units import metrics
from pipeline.action_units.intervals import bootstrap_f1, subject_counts
from pipeline.action_units.labels import UNKNOWN
from pipeline.action_units.thresholds import choose_thresholds
from pipeline.config.schema import Loss
from pipeline.tflite.judges import ActionUnitJudge
from pipeline.training.chance import chance_of_action_units, grown_loss
from pipeline.training.data import TrainingData
from pipeline.training.tasks import Predict

Smoother = Callable[[tf.Tensor, int], tf.Tensor]  # Method.smooth

CLASSES = 2  # per action unit: absent and present
DICE_SMOOTHING = 1.0  # keeps the Dice loss of a batch without a positive finite and small


def class_weights(labels: np.ndarray, kind: str) -> np.ndarray:
    """Weights float64 (A,) of mean 1 for training labels (N, A): 1 / base rate, or equal if `kind` is "none".

    An action unit without a positive label has weight 0 and is not learned; the mean is over the others.
    """
    rates = np.nan_to_num(metrics.base_rate(labels))
    learned = rates > 0
    weights = np.where(learned, 1.0 / np.where(learned, rates, 1), 0) if kind == "inverse_frequency" else learned * 1.0
    return weights / weights.sum() * learned.sum() if learned.any() else weights


@dataclass(frozen=True, eq=False)
class Multilabel(ActionUnitJudge):
    """Weighted binary cross entropy of the known labels, plus soft Dice loss of weight `dice`.

    `weights` (A,) come from `class_weights`. Dice follows Milletari et al. 2016, "V-Net", sec. 3, but with plain sums in
    the denominator instead of sums of squares.
    """

    au_names: tuple[str, ...]
    weights: np.ndarray
    dice: float = 0.0
    smoothers: tuple[Smoother, ...] = ()

    name = "multilabel"
    test_metric = "test_f1"
    metric_names = (
        "train_eval_loss", "train_f1", "train_noisy_fit", "train_clean_fit",
        "val_loss", "val_f1", "val_clean_f1", "test_loss", "test_f1", "test_noisy_f1",
    )  # fmt: skip

    def loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The mean over the known labels (B, A) with a weight, 0 if there are none; logits (B, A)."""
        counted = tf.cast((labels != UNKNOWN) & (self.weights > 0), logits.dtype)
        targets = tf.cast(labels == 1, logits.dtype)
        for smooth in self.smoothers:
            targets = smooth(targets, CLASSES)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits) * tf.cast(self.weights, logits.dtype)
        loss = tf.math.divide_no_nan(tf.reduce_sum(losses * counted), tf.reduce_sum(counted))
        return loss + self.dice * _dice_loss(logits, targets, counted) if self.dice else loss

    def evaluate(self, predict: Predict, data: TrainingData) -> dict[str, float | None]:
        """Losses (weighted, without Dice and smoothing), mean F1 at 0.5, and fits to wrong and to correct labels."""
        train, val, test = (predict(images) for images in (data.train_images, data.val_images, data.test_images))
        right = None if data.corrupted is None else ~data.corrupted
        return {
            "train_eval_loss": self._cross_entropy(train, data.train_labels),
            "train_f1": metrics.mean_f1(train, data.train_labels),
            "train_noisy_fit": metrics.agreement(train, data.train_labels, data.corrupted),
            "train_clean_fit": metrics.agreement(train, data.train_labels, right),
            "val_loss": self._cross_entropy(val, data.val_labels),
            "val_f1": metrics.mean_f1(val, data.val_labels),
            "val_clean_f1": _known(metrics.mean_f1, val, data.val_clean_labels),
            "test_loss": self._cross_entropy(test, data.test_labels),
            "test_f1": metrics.mean_f1(test, data.test_labels),
            "test_noisy_f1": _known(metrics.mean_f1, test, data.test_noisy_labels),
        }

    def score(self, line: dict) -> dict:
        """Mean F1 in [0, 1] and loss in nats on the test part."""
        return {"f1_mean": line["test_f1"], "loss": line["test_loss"]}

    def details(self, predict: Predict, data: TrainingData) -> dict:
        """Metrics per action unit against true and noisy test labels, with thresholds and confidence intervals.

        Thresholds come from the noisy labels of the validation subjects, drawn towards 0.5; intervals resample the test
        subjects.
        """
        val, test = predict(data.val_images), predict(data.test_images)
        thresholds, without = choose_thresholds(val, data.val_labels, data.val_subjects, self.au_names)
        counted = self._subject_counts(test, data)
        return {
            "metrics": self._metrics(test, data.test_labels, thresholds),
            "metrics_noisy": _known(self._metrics, test, data.test_noisy_labels, thresholds),
            "thresholds": metrics.by_name(thresholds, self.au_names),
            "intervals": bootstrap_f1(counted) if counted else None,
            "undefined": [
                *self._not_learned(),
                *(f"{name}: {reason}" for name, reason in without.items()),
                *metrics.undefined(data.test_labels, self.au_names, "test"),
            ],
            "subject_counts": counted,
            "not_learned": [name for name, weight in zip(self.au_names, self.weights, strict=True) if weight == 0],
            "test_noisy_fit": _unseen_fit(test, data),
            "train_noisy_fit_per_au": self._noisy_fit(predict, data),
        }

    def no_better_than_chance(self, line: dict, details: dict, data: TrainingData) -> list[str]:
        """AUC against chance, loss against a probability of 0.5 everywhere."""
        guess = self._cross_entropy(np.zeros(data.train_labels.shape), data.train_labels)
        areas = list(details["metrics"]["auc"].values())
        return [*grown_loss(line["train_eval_loss"], guess), *chance_of_action_units(areas, data.test_labels)]

    def _cross_entropy(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        return metrics.cross_entropy(logits, labels, self.weights)

    def _metrics(self, logits: np.ndarray, labels: np.ndarray, thresholds: np.ndarray) -> dict:
        return metrics.au_metrics(logits, labels, self.au_names, thresholds, self.weights)

    def _subject_counts(self, logits: np.ndarray, data: TrainingData) -> dict | None:
        if data.test_subjects is None:
            return None
        return subject_counts(metrics.decisions(logits), data.test_labels, data.test_subjects, self.au_names)

    def _not_learned(self) -> Sequence[str]:
        return [
            f"{name}: no positive label in the training part, so it is not learned (class weight 0)"
            for name, weight in zip(self.au_names, self.weights, strict=True)
            if weight == 0
        ]

    def _noisy_fit(self, predict: Predict, data: TrainingData) -> dict[str, float | None] | None:
        if data.corrupted is None:
            return None
        fits = metrics.agreement_per_au(predict(data.train_images), data.train_labels, data.corrupted)
        return metrics.by_name(fits, self.au_names)


def multilabel_task(data: TrainingData, loss: Loss, smoothers: tuple[Smoother, ...]) -> Multilabel:
    """The task for training labels (N, A), the configuration section `loss`, and the smoothers of the methods."""
    return Multilabel(data.label_names, class_weights(data.train_labels, loss.class_weights), loss.dice, smoothers)


def _unseen_fit(logits: np.ndarray, data: TrainingData) -> float | None:
    """The share of wrong test labels that the network also predicts: `train_noisy_fit` without memorisation."""
    if data.test_noisy_labels is None:
        return None
    known = (data.test_labels != UNKNOWN) & (data.test_noisy_labels != UNKNOWN)
    return metrics.agreement(logits, data.test_noisy_labels, known & (data.test_noisy_labels != data.test_labels))


def _dice_loss(logits: tf.Tensor, targets: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """1 - (2 sum(p y) + 1) / (sum(p) + sum(y) + 1) over the counted labels (B, A), averaged over AUs with any."""
    present, targets = tf.sigmoid(logits) * counted, targets * counted
    overlap = 2 * tf.reduce_sum(present * targets, axis=0) + DICE_SMOOTHING
    total = tf.reduce_sum(present, axis=0) + tf.reduce_sum(targets, axis=0) + DICE_SMOOTHING
    learned = tf.cast(tf.reduce_any(counted > 0, axis=0), logits.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum((1 - overlap / total) * learned), tf.reduce_sum(learned))


def _known(measure: Callable, logits: np.ndarray, labels: np.ndarray | None, *more):
    """`measure(logits, labels, *more)`, None if the labels are unknown."""
    return None if labels is None else measure(logits, labels, *more)
