"""Label smoothing: targets a little less certain than the labels."""

from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method


class LabelSmoothing(Method):
    """Mix every one-hot target with the uniform distribution over the classes."""

    name: Literal["label_smoothing"] = "label_smoothing"
    alpha: FiniteFloat = Field(0.1, ge=0, lt=1, description="Share of the uniform distribution (paper: 0.1).")

    def smooth(self, targets):
        """`(1 - alpha) y + alpha / K` for one-hot targets y (B, K)."""
        classes = targets.shape[-1]
        return (1.0 - self.alpha) * targets + self.alpha / classes
