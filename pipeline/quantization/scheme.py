"""`LowBitQuantizeScheme`: TF-MOT's quantize_apply with the paper's per-channel low-bit quantizers."""

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize import quantize_annotate_model, quantize_apply
from tensorflow_model_optimization.python.core.quantization.keras.quantize import quantize_scope as tfmot_scope
from tensorflow_model_optimization.python.core.quantization.keras.quantize_config import QuantizeConfig
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layout_transform import QuantizeLayoutTransform
from tensorflow_model_optimization.python.core.quantization.keras.quantize_registry import QuantizeRegistry
from tensorflow_model_optimization.python.core.quantization.keras.quantize_scheme import QuantizeScheme
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapper
from tensorflow_model_optimization.python.core.quantization.keras.utils import (
    deserialize_keras_object,
    serialize_keras_object,
)

from pipeline.errors import UserError
from pipeline.models.layers import PadChannels, SeededDropout
from pipeline.quantization.graph import LINEAR
from pipeline.quantization.layers import FoldedBatchNorm, QuantizeTensor
from pipeline.quantization.plan import Plan, TensorPlan, plan
from pipeline.quantization.quantizers import RANGE_NAME, ActivationQuantizer, KernelQuantizer, PixelQuantizer

PREFIX = "quant_"


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
        return cls(**{key: deserialize_keras_object(part, module_objects=globals(), custom_objects=None) if part else None
                      for key, part in config.items()})


def _kernel_name(layer) -> str:
    return "depthwise_kernel" if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else "kernel"


class LowBitQuantizeRegistry(QuantizeRegistry):
    """All decisions are made by the plan, layer by layer; by class nothing is decided."""

    def supports(self, layer):
        return False

    def get_quantize_config(self, layer):
        raise LookupError(f"the plan gives no QuantizeConfig for layer '{layer.name}'")


class LowBitLayout(QuantizeLayoutTransform):
    """Puts the input's and the coarser copies' quantizers into the graph, folds batch norms, assigns QuantizeConfigs."""

    def __init__(self, settings):
        self.settings = settings

    def apply(self, model, layer_quantize_map):
        """The transformed model and, by layer name, the config of every layer that is wrapped."""
        decided = plan(model, self.settings)
        recipe = {"network": model.get_config(), "settings": self.settings.model_dump()}
        rebuilt = _Rebuilder(decided, self.settings, recipe).build(model)
        configs = _layer_configs(decided, self.settings)
        return rebuilt, {name: {"quantize_config": config} for name, config in configs.items()}


class LowBitQuantizeScheme(QuantizeScheme):
    """Per-channel W2..8/A2..8, first and last layer at their own bits; extends TF-MOT's QAT (paper sec. 2.2, 3.2)."""

    def __init__(self, settings):
        self.settings = settings

    def get_layout_transformer(self):
        return LowBitLayout(self.settings)

    def get_quantize_registry(self):
        return LowBitQuantizeRegistry()


def quantize(model, settings):
    """The quantization-aware copy of a functional float model; `settings`: the quantization method's fields.

    Raises UserError that names every unsupported layer.
    """
    plan(model, settings)
    with quantize_scope():
        return quantize_apply(quantize_annotate_model(model), LowBitQuantizeScheme(settings), PREFIX)


def quantize_scope():
    """The scope in which quantized models are saved, cloned and loaded."""
    classes = (LowBitQuantizeConfig, KernelQuantizer, ActivationQuantizer, PixelQuantizer, QuantizeTensor, FoldedBatchNorm,
               PadChannels, SeededDropout)
    return tfmot_scope({cls.__name__: cls for cls in classes})


def _activation_quantizer(tensor: TensorPlan, settings) -> ActivationQuantizer:
    return ActivationQuantizer(tensor.grid.bits, tensor.signed, settings.activation_range == "unsigned",
                               tensor.in_training, settings.ema_momentum)


