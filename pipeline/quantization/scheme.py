"""Quantize a Keras model: TF-MOT's quantize_apply with the paper's per-channel low-bit quantizers and their layout transform."""

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.canonical import canonical, like
from pipeline.models.graph import LINEAR, Node, Output, Range
from pipeline.models.inference import check_keras, check_network
from pipeline.models.input_range import Declared, ranges_for
from pipeline.models.names import free_name
from pipeline.models.refusals import check_layers
from pipeline.quantization.folding import range_name
from pipeline.quantization.layers import FoldedBatchNorm, QuantizeTensor, QuantizeWrapperV2
from pipeline.quantization.model_access import (
    copy_weights,
    float_network,
    kernel_quantizers,
    plan_of,
    quantize_scope,
    range_variables,
    ranges_of,
    recipe_for,
    recipe_of,
    remember_plan,
    settings_of,
)
from pipeline.quantization.plan import Plan, TensorPlan, plan
from pipeline.quantization.quantizers import (
    ActivationQuantizer,
    CopyQuantizer,
    InputQuantizer,
    KernelQuantizer,
    LowBitQuantizeConfig,
    LowBitQuantizeRegistry,
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

    def __init__(self, settings: QuantizationSettings, ranges: dict[str, Range]):
        self.settings, self.ranges = settings, ranges

    def get_layout_transformer(self):
        return LowBitLayout(self.settings, self.ranges)

    def get_quantize_registry(self):
        return LowBitQuantizeRegistry()


def quantize(
    model: tf_keras.Model,
    settings: QuantizationSettings | None = None,
    *,
    input_range: Declared = None,
    **fields: object,
) -> tf_keras.Model:
    """A quantization-aware copy of a functional or Sequential float model, with its weights; train it as usual.

    It takes images (B, H, W, C), sequences (B, T, C) or vectors (B, F). Pass `settings`, or its fields as keyword arguments
    (weight_bits=4, ...). `input_range`: the smallest and largest value that the network takes, such as (-1, 1), or {input
    name: pair}; without it (0, 255) where a Rescaling or Normalization for pixels begins the network, else (0, 1). A range
    is widened until it contains 0. Data that leave it are an error in training. Raises UserError for invalid arguments, and
    for unsupported layers, naming each.
    """
    settings = checked_settings(QuantizationSettings, settings, fields, "quantize")
    check_keras(model, "quantize")
    if recipe_of(model):
        raise UserError("quantize: this model is already quantized; pass the float model")
    check_layers(model)
    check_network(model, "quantize")
    network = canonical(model)
    ranges = ranges_for(model, network, input_range)
    decided, scheme = plan(network, settings, ranges), LowBitQuantizeScheme(settings, ranges)
    with quantize_scope():
        quantized = quantize_apply(quantize_annotate_model(network), scheme, _prefix(network))
    for layer in quantized.layers:
        if isinstance(layer, QuantizeWrapper):
            _adopt(layer)
    if len(model.outputs) > 1:
        quantized = _with_names(quantized, model.output_names)
    remember_plan(quantized, decided)
    return quantized


def _with_names(quantized: tf_keras.Model, names: list[str]) -> tf_keras.Model:
    """A model whose outputs have these names, by which losses are given; TF-MOT renames the layers that it wraps."""
    taken = {layer.name for layer in quantized.layers}
    outputs = [
        tensor if name in taken else tf_keras.layers.Activation("linear", name=name)(tensor)
        for tensor, name in zip(quantized.outputs, names, strict=True)
    ]
    return tf_keras.Model(quantized.input, like(quantized.output, outputs), name=quantized.name)


def _prefix(network: tf_keras.Model) -> str:
    """What TF-MOT puts before the names of the layers that it wraps: no other layer has such a name."""
    prefix, names = "quant_", {layer.name for layer in network.layers}
    while any(prefix + name in names for name in names):
        prefix += "quant_"
    return prefix


def _adopt(wrapper: QuantizeWrapper) -> None:
    """Make a wrapper that TF-MOT has built one of ours, which respects frozen layers.

    TF-MOT registers the weights of a built layer twice; a .keras file could then not be loaded.
    """
    wrapper.__class__ = QuantizeWrapperV2
    wrapper._trainable_weights[:] = [kernel for kernel, _, _ in wrapper._weight_vars]


def rewrap(model: tf_keras.Model, smaller: tf_keras.Model) -> tf_keras.Model:
    """`smaller` (a float network with the same layer names) quantized like `model`, with its activation ranges."""
    return _with_ranges_of(model, quantize(smaller, settings_of(model), input_range=ranges_of(model)))


def with_au_bits(model: tf_keras.Model, au_bits: dict[str, int]) -> tf_keras.Model:
    """A copy of a quantized `model` with other bits in its heads; weights and ranges stay as trained."""
    settings = settings_of(model).model_copy(update={"au_bits": au_bits})
    return _with_ranges_of(model, quantize(float_network(model), settings, input_range=ranges_of(model)))


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
    quantizers = kernel_quantizers(model)
    dense = [node.layer.name for node in plan_of(model).nodes.values() if node.kind == "Dense"]
    return any(quantizers[name].per_channel for name in dense)


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
        quantizers[decided.nodes[group.head].layer.name].per_channel = False


class LowBitLayout(QuantizeLayoutTransform):
    """Inserts quantizers of the inputs and of coarser copies, folds batch norms, and assigns QuantizeConfigs."""

    def __init__(self, settings: QuantizationSettings, ranges: dict[str, Range]):
        self.settings, self.ranges = settings, ranges

    def apply(self, model, layer_quantize_map):
        """The transformed model, and the config of every wrapped layer by name."""
        decided = plan(model, self.settings, self.ranges)
        recipe = recipe_for(model, self.settings, self.ranges)
        rebuilt = _Rebuilder(decided, self.settings, recipe).build(model)
        configs = _layer_configs(decided, self.settings)
        return rebuilt, {name: {"quantize_config": config} for name, config in configs.items()}


def _layer_configs(decided: Plan, settings: QuantizationSettings) -> dict[str, LowBitQuantizeConfig]:
    configs = {}
    folded = _folded(decided, settings)
    for end, group in decided.groups.items():
        head = decided.nodes[group.head]
        if head.kind in LINEAR and group.head not in folded:
            layout = {"depthwise": head.kind == "DepthwiseConv2D", "transposed": head.kind == "Conv2DTranspose"}
            bits, config = (
                decided.weight_bits[head.layer.name],
                configs.setdefault(head.layer.name, LowBitQuantizeConfig()),
            )
            config.kernel = KernelQuantizer(bits, **layout)
        if head.kind != "InputLayer" and end in decided.tensors and not decided.nodes[end].is_shared:
            name = group.head if end == group.batch_norm and group.head in folded else end
            configs.setdefault(name, LowBitQuantizeConfig()).output = _output_quantizer(end, decided, settings)
    return configs


def _output_quantizer(end: str, decided: Plan, settings: QuantizationSettings) -> ActivationQuantizer:
    kind = PoolQuantizer if end in decided.tied else ActivationQuantizer
    return _quantizer(kind, decided.tensors[end], settings)


def _quantizer(kind: type, tensor: TensorPlan, settings: QuantizationSettings) -> ActivationQuantizer:
    grid = tensor.grid
    return kind(grid.bits, tensor.signed, grid.uses_all_codes, tensor.in_training, settings.ema_momentum, tensor.limit)


def _folded(decided: Plan, settings: QuantizationSettings) -> set[str]:
    """The linear nodes whose batch norm is folded into them; UserError if a shared layer has several of them."""
    if settings.batch_norm == "keep":
        return set()
    norms = {group.head: group.batch_norm for group in decided.groups.values()}
    folded = {head for head, norm in norms.items() if norm}
    pairs = [(decided.nodes[head].layer.name, norms[head]) for head in norms if decided.nodes[head].kind in LINEAR]
    partners = {(layer, norm and decided.nodes[norm].layer.name) for layer, norm in pairs}
    for layer, norm in sorted(pair for pair in partners if pair[1]):
        if sum(layer in pair or norm in pair for pair in partners) > 1:
            raise UserError(
                f"layer '{layer}': is shared, or its batch norm '{norm}' is, and they do not always follow each other. Use "
                "batch_norm: keep, which does not fold them"
            )
    return folded


class _Rebuilder:
    """Rebuilds the graph from copies of the model's layers, with quantizing layers in between."""

    def __init__(self, decided: Plan, settings: QuantizationSettings, recipe: dict[str, str]):
        self.plan, self.settings, self.recipe = decided, settings, recipe
        self.folded = _folded(decided, settings)
        layers = {node.layer.name for node in decided.nodes.values()}
        self.names = {*decided.nodes, *layers, *map(decided.copy_name, decided.requantized)}
        self.layers: dict[str, tf_keras.layers.Layer] = {}
        self.outputs: dict[str, tf.Tensor] = {}
        self.inputs: dict[str, tf.Tensor] = {}
        self.copies: dict[str, tf.Tensor] = {}

    def build(self, model):
        """The transformed model with the weights of `model`."""
        for node in self.plan.nodes.values():
            self.outputs[node.name] = self._call(node)
        inputs = [self.inputs[name] for name in self.plan.inputs]
        outputs = [self._output(output) for output in self.plan.outputs]
        rebuilt = tf_keras.Model(like(model.input, inputs), like(model.output, outputs), name=model.name)
        copy_weights(model, rebuilt)
        return rebuilt

    def _output(self, output: Output) -> tf.Tensor:
        """The logits, or the probabilities that the network makes of them."""
        if output.final is None:
            return self.outputs[output.node]
        final = _copy(output.final)
        final._name = self._new_name(final.name)
        return final(self.outputs[output.node])

    def _call(self, node: Node) -> tf.Tensor:
        if node.kind == "InputLayer":
            return self._rounded_input(node)
        if node.kind == "BatchNormalization" and node.inputs[0] in self.folded:
            result = self.outputs[node.inputs[0]]
        else:
            inputs = [self._input(node, source) for source in node.inputs]
            result = self._layer(node)(inputs[0] if len(inputs) == 1 else inputs)
        if node.is_shared and node.name in self.plan.groups and node.name in self.plan.tensors:
            quantizer = _output_quantizer(node.name, self.plan, self.settings)
            return QuantizeTensor(quantizer, name=node.name)(result)  # every call has a grid of its own
        return result

    def _rounded_input(self, node: Node) -> tf.Tensor:
        """An input of the network, rounded; the first one carries the recipe."""
        recipe = None if self.inputs else self.recipe
        self.inputs[node.name] = tf_keras.Input(node.shape, name=node.name)
        name = self._new_name(f"{node.name}_quantize")
        return QuantizeTensor(InputQuantizer(*node.range, node.name), recipe, name=name)(self.inputs[node.name])

    def _new_name(self, wanted: str) -> str:
        name = free_name(wanted, self.names)
        self.names.add(name)
        return name

    def _layer(self, node: Node):
        name = node.layer.name
        if name not in self.layers:
            layer = _copy(node.layer)
            if node.name in self.folded:
                batch_norm = _copy(self.plan.nodes[node.consumers[0]].layer)
                layer = FoldedBatchNorm(layer, batch_norm, self.plan.weight_bits[name], name=name)
            self.layers[name] = layer
        return self.layers[name]

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
