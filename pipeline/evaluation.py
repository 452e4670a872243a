"""Metrics of a classifier from its logits, in NumPy: what `metrics.jsonl` holds of an epoch."""

import numpy as np

from pipeline.training_data import TrainingData


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean of -log softmax(logits)[label] in nats; logits (N, K), labels (N,); None without examples."""
    if not len(labels):
        return None
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sum - shifted[np.arange(len(labels)), labels]))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of labels (N,) that the largest of the logits (N, K) reproduces; None without examples."""
    if not len(labels):
        return None
    return float(np.mean(logits.argmax(axis=1) == labels))


def fit(logits: np.ndarray, labels: np.ndarray, chosen: np.ndarray | None) -> float | None:
    """`accuracy` on the `chosen` (N,) examples only; None where none is chosen or nobody knows which."""
    if chosen is None:
        return None
    return accuracy(logits[chosen], labels[chosen])


def multiclass_metrics(train: np.ndarray, val: np.ndarray, test: np.ndarray, data: TrainingData) -> dict:
    """The evaluation keys of a line of metrics.jsonl from the logits (N, K) of the three parts; losses in nats.

    `train_noisy_fit` is the memorisation: the share of corrupted training labels that the network reproduces.
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