def _layer_configs(decided: Plan, settings) -> dict[str, LowBitQuantizeConfig]:
    configs = {}
    folded = _folded(decided, settings)
    for end, group in decided.groups.items():
        head = decided.nodes[group.head]
        if head.kind in LINEAR and group.head not in folded:
            depthwise = head.kind == "DepthwiseConv2D"
            configs[group.head] = LowBitQuantizeConfig(KernelQuantizer(decided.weight_bits[group.head], depthwise=depthwise))
        if head.kind != "InputLayer" and end in decided.tensors:
            name = group.head if end == group.batch_norm and group.head in folded else end
            config = configs.setdefault(name, LowBitQuantizeConfig())
            config.output = _activation_quantizer(decided.tensors[end], settings)
    return configs


def _folded(decided: Plan, settings) -> set[str]:
    if settings.batch_norm == "keep":
        return set()
    return {group.head for group in decided.groups.values() if group.batch_norm}


class _Rebuilder:
    """Calls copies of the model's layers again, with the quantizing layers in between."""

    def __init__(self, decided: Plan, settings, recipe: dict):
        self.plan, self.settings, self.recipe = decided, settings, recipe
        self.folded = _folded(decided, settings)
        self.outputs: dict[str, tf.Tensor] = {}
        self.copies: dict[str, tf.Tensor] = {}

    def build(self, model):
        """The transformed model with the weights of `model`."""
        for node in self.plan.nodes.values():
            self.outputs[node.name] = self._call(node)
        inputs = [self.first for node in self.plan.nodes.values() if node.kind == "InputLayer"]
        rebuilt = tf_keras.Model(inputs, [self.outputs[name] for name in model.output_names], name=model.name)
        copy_weights(model, rebuilt)
        return rebuilt

    def _call(self, node):
        if node.kind == "InputLayer":
            self.first = tf_keras.Input(node.layer.input_shape[0][1:], name=node.name)
            return QuantizeTensor(PixelQuantizer(), self.recipe, name=f"{node.name}_quantize")(self.first)
        if node.kind == "BatchNormalization" and node.inputs[0] in self.folded:
            return self.outputs[node.inputs[0]]
        inputs = [self._input(node, source) for source in node.inputs]
        return self._layer(node)(inputs[0] if len(inputs) == 1 else inputs)

    def _layer(self, node):
        layer = _copy(node.layer)
        if node.name not in self.folded:
            return layer
        batch_norm = _copy(self.plan.nodes[node.consumers[0]].layer)
        return FoldedBatchNorm(layer, batch_norm, self.plan.weight_bits[node.name], name=node.name)

    def _input(self, node, source):
        tensor = self.plan.requantized.get(node.name)
        if tensor is None:
            return self.outputs[source]
        name = f"{source}_to_{tensor.grid.bits}_bits"
        if name not in self.copies:
            self.copies[name] = QuantizeTensor(_activation_quantizer(tensor, self.settings), name=name)(self.outputs[source])
        return self.copies[name]


def _copy(layer):
    return layer.__class__.from_config(layer.get_config())


def copy_weights(source, target) -> None:
    """Copy every variable of a float or quantized model into another of the same plain network, by layer name."""
    values = variables_by_layer(source)
    for name, variables in variables_by_layer(target).items():
        for key, variable in variables.items():
            variable.assign(values[name][key])


def variables_by_layer(model) -> dict[str, dict[str, tf.Variable]]:
    """{layer name of the plain network: {"kernel", "bias", "gamma", "beta", "moving_mean", ...: variable}}."""
    found = {}
    for layer in model.layers:
        inner = layer.layer if isinstance(layer, QuantizeWrapper) else layer
        if isinstance(inner, QuantizeTensor):
            continue
        parts = [inner.linear, inner.batch_norm] if isinstance(inner, FoldedBatchNorm) else [inner]
        kernels = {_short_name(weight): weight for weight, _, _ in getattr(layer, "_weight_vars", [])}
        for part in parts:
            variables = {_short_name(variable): variable for variable in part.weights}
            if part is inner:
                variables.update(kernels)
            if variables:
                found[part.name] = variables
    return found


