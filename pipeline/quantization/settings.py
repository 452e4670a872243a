"""The settings of quantization-aware training (free of TensorFlow): the fields of the method `quantization`."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from pipeline.settings import STRICT

MIN_BITS, MAX_BITS = 2, 8
Bits = Annotated[int, Field(ge=MIN_BITS, le=MAX_BITS)]


class LayerBits(BaseModel):
    """Bit widths of the layers whose name matches a pattern."""

    model_config = STRICT

    layers: str = Field(min_length=1, description="Glob pattern of layer names, such as s2b*_conv1.")
    weight_bits: Bits | None = Field(None, description="Bits of these layers' weights; null keeps the default.")
    activation_bits: Bits | None = Field(None, description="Bits of these layers' inputs; null keeps the default.")

    @model_validator(mode="after")
    def _changes_something(self):
        if self.weight_bits is None and self.activation_bits is None:
            raise ValueError("changes nothing. Give weight_bits, activation_bits or both")
        return self


class QuantizationSettings(BaseModel):
    """Bits, ranges and batch norm of a quantized network, and the epoch at which quantization begins."""

    model_config = STRICT

    weight_bits: Bits = Field(4, description="Bits of the weights.")
    activation_bits: Bits = Field(4, description="Bits of the activations, that is, of the layer inputs.")
    first_last_bits: Bits = Field(8, description="Bits of weights and activations in the first and the last layer.")
    residual_bits: Literal[8, "same"] = Field(8, description="Bits of the residual path: 8, or as the layer's.")
    activation_range: Literal["symmetric", "unsigned"] = Field(
        "symmetric", description="Codes around zero (paper), or from zero up after a ReLU."
    )
    batch_norm: Literal["keep", "fold"] = Field(
        "keep", description="Quantize kernels without batch norm (keep), or with batch norm folded in (fold)."
    )
    warmup_epochs: int = Field(0, ge=0, description="Float epochs before quantization begins.")
    ema_momentum: FiniteFloat = Field(
        0.99, ge=0, lt=1, description="Momentum of the moving average of the activation scales used for inference."
    )
    au_bits: dict[str, Bits] = Field(
        {},
        description="Bits of weights and inputs in the hidden layers of an action unit's head, such as "
        "{AU6: 8, default: 4}; default: every head not named.",
    )
    overrides: list[LayerBits] = Field([], description="Other bits for layers whose name matches a pattern.")
