"""Label smoothing: targets a little less certain than the labels."""

from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method


class LabelSmoothing(Method):
    """Mix every target with the uniform distribution over the classes."""

    name: Literal["label_smoothing"] = "label_smoothing"
    alpha: FiniteFloat = Field(0.1, ge=0, lt=1, description="Share of the uniform distribution (paper: 0.1).")

    def smooth(self, targets, classes: int):
        """`(1 - alpha) y + alpha / classes` for targets y of any shape."""
        return (1.0 - self.alpha) * targets + self.alpha / classes
