"""Label smoothing: targets slightly less certain than the labels."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method

if TYPE_CHECKING:
    import tensorflow as tf


class LabelSmoothing(Method):
    """Mix every target with the uniform distribution over the classes."""

    name: Literal["label_smoothing"] = "label_smoothing"
    alpha: FiniteFloat = Field(0.1, ge=0, lt=1, description="Share of the uniform distribution (paper: 0.1).")

    @property
    def title(self) -> str:
        """Such as `label smoothing 0.1`."""
        return f"label smoothing {self.alpha}"

    @property
    def short_title(self) -> str:
        """`smoothing`."""
        return "smoothing"

    def smooth(self, targets: "tf.Tensor", classes: int) -> "tf.Tensor":
        """`(1 - alpha) y + alpha / classes` for targets y of any shape."""
        return (1.0 - self.alpha) * targets + self.alpha / classes
