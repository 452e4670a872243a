"""Quantization-aware training with the scales of the paper; its settings are in pipeline/quantization/settings.py."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pipeline.methods.base import Method
from pipeline.models.graph import UNIT_RANGE
from pipeline.quantization.settings import LayerBits, QuantizationSettings
from pipeline.settings import Conflict

if TYPE_CHECKING:
    import tf_keras

__all__ = ["LayerBits", "Quantization"]


class Quantization(QuantizationSettings, Method):
    """Train with the weights and activations that the device will use."""

    name: Literal["quantization"] = "quantization"

    @property
    def title(self) -> str:
        """Such as `W4/A4 quantization`."""
        return f"{self.short_title} quantization"

    @property
    def short_title(self) -> str:
        """Such as `W4/A4`."""
        return f"W{self.weight_bits}/A{self.activation_bits}"

    def conflicts(self, experiment) -> Iterator[Conflict]:
        """A warm-up that never ends, or bits of heads that do not exist."""
        epochs = experiment.train.epochs
        if self.warmup_epochs >= epochs:
            message = f"must be less than train.epochs ({epochs}), but is {self.warmup_epochs}"
            yield Conflict(("warmup_epochs",), message, (("train", "epochs"),))
        if self.au_bits and getattr(experiment.model, "heads", None) != "per_au":
            advice = "needs a network with one head per action unit. Write model: {name: au_network, heads: per_au}"
            yield Conflict(("au_bits",), advice, (("model",),))
        for name in experiment.data.unknown_aus(self.au_bits):
            message = f"is not one of the action units in data.aus: {', '.join(experiment.data.au_names)}"
            yield Conflict(("au_bits", name), message, (("data", "aus"),))

    def for_dry_run(self) -> "Quantization":
        """The method without warm-up, so that the only epoch of a dry run is quantized."""
        return self.model_copy(update={"warmup_epochs": 0})

    def wrap(self, model: "tf_keras.Model") -> "tf_keras.Model":
        """The quantization-aware copy of a float model for images in [0, 1]."""
        from pipeline.quantization.scheme import quantize

        return quantize(model, self, input_range=UNIT_RANGE)

    def settled_from(self, epochs: int) -> int:
        """The first quantized epoch."""
        return self.warmup_epochs

    def before_epoch(self, model: "tf_keras.Model", epoch: int, epochs: int) -> bool:
        """Switch quantization on after the warm-up; True if that changes the graph."""
        if not self.warmup_epochs:
            return False
        from pipeline.quantization.model_access import set_enabled

        return set_enabled(model, epoch >= self.warmup_epochs)
