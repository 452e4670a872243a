"""Dropout: the paper compares rates and where the layer sits."""

from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method


class Dropout(Method):
    """Drop activations at random in training."""

    name: Literal["dropout"] = "dropout"
    rate: FiniteFloat = Field(0.1, ge=0, lt=1, description="Share of the activations dropped (paper: 0.1).")
    position: Literal["head", "blocks", "stages"] = Field(
        "head", description="Before the last layer, in every block, or after every stage."
    )

    def model_options(self) -> dict:
        """`dropout_rate` and `dropout_position` for the network builder."""
        return {"dropout_rate": self.rate, "dropout_position": self.position}
