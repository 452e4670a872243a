"""Early stopping on the noisy validation split, recomputed from metrics.jsonl so that it survives a kill."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method
from pipeline.settings import Conflict

Line = Mapping[str, object]


class EarlyStopping(Method):
    """Stop when the monitored validation metric no longer improves, and keep the best epoch."""

    name: Literal["early_stopping"] = "early_stopping"
    patience: int = Field(10, ge=1, description="Epochs without improvement after which training stops.")
    monitor: Literal["val_loss", "val_accuracy", "val_f1"] = Field(
        "val_loss", description="Metric on the noisy validation split that has to improve."
    )
    min_delta: FiniteFloat = Field(0.0, ge=0, description="Smallest change that counts as an improvement.")

    @property
    def short_title(self) -> str:
        """`early stop`."""
        return "early stop"

    def conflicts(self, experiment) -> Iterator[Conflict]:
        """A monitored metric that is not measured, or a missing validation split."""
        data = experiment.data
        if self.monitor not in ("val_loss", data.validation_metric):
            message = f"is not measured for {data.name}. Use val_loss or {data.validation_metric}"
            yield Conflict(("monitor",), message, (("data", "name"),))
        if data.val_fraction == 0:
            message = "early_stopping needs a validation split. Set data.val_fraction to more than 0, such as 0.1"
            yield Conflict((), message, (("data", "val_fraction"),))
        elif data.task == "multiclass" and data.train_examples and data.train_examples * data.val_fraction < 1:
            message = (
                f"early_stopping needs a validation split, but {data.val_fraction:g} of {data.train_examples} training "
                "images is less than one. Raise data.val_fraction or data.train_examples"
            )
            yield Conflict((), message, (("data", "val_fraction"), ("data", "train_examples")))

    def stopping_rule(self) -> "EarlyStopping":
        """The method itself."""
        return self

    def best_epoch(self, history: Sequence[Line]) -> int:
        """The 1-based epoch of the last improvement in `history`, the lines of metrics.jsonl.

        The first epoch if none has a finite metric; ValueError if `history` is empty.
        """
        if not history:
            raise ValueError("early stopping needs at least one epoch of history")
        best, best_value = int(history[0]["epoch"]), -math.inf
        for epoch, value in self._gains(history):
            if value > best_value + self.min_delta:
                best, best_value = epoch, value
        return best

    def should_stop(self, history: Sequence[Line]) -> bool:
        """Whether the last line of `history` is `patience` or more epochs after the best epoch."""
        return bool(history) and int(history[-1]["epoch"]) - self.best_epoch(history) >= self.patience

    def is_measured(self, line: Line) -> bool:
        """Whether the monitored metric of a line of metrics.jsonl is a finite number."""
        return any(True for _ in self._gains([line]))

    def _gains(self, history: Sequence[Line]) -> Iterator[tuple[int, float]]:
        """(epoch, value to maximise) of the epochs whose monitored metric is a finite number."""
        sign = -1.0 if self.monitor == "val_loss" else 1.0
        for line in history:
            value = line.get(self.monitor)
            if value is not None and math.isfinite(value):
                yield int(line["epoch"]), sign * value
