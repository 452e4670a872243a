"""What is learned: the loss of a batch, the metrics of a network, the numbers that make a score."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from pipeline.evaluation import accuracy, multiclass_metrics
from pipeline.training_data import TrainingData

Predict = Callable[[np.ndarray], np.ndarray]  # images uint8 (N, H, W, C) to logits float32 (N, K)


class Task(Protocol):
    """One kind of labels; the training loop knows no other."""

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
        """What scores.json says of the selected weights beyond that line; wins over `score`'s `metrics`."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The decisions of a classifier from its logits (N, K), in any shape with N first."""

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """The one number in [0, 1] that verification compares between networks; None where it is undefined."""


@dataclass(frozen=True)
class Multiclass:
    """One of K classes: softmax cross entropy of one-hot targets that the methods may have smoothed."""

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
        """Losses, accuracies and fits of `pipeline.evaluation.multiclass_metrics`."""
        return multiclass_metrics(predict(data.train_images), predict(data.val_images), predict(data.test_images), data)

    def score(self, line: dict) -> dict:
        """Accuracy in [0, 1] and loss in nats on the clean test set."""
        return {"accuracy": line["test_accuracy"], "loss": line["test_loss"]}

    def details(self, predict: Predict, data: TrainingData) -> dict:
        """Nothing: an epoch's line holds everything."""
        return {}

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The class (N,) with the largest of the logits (N, K)."""
        return logits.argmax(axis=1)

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """Accuracy."""
        return accuracy(logits, labels)
