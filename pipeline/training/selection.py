"""Which epoch of a training is selected, and its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.methods.base import History, Method, StoppingRule

if TYPE_CHECKING:
    from pipeline.training.tasks import Task


@dataclass(frozen=True)
class TrainResult:
    """The result of training: a line of metrics per epoch, and the 1-based epoch whose weights the model now has.

    The first `unsettled` epochs trained another network. `details` is what the task reports of the selected weights
    in addition to the line of their epoch.
    """

    history: list[dict]
    epoch_selected: int
    selection: str
    unsettled: int
    details: dict


@dataclass(frozen=True)
class Selection:
    """Selects the last epoch or, with early stopping, the best one on noisy validation labels; never by the test set.

    Early stopping ignores the first `unsettled` epochs, which trained another network (float, or not yet pruned).
    """

    rule: StoppingRule | None
    unsettled: int

    def name(self, history: History) -> str:
        """The name of the rule in scores.json."""
        if self.rule and not self._candidates(history):
            return "last epoch (early stopping had no validation metric to look at)"
        return "early stopping" if self.rule else "last epoch"

    def epoch(self, history: History) -> int:
        """The 1-based epoch selected so far."""
        candidates = self._candidates(history) if self.rule else []
        return self.rule.best_epoch(candidates) if candidates else history[-1]["epoch"]

    def keeps_last(self, history: History) -> bool:
        """Whether to keep the weights of the last epoch as the best so far."""
        return self.rule is not None and self.epoch(history) == history[-1]["epoch"]

    def is_over(self, history: History) -> bool:
        """Whether early stopping ends the training."""
        return self.rule is not None and self.rule.should_stop(self._candidates(history))

    def _candidates(self, history: History) -> list[dict]:
        return [line for line in history if line["epoch"] > self.unsettled and self.rule.is_measured(line)]


def selection_rule(methods: Sequence[Method], epochs: int) -> Selection:
    """The selection of a training of `epochs` with these methods."""
    rule = next((rule for method in methods if (rule := method.stopping_rule())), None)
    return Selection(rule, max([method.settled_from(epochs) for method in methods], default=0))


def oracle(history: History, test_metric: str, unsettled: int = 0) -> dict:
    """The best epoch by the test set, as an upper bound only; None where the metric is undefined.

    It ignores the first `unsettled` epochs, which trained another network (float, or not yet pruned).
    """
    defined = [line for line in history if line["epoch"] > unsettled and line[test_metric] is not None]
    best = max(defined, key=lambda line: line[test_metric], default={test_metric: None, "epoch": None})
    return {test_metric: best[test_metric], "epoch": best["epoch"]}


def scores(result: TrainResult, task: "Task", seed: int, fold: int | None = None) -> dict:
    """The content of scores.json."""
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
