"""Quantize a Keras model: TF-MOT's quantize_apply with the paper's per-channel low-bit quantizers and their layout transform."""

from pathlib import Path

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.graph import LINEAR, Node
from pipeline.models.inference import check_image_network
from pipeline.quantization.folding import range_name
from pipeline.quantization.layers import FoldedBatchNorm, QuantizeTensor
from pipeline.quantization.model_access import (
    PREFIX,
    copy_weights,
    float_network,
    kernel_quantizers,
    plan_of,
    quantize_scope,
    range_variables,
    recipe_for,
    recipe_of,
    remember_plan,
    settings_of,
)
from pipeline.quantization.plan import Plan, TensorPlan, plan
from pipeline.quantization.quantizers import (
    ActivationQuantizer,
    CopyQuantizer,
    KernelQuantizer,
    LowBitQuantizeConfig,
    LowBitQuantizeRegistry,
    PixelQuantizer,
    PoolQuantizer,
)
from pipeline.quantization.settings import QuantizationSettings
from pipeline.quantization.tfmot import (
    QuantizeLayoutTransform,
    QuantizeScheme,
    QuantizeWrapper,
    quantize_annotate_model,
    quantize_apply,
)
from pipeline.settings import checked_settings


class LowBitQuantizeScheme(QuantizeScheme):
    """Extends TF-MOT's QAT to 2 to 8 bits, per channel, with other bits for first and last layer (paper sec. 2.2, 3.2)."""

    def __init__(self, settings: QuantizationSettings):
        self.settings = settings

    def get_layout_transformer(self):
        return LowBitLayout(self.settings)

    def get_quantize_registry(self):
        return LowBitQuantizeRegistry()


def quantize(model: tf_keras.Model, settings: QuantizationSettings | None = None, **fields: object) -> tf_keras.Model:
    """A quantization-aware copy of a functional or Sequential float model, with its weights; train it as usual.

    It takes float images (B, H, W, C) in [0, 1]. Pass `settings`, or its fields as keyword
    arguments (weight_bits=4, ...). Raises UserError for invalid arguments, and for unsupported layers, naming each.
    """
    settings = checked_settings(QuantizationSettings, settings, fields, "quantize")
    check_image_network(model, "quantize")
    if recipe_of(model):
        raise UserError("quantize: this model is already quantized; pass the float model")
    decided = plan(model, settings)
    functional = tf_keras.Model(model.inputs, model.outputs, name=model.name)
    with quantize_scope():
        quantized = quantize_apply(quantize_annotate_model(functional), LowBitQuantizeScheme(settings), PREFIX)
    for layer in quantized.layers:
        if isinstance(layer, QuantizeWrapper):
            _own_kernel_only(layer)
    remember_plan(quantized, decided)
    return quantized


def _own_kernel_only(wrapper: QuantizeWrapper) -> None:
    """TF-MOT registers the weights of a built layer twice in its wrapper; a .keras file could then not be loaded."""
    wrapper._trainable_weights[:] = [kernel for kernel, _, _ in wrapper._weight_vars]


