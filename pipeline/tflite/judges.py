"""How logits become decisions, and the metric that compares networks: for classes and for action units."""

from typing import Protocol

import numpy as np

from pipeline.action_units import metrics


class Judge(Protocol):
    """Decisions and metric for one kind of labels; every task of pipeline.training implements it."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The decisions from logits (N, K), in any shape with N first."""

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """One number in [0, 1], None where it is undefined."""


class ClassJudge:
    """One of K classes: the largest logit, and accuracy."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The class (N,) with the largest of the logits (N, K)."""
        return logits.argmax(axis=1)

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """Accuracy; logits (N, K), labels (N,)."""
        return accuracy(logits, labels)


class ActionUnitJudge:
    """A action units, each present or absent: probability 0.5, and mean F1."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Whether each action unit is present at probability 0.5, bool (N, A)."""
        return metrics.decisions(logits)

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """Mean F1 at probability 0.5; logits and labels (N, A)."""
        return metrics.mean_f1(logits, labels)


def judge_of(labels: np.ndarray) -> Judge:
    """The judge for labels (N,) classes or (N, A) action units."""
    return ClassJudge() if labels.ndim == 1 else ActionUnitJudge()


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of labels (N,) that the largest of the logits (N, K) reproduces; None without examples."""
    if not len(labels):
        return None
    return float(np.mean(logits.argmax(axis=1) == labels))
