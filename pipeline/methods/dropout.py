"""Dropout; the paper compares rates and positions of the layer."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, FiniteFloat

from pipeline.methods.base import Method
from pipeline.settings import Conflict


class Dropout(Method):
    """Drop random activations in training."""

    name: Literal["dropout"] = "dropout"
    rate: FiniteFloat = Field(0.1, ge=0, lt=1, description="Share of the activations dropped (paper: 0.1).")
    position: Literal["head", "blocks", "stages"] = Field(
        "head", description="Before the last layer, in every block, or after every stage."
    )

    @property
    def title(self) -> str:
        """Such as `dropout 0.1`."""
        return f"dropout {self.rate}"

    def conflicts(self, experiment) -> Iterator[Conflict]:
        """A position that the network does not have."""
        if self.position != "head" and experiment.model.name == "keras":
            message = "only resnet20 and small_resnet have blocks and stages. Use head, or Dropout layers of your own"
            yield Conflict(("position",), message, (("model", "name"),))
            return
        encoder = getattr(experiment.model, "encoder", "small_resnet")
        if self.position != "head" and encoder != "small_resnet":
            message = f"{encoder} has dropout in its heads only. Use head, or small_resnet"
            yield Conflict(("position",), message, (("model", "encoder"),))

    def model_options(self) -> dict:
        """`dropout_rate` and `dropout_position` for the network builder."""
        return {"dropout_rate": self.rate, "dropout_position": self.position}
