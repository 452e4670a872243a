"""The hooks through which a method changes a run; by default each one changes nothing."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from pydantic import BaseModel

from pipeline.settings import STRICT, Conflict

if TYPE_CHECKING:
    import tensorflow as tf
    import tf_keras

History = Sequence[dict]  # lines of metrics.jsonl


class StoppingRule(Protocol):
    """The decisions of early stopping, from the metrics alone."""

    def best_epoch(self, history: History) -> int:
        """The 1-based epoch to keep."""

    def should_stop(self, history: History) -> bool:
        """Whether training ends after the last line."""

    def is_measured(self, line: dict) -> bool:
        """Whether the monitored metric of a line is a finite number."""


class Method(BaseModel):
    """One method of the paper; its fields are its configuration. TensorFlow is imported only inside hooks."""

    model_config = STRICT

    name: str

    @property
    def title(self) -> str:
        """The method with its main setting, as shown in reports, such as `dropout 0.1`."""
        return self.name.replace("_", " ")

    @property
    def short_title(self) -> str:
        """A label of at most 10 letters for charts."""
        return self.name[:10]

    def conflicts(self, experiment) -> Iterator[Conflict]:
        """Conflicts with the rest of the configuration (an Experiment); other keys are relative to its top."""
        yield from ()

    def for_dry_run(self) -> Self:
        """The method adjusted for a single epoch."""
        return self

    def model_options(self) -> dict:
        """Keyword arguments for the network builder."""
        return {}

    def wrap(self, model: "tf_keras.Model") -> "tf_keras.Model":
        """The model to train, made from the float network."""
        return model

    def smooth(self, targets: "tf.Tensor", classes: int) -> "tf.Tensor":
        """The targets of the loss, from probabilities of any shape, each of one of `classes` exclusive classes.

        One-hot targets (B, K) have K classes; action units (B, A) have two each: present and absent.
        """
        return targets

    def penalty(self, model: "tf_keras.Model") -> "tf.Tensor | None":
        """A scalar tensor added to the training loss, or None."""
        return None

    def decoupled_rate(self) -> float:
        """The r of `w -= learning_rate * r * w`, applied to the kernels after each step."""
        return 0.0

    def stopping_rule(self) -> StoppingRule | None:
        """The rule that selects the epoch and ends training; None selects the last epoch."""
        return None

    def before_epoch(self, model: "tf_keras.Model", epoch: int, epochs: int) -> bool:
        """Prepare 0-based `epoch`; True if the training graph must be retraced. Idempotent: called again on resume."""
        return False

    def settled_from(self, epochs: int) -> int:
        """The 0-based epoch from which the network has its final form; early stopping never selects an earlier one."""
        return 0

    def after_step(self, model: "tf_keras.Model") -> None:
        """Runs (traced) at the end of every training step."""

    def export(self, model: "tf_keras.Model") -> "tf_keras.Model":
        """The model to convert, made from the trained one."""
        return model
