"""Tasks: the loss of a batch and the metrics of a network. Here their protocol, and classification."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from pipeline.tflite.judges import ClassJudge, Judge, accuracy
from pipeline.training.chance import chance_of_classes, grown_loss
from pipeline.training.data import TrainingData

Predict = Callable[[np.ndarray], np.ndarray]  # images uint8 (N, H, W, C) to logits float32 (N, K)


class Task(Judge, Protocol):
    """Everything that the training loop needs to know about the labels."""

    name: str
    metric_names: tuple[str, ...]  # keys of `evaluate`
    test_metric: str  # the key of `evaluate` that the oracle maximises

    def loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The mean loss of a batch, a scalar."""

    def evaluate(self, predict: Predict, data: TrainingData) -> dict[str, float | None]:
        """The evaluation keys of a line of metrics.jsonl."""

    def score(self, line: dict) -> dict:
        """`metrics` of scores.json from the selected line of metrics.jsonl."""

    def details(self, predict: Predict, data: TrainingData) -> dict:
        """Further entries of scores.json for the selected weights; `metrics` replaces that of `score`."""

    def no_better_than_chance(self, line: dict, details: dict, data: TrainingData) -> list[str]:
        """Why the selected weights have learned nothing, from their line of metrics.jsonl and their `details`."""


@dataclass(frozen=True)
class Multiclass(ClassJudge):
    """One of K classes: softmax cross entropy of one-hot targets, which methods may smooth."""

    classes: int
    smoothers: tuple[Callable[[tf.Tensor, int], tf.Tensor], ...] = ()

    name = "multiclass"
    test_metric = "test_accuracy"
    metric_names = (
        "train_eval_loss", "train_accuracy", "train_noisy_fit", "train_clean_fit",
        "val_loss", "val_accuracy", "val_clean_accuracy", "test_loss", "test_accuracy",
    )  # fmt: skip

    def loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Mean cross entropy in nats; logits (B, K), labels int64 (B,)."""
        targets = tf.one_hot(labels, self.classes)
        for smooth in self.smoothers:
            targets = smooth(targets, self.classes)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    def evaluate(self, predict: Predict, data: TrainingData) -> dict[str, float | None]:
        """Losses, accuracies and fits, see `multiclass_metrics`."""
        return multiclass_metrics(predict(data.train_images), predict(data.val_images), predict(data.test_images), data)

    def score(self, line: dict) -> dict:
        """Accuracy in [0, 1] and loss in nats on the clean test set."""
        return {"accuracy": line["test_accuracy"], "loss": line["test_loss"]}

    def details(self, predict: Predict, data: TrainingData) -> dict:
        """Nothing: the line of an epoch contains everything."""
        return {}

    def no_better_than_chance(self, line: dict, details: dict, data: TrainingData) -> list[str]:
        """Accuracy against the most frequent class, loss against equal probabilities."""
        grown = grown_loss(line["train_eval_loss"], math.log(self.classes))
        return [*grown, *chance_of_classes(line["test_accuracy"], data.test_labels)]


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean of -log softmax(logits)[label] in nats; logits (N, K), labels (N,); None without examples."""
    if not len(labels):
        return None
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))


def fit(logits: np.ndarray, labels: np.ndarray, chosen: np.ndarray | None) -> float | None:
    """`accuracy` on the `chosen` (N,) examples; None if that is None or there are none."""
    if chosen is None:
        return None
    return accuracy(logits[chosen], labels[chosen])


def multiclass_metrics(train: np.ndarray, val: np.ndarray, test: np.ndarray, data: TrainingData) -> dict:
    """The evaluation keys of a line of metrics.jsonl from the logits (N, K) of the three parts; losses in nats.

    `train_noisy_fit` measures memorisation: the share of corrupted training labels that the network reproduces.
    """
    correct = None if data.corrupted is None else ~data.corrupted
    return {
        "train_eval_loss": cross_entropy(train, data.train_labels),
        "train_accuracy": accuracy(train, data.train_labels),
        "train_noisy_fit": fit(train, data.train_labels, data.corrupted),
        "train_clean_fit": fit(train, data.train_labels, correct),
        "val_loss": cross_entropy(val, data.val_labels),
        "val_accuracy": accuracy(val, data.val_labels),
        "val_clean_accuracy": accuracy(val, data.val_clean_labels),
        "test_loss": cross_entropy(test, data.test_labels),
        "test_accuracy": accuracy(test, data.test_labels),
    }
