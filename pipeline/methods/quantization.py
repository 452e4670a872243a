"""Quantization-aware training with the paper's scales."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from pipeline.methods.base import Method

Bits = Annotated[int, Field(ge=2, le=8)]


class LayerBits(BaseModel):
    """Other bit widths for the layers whose name fits a pattern."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    layers: str = Field(min_length=1, description="Glob pattern of layer names, such as s2b*_conv1.")
    weight_bits: Bits | None = Field(None, description="Bits of these layers' weights; null keeps the default.")
    activation_bits: Bits | None = Field(None, description="Bits of these layers' inputs; null keeps the default.")


class Quantization(Method):
    """Train with the weights and activations the device will compute with."""

    name: Literal["quantization"] = "quantization"
    weight_bits: Bits = Field(4, description="Bits of the weights.")
    activation_bits: Bits = Field(4, description="Bits of the activations, that is of the layer inputs.")
    first_last_bits: Bits = Field(8, description="Bits of weights and activations in the first and the last layer.")
    residual_bits: Literal[8, "same"] = Field(8, description="Bits of the residual path: 8, or as the layer's.")
    activation_range: Literal["symmetric", "unsigned"] = Field(
        "symmetric", description="Codes around zero (paper), or from zero up where a ReLU comes before."
    )
    batch_norm: Literal["keep", "fold"] = Field(
        "keep", description="Train with batch norm beside the kernels, or quantize the kernels with it folded in."
    )
    warmup_epochs: int = Field(0, ge=0, description="Float epochs before quantization sets in.")
    ema_momentum: FiniteFloat = Field(
        0.99, ge=0, lt=1, description="Momentum of the moving average of the activation scales used for inference."
    )
    au_bits: dict[str, Bits] = Field(
        {},
        description="Bits of weights and inputs in the hidden layers of an action unit's own head, such as "
        "{AU6: 8, default: 4}; default: every head not named.",
    )
    overrides: list[LayerBits] = Field([], description="Other bits for layers whose name fits a pattern.")

    def wrap(self, model):
        """The quantization-aware copy of a float model."""
        from pipeline.quantization.scheme import quantize

        return quantize(model, self)

    def settled_from(self, epochs: int) -> int:
        """The first epoch that is not float."""
        return self.warmup_epochs

    def before_epoch(self, model, epoch: int, epochs: int) -> bool:
        """Float until the warm-up is over; True where that changes the graph."""
        if not self.warmup_epochs:
            return False
        from pipeline.quantization.model_access import set_enabled

        return set_enabled(model, epoch >= self.warmup_epochs)
