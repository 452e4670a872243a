"""Which epoch of a run counts, and the scores that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

History = Sequence[dict]  # lines of metrics.jsonl


class StoppingRule(Protocol):
    """What early stopping decides, from the metrics alone."""

    def best_epoch(self, history: History) -> int:
        """The 1-based epoch to keep."""

    def should_stop(self, history: History) -> bool:
        """Whether the last line is the last one needed."""

    def is_measured(self, line: dict) -> bool:
        """Whether the monitored metric of a line is a finite number."""


@dataclass(frozen=True)
class Selection:
    """The last epoch counts; with early stopping the best one on noisy validation labels, never by the test set.

    The first `unsettled` epochs trained another network (float, or not yet pruned): early stopping chooses none.
    """

    rule: StoppingRule | None
    unsettled: int

    def name(self, history: History) -> str:
        """As in scores.json."""
        if self.rule and not self._candidates(history):
            return "last epoch (early stopping had no validation metric to look at)"
        return "early stopping" if self.rule else "last epoch"

    def epoch(self, history: History) -> int:
        """The 1-based epoch that counts so far."""
        candidates = self._candidates(history) if self.rule else []
        return self.rule.best_epoch(candidates) if candidates else history[-1]["epoch"]

    def keeps_last(self, history: History) -> bool:
        """Whether the weights of the last line's epoch have to be kept for the end."""
        return self.rule is not None and self.epoch(history) == history[-1]["epoch"]

    def is_over(self, history: History) -> bool:
        """Whether early stopping ends the run."""
        return self.rule is not None and self.rule.should_stop(self._candidates(history))

    def _candidates(self, history: History) -> list[dict]:
        return [line for line in history if line["epoch"] > self.unsettled and self.rule.is_measured(line)]


def selection_rule(methods: Sequence, epochs: int) -> Selection:
    """The rule of a run of `epochs` with these methods."""
    rule = next((method for method in methods if method.name == "early_stopping"), None)
    return Selection(rule, max([method.settled_from(epochs) for method in methods], default=0))


def oracle(history: History, test_metric: str, unsettled: int = 0) -> dict:
    """The best epoch by the test set: to know what was lost, never a result; None where the metric is undefined.

    Of the epochs after the first `unsettled`, which trained another network (float, or not yet pruned).
    """
    defined = [line for line in history if line["epoch"] > unsettled and line[test_metric] is not None]
    best = max(defined, key=lambda line: line[test_metric], default={test_metric: None, "epoch": None})
    return {test_metric: best[test_metric], "epoch": best["epoch"]}


def scores(result, task, seed: int, fold: int | None = None) -> dict:
    """The content of scores.json from a TrainResult and its Task."""
    line = next(line for line in result.history if line["epoch"] == result.epoch_selected)
    copied = ("val_accuracy", "val_clean_accuracy", "val_f1", "val_clean_f1", "train_noisy_fit", "train_clean_fit")
    return {
        "task": task.name,
        "metrics": task.score(line),
        "epochs_run": len(result.history),
        "seed": seed,
        "fold": fold,
        "selection": result.selection,
        "epoch_selected": result.epoch_selected,
        "oracle": oracle(result.history, task.test_metric, result.unsettled),
        **{key: line[key] for key in copied if key in line},
        "seconds": sum(line["seconds"] for line in result.history),
        **result.details,
    }