def load_quantized(path: str | Path) -> tf_keras.Model:
    """Load a quantized model written by `model.save` (.keras or .h5); it trains and converts as before.

    Raises UserError if the file cannot be read or holds a float model.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file. Pass a file written by model.save")
    try:
        with quantize_scope():
            model = tf_keras.models.load_model(path)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a readable Keras model: {str(error).splitlines()[0]}") from error
    if recipe_of(model) is None:
        raise UserError(f"{path}: holds a float model, not a quantized one; load it with tf_keras and quantize it")
    return model


def rewrap(model: tf_keras.Model, smaller: tf_keras.Model) -> tf_keras.Model:
    """`smaller` (a float network with the same layer names) quantized like `model`, with its activation ranges."""
    return _with_ranges_of(model, quantize(smaller, settings_of(model)))


def with_au_bits(model: tf_keras.Model, au_bits: dict[str, int]) -> tf_keras.Model:
    """A copy of a quantized `model` with other bits in its heads; weights and ranges stay as trained."""
    settings = settings_of(model).model_copy(update={"au_bits": au_bits})
    return _with_ranges_of(model, quantize(float_network(model), settings))


def _with_ranges_of(model: tf_keras.Model, quantized: tf_keras.Model) -> tf_keras.Model:
    """`quantized` with the ranges and kernel scales of `model`; a new coarser copy gets the range of its tensor."""
    ranges, quantizers, decided = range_variables(model), kernel_quantizers(model), plan_of(quantized)
    copied = {
        decided.copy_name(name): decided.owner(decided.source(decided.nodes[name].inputs[0]))
        for name in decided.requantized
    }
    for name, variable in range_variables(quantized).items():
        variable.assign(ranges[name] if name in ranges else ranges[range_name(decided, copied[name], ranges)])
    for name, quantizer in kernel_quantizers(quantized).items():
        quantizer.per_channel = quantizers[name].per_channel
    return quantized


def has_per_channel_dense(model: tf_keras.Model) -> bool:
    """Whether any Dense kernel of a quantized model has a scale per output."""
    nodes, quantizers = plan_of(model).nodes, kernel_quantizers(model)
    return any(quantizers[name].per_channel for name in quantizers if nodes[name].kind == "Dense")


def use_per_tensor_dense(model: tf_keras.Model) -> None:
    """Use one scale per Dense kernel of a quantized model (some NPUs require it); call before training.

    Raises UserError where a batch norm that is not folded in training would need one scale per output.
    """
    decided, settings = plan_of(model), settings_of(model)
    quantizers = kernel_quantizers(model)
    for group in decided.groups.values():
        if decided.nodes[group.head].kind != "Dense":
            continue
        if group.batch_norm and settings.batch_norm == "keep":
            raise UserError(
                f"convert.per_channel_dense: false is impossible for layer '{group.head}': the batch norm "
                "after it gives every output its own scale. Set batch_norm: fold in quantization"
            )
        quantizers[group.head].per_channel = False


class LowBitLayout(QuantizeLayoutTransform):
    """Inserts quantizers of the input and of coarser copies, folds batch norms, and assigns QuantizeConfigs."""

    def __init__(self, settings: QuantizationSettings):
        self.settings = settings

    def apply(self, model, layer_quantize_map):
        """The transformed model, and the config of every wrapped layer by name."""
        decided = plan(model, self.settings)
        rebuilt = _Rebuilder(decided, self.settings, recipe_for(model, self.settings)).build(model)
        configs = _layer_configs(decided, self.settings)
        return rebuilt, {name: {"quantize_config": config} for name, config in configs.items()}


def _layer_configs(decided: Plan, settings: QuantizationSettings) -> dict[str, LowBitQuantizeConfig]:
    configs = {}
    folded = _folded(decided, settings)
    for end, group in decided.groups.items():
        head = decided.nodes[group.head]
        if head.kind in LINEAR and group.head not in folded:
            bits, depthwise = decided.weight_bits[group.head], head.kind == "DepthwiseConv2D"
            configs[group.head] = LowBitQuantizeConfig(KernelQuantizer(bits, depthwise=depthwise))
        if head.kind != "InputLayer" and end in decided.tensors:
            name = group.head if end == group.batch_norm and group.head in folded else end
            kind = PoolQuantizer if end in decided.tied else ActivationQuantizer
            configs.setdefault(name, LowBitQuantizeConfig()).output = _quantizer(kind, decided.tensors[end], settings)
    return configs


def _quantizer(kind: type, tensor: TensorPlan, settings: QuantizationSettings) -> ActivationQuantizer:
    return kind(tensor.grid.bits, tensor.signed, tensor.grid.uses_all_codes, tensor.in_training, settings.ema_momentum)


def _folded(decided: Plan, settings: QuantizationSettings) -> set[str]:
    if settings.batch_norm == "keep":
        return set()
    return {group.head for group in decided.groups.values() if group.batch_norm}


class _Rebuilder:
    """Rebuilds the graph from copies of the model's layers, with quantizing layers in between."""

    def __init__(self, decided: Plan, settings: QuantizationSettings, recipe: dict[str, str]):
        self.plan, self.settings, self.recipe = decided, settings, recipe
        self.folded = _folded(decided, settings)
        self.outputs: dict[str, tf.Tensor] = {}
        self.copies: dict[str, tf.Tensor] = {}

    def build(self, model):
        """The transformed model with the weights of `model`."""
        for node in self.plan.nodes.values():
            self.outputs[node.name] = self._call(node)
        rebuilt = tf_keras.Model(self.first, self.outputs[model.output_names[0]], name=model.name)
        copy_weights(model, rebuilt)
        return rebuilt

    def _call(self, node: Node) -> tf.Tensor:
        if node.kind == "InputLayer":
            self.first = tf_keras.Input(node.layer.input_shape[0][1:], name=node.name)
            return QuantizeTensor(PixelQuantizer(), self.recipe, name=f"{node.name}_quantize")(self.first)
        if node.kind == "BatchNormalization" and node.inputs[0] in self.folded:
            return self.outputs[node.inputs[0]]
        inputs = [self._input(node, source) for source in node.inputs]
        return self._layer(node)(inputs[0] if len(inputs) == 1 else inputs)

    def _layer(self, node: Node):
        layer = _copy(node.layer)
        if node.name not in self.folded:
            return layer
        batch_norm = _copy(self.plan.nodes[node.consumers[0]].layer)
        return FoldedBatchNorm(layer, batch_norm, self.plan.weight_bits[node.name], name=node.name)

    def _input(self, node: Node, source: str) -> tf.Tensor:
        tensor = self.plan.requantized.get(node.name)
        if tensor is None:
            return self.outputs[source]
        name = self.plan.copy_name(node.name)
        if name not in self.copies:
            quantizer = _quantizer(CopyQuantizer, tensor, self.settings)
            self.copies[name] = QuantizeTensor(quantizer, name=name)(self.outputs[source])
        return self.copies[name]


def _copy(layer):
    return layer.__class__.from_config(layer.get_config())
