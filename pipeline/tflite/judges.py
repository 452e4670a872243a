"""How outputs become decisions, and the metric that compares networks: classes, action units, numbers, or no labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.action_units import metrics
from pipeline.tflite.probabilities import probabilities

# Of the largest output: two steps of an 8-bit grid. Rounding moves an output by half a step; a value in between two codes
# inside of the network, which float sums put on either side, moves it by a step or two.
TOLERANCE = 2 / 127


class Judge(Protocol):
    """Decisions and metric for one kind of labels; every task of pipeline.training implements it."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The decisions from logits (N, K), in any shape with N first."""

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """One number in [0, 1], None where it is undefined."""


class ClassJudge:
    """One of K classes, for an example or for each of its places: the largest logit, and accuracy."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The class (N, ...) with the largest of the logits (N, ..., K)."""
        return logits.argmax(axis=-1)

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """Accuracy; logits (N, ..., K), labels (N, ...)."""
        return accuracy(logits, labels)


class ActionUnitJudge:
    """A action units, each present or absent: probability 0.5, and mean F1."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Whether each action unit is present at probability 0.5, bool (N, A)."""
        return metrics.decisions(logits)

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """Mean F1 at probability 0.5; logits and labels (N, A)."""
        return metrics.mean_f1(logits, labels)


class SignJudge:
    """Yes or no, for an example or for each of its places: probability 0.5, and accuracy."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """Whether a logit stands for at least 0.5, bool of the same shape."""
        return logits >= 0

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """Accuracy; labels 0 or 1 of the shape of the logits, or without their last axis of one."""
        return float(np.mean(self.decide(logits) == labels.reshape(logits.shape))) if len(labels) else None


@dataclass(frozen=True)
class NumberJudge:
    """Regression: R^2, cut off at 0. `final`: the activation that makes the network's numbers of a file's, or None."""

    final: str | None = None

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The numbers themselves; `agreement` allows a difference of TOLERANCE."""
        return logits

    def agreement(self, first: np.ndarray, second: np.ndarray) -> float:
        """The share of numbers that are almost equal."""
        return float(np.mean(np.abs(first - second) <= TOLERANCE * np.abs(first).max()))

    def metric(self, logits: np.ndarray, labels: np.ndarray) -> float | None:
        """1 - squared error / variance of the labels, 0 to 1; None where all labels are equal."""
        labels = labels.reshape(logits.shape).astype(np.float64)
        found = logits if self.final is None else probabilities(logits, self.final)
        spread = np.sum((labels - labels.mean(axis=0)) ** 2)
        return float(np.clip(1 - np.sum((labels - found) ** 2) / spread, 0, 1)) if spread else None


class Unlabelled:
    """Without labels: the largest of several outputs or the sign of one, and no metric."""

    def decide(self, logits: np.ndarray) -> np.ndarray:
        """The index (N, ...) of the largest of (N, ..., K), or whether the only one is not negative."""
        return logits.argmax(axis=-1) if logits.shape[-1] > 1 else logits >= 0

    def metric(self, logits: np.ndarray, labels: None) -> None:
        """None."""


@dataclass(frozen=True)
class Panel:
    """The judge of every output of a network, and its labels or None."""

    judges: Sequence[Judge]
    labels: Sequence[np.ndarray | None]

    def metric(self, outputs: Sequence[np.ndarray]) -> float | None:
        """The mean over the outputs with labels; outputs of the first M examples, each (M, ..., K)."""
        cases = zip(self.judges, outputs, self.labels, strict=True)
        found = [judge.metric(values, known[: len(values)]) for judge, values, known in cases if known is not None]
        found = [value for value in found if value is not None]
        return float(np.mean(found)) if found else None

    def agreement(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
        """The share of equal decisions, mean over the outputs."""
        return float(np.mean([same_decisions(*each) for each in zip(first, second, self.judges, strict=True)]))


def same_decisions(first: np.ndarray, second: np.ndarray, judge: Judge) -> float:
    """The share of equal decisions of two sets of logits (N, ..., K)."""
    if isinstance(judge, NumberJudge):
        return judge.agreement(first, second)
    return float(np.mean(judge.decide(first) == judge.decide(second)))


def judge_of(labels: np.ndarray | None, shape: tuple[int, ...], final: str | None) -> Judge:
    """The judge for the labels of an output of this shape (..., K), of which `final` makes what the network returns."""
    if labels is None:
        return Unlabelled()
    if labels.dtype.kind == "f":
        return NumberJudge(final)
    if labels.shape[1:] == shape[:-1]:
        return ClassJudge() if shape[-1] > 1 else SignJudge()
    return ActionUnitJudge() if len(shape) == 1 else SignJudge()


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Share of labels (N, ...) that the largest of the logits (N, ..., K) reproduces; None without examples."""
    if not len(labels):
        return None
    return float(np.mean(logits.argmax(axis=-1) == labels))
