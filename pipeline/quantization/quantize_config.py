"""What TF-MOT asks of a scheme: which tensors of a layer are rounded, and which layers are known."""

import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_config import QuantizeConfig
from tensorflow_model_optimization.python.core.quantization.keras.quantize_registry import QuantizeRegistry
from tensorflow_model_optimization.python.core.quantization.keras.utils import (
    deserialize_keras_object,
    serialize_keras_object,
)

from pipeline.quantization.quantizers import ActivationQuantizer, KernelQuantizer


class LowBitQuantizeConfig(QuantizeConfig):
    """What TF-MOT's wrapper rounds of one layer: its kernel, its output, both or neither."""

    def __init__(self, kernel: KernelQuantizer | None = None, output: ActivationQuantizer | None = None):
        self.kernel, self.output = kernel, output

    def get_weights_and_quantizers(self, layer):
        return [(getattr(layer, _kernel_name(layer)), self.kernel)] if self.kernel else []

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernel:
            setattr(layer, _kernel_name(layer), quantize_weights[0])

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [self.output] if self.output else []

    def get_config(self):
        parts = {"kernel": self.kernel, "output": self.output}
        return {key: serialize_keras_object(part) if part else None for key, part in parts.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{key: _deserialized(part) if part else None for key, part in config.items()})


def _deserialized(part: dict):
    return deserialize_keras_object(part, module_objects=globals(), custom_objects=None)


def _kernel_name(layer) -> str:
    return "depthwise_kernel" if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else "kernel"


class LowBitQuantizeRegistry(QuantizeRegistry):
    """All decisions are made by the plan, layer by layer; by class nothing is decided."""

    def supports(self, layer):
        return False

    def get_quantize_config(self, layer):
        raise LookupError(f"the plan gives no QuantizeConfig for layer '{layer.name}'")