def _short_name(variable) -> str:
    return variable.name.split(":")[0].split("/")[-1]


def recipe_of(model) -> dict | None:
    """{"network": config of the plain network, "settings": fields of the quantization method}; None for a float model."""
    return next((layer.recipe for layer in model.layers if isinstance(layer, QuantizeTensor) and layer.recipe), None)


def settings_of(model):
    """The quantization method's settings a quantized model was made with."""
    from pipeline.methods.quantization import Quantization

    return Quantization(**recipe_of(model)["settings"])


def plain_network(model):
    """A new float network of the architecture a quantized model was made from, with untrained weights."""
    with quantize_scope():
        return tf_keras.Model.from_config(recipe_of(model)["network"])


def float_network(model):
    """The plain float network with the trained weights of a quantized model."""
    network = plain_network(model)
    copy_weights(model, network)
    return network


def range_variables(model) -> dict[str, tf.Variable]:
    """{layer name without prefix: scalar variable with the largest magnitude of its output}."""
    found = {}
    for layer in model.layers:
        variables = getattr(layer, "quantizer_vars", None) or getattr(layer, "_output_quantizer_vars", None) or {}
        if RANGE_NAME in variables:
            found[layer.name.removeprefix(PREFIX)] = variables[RANGE_NAME]
    return found


def rewrap(model, smaller):
    """`smaller` (a float network with layers of the same names) quantized like `model`, with its activation ranges."""
    quantized = quantize(smaller, settings_of(model))
    ranges, quantizers = range_variables(model), kernel_quantizers(model)
    for name, variable in range_variables(quantized).items():
        variable.assign(ranges[name])
    for name, quantizer in kernel_quantizers(quantized).items():
        quantizer.per_channel = quantizers[name].per_channel
    return quantized


def kernel_quantizers(model) -> dict[str, KernelQuantizer]:
    """{linear layer of the plain network: its kernel's quantizer}."""
    found = {}
    for layer in model.layers:
        inner = layer.layer if isinstance(layer, QuantizeWrapper) else layer
        if isinstance(inner, FoldedBatchNorm):
            found[inner.linear.name] = inner.quantizer
        elif getattr(layer, "_weight_vars", None):
            found[inner.name] = layer.quantize_config.kernel
    return found


def use_per_tensor_dense(model) -> None:
    """Give every Dense kernel of a quantized model a single scale (some NPUs take no other); call before training.

    Raises UserError where a batch norm that is not folded in training would need one scale per output.
    """
    decided, settings = plan(plain_network(model), settings_of(model)), settings_of(model)
    quantizers = kernel_quantizers(model)
    for group in decided.groups.values():
        if decided.nodes[group.head].kind != "Dense":
            continue
        if group.batch_norm and settings.batch_norm == "keep":
            raise UserError(f"convert.per_channel_dense: false is impossible for layer '{group.head}': the batch norm behind "
                            "it gives every output its own scale. Set quantization's batch_norm: fold")
        quantizers[group.head].per_channel = False


def set_enabled(model, enabled: bool) -> bool:
    """Switch all rounding on or off (float warm-up); True if that is a change, which traced functions do not notice."""
    quantizers = list(_quantizers(model))
    changed = any(quantizer.enabled != enabled for quantizer in quantizers)
    for quantizer in quantizers:
        quantizer.enabled = enabled
    return changed


def is_enabled(model) -> bool:
    """Whether a quantized model rounds (it does not during float warm-up)."""
    return all(quantizer.enabled for quantizer in kernel_quantizers(model).values())


def _quantizers(model):
    yield from kernel_quantizers(model).values()
    for layer in model.layers:
        if isinstance(layer, QuantizeWrapper) and layer.quantize_config.output:
            yield layer.quantize_config.output
        if isinstance(layer, QuantizeTensor):
            yield layer.quantizer
