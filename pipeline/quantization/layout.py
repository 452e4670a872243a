"""The training graph of a quantized network: copies of its layers, with rounding in between, for TF-MOT to wrap."""

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.canonical import like
from pipeline.models.graph import LINEAR, Node, Output, Range
from pipeline.models.names import free_name
from pipeline.quantization.layers import FoldedBatchNorm, QuantizeTensor
from pipeline.quantization.model_access import (
    copy_weights,
    recipe_for,
)
from pipeline.quantization.plan import Plan, TensorPlan, plan
from pipeline.quantization.quantizers import (
    ActivationQuantizer,
    CopyQuantizer,
    InputQuantizer,
    KernelQuantizer,
    LowBitQuantizeConfig,
    PoolQuantizer,
)
from pipeline.quantization.settings import QuantizationSettings
from pipeline.quantization.tfmot import (
    QuantizeLayoutTransform,
)


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
