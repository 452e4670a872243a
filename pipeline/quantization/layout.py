"""The training graph: the plain network with quantizing layers put in, as TF-MOT's layout transform."""

import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layout_transform import (
    QuantizeLayoutTransform,
)

from pipeline.methods.quantization import Quantization
from pipeline.quantization.graph import LINEAR, Node
from pipeline.quantization.layers import FoldedBatchNorm, QuantizeTensor
from pipeline.quantization.model_access import copy_weights, recipe_for
from pipeline.quantization.plan import Plan, TensorPlan, plan
from pipeline.quantization.quantize_config import LowBitQuantizeConfig
from pipeline.quantization.quantizers import (
    ActivationQuantizer,
    CopyQuantizer,
    KernelQuantizer,
    PixelQuantizer,
    PoolQuantizer,
)


class LowBitLayout(QuantizeLayoutTransform):
    """Puts quantizers of the input and of coarser copies into the graph, folds batch norms, assigns QuantizeConfigs."""

    def __init__(self, settings: Quantization):
        self.settings = settings

    def apply(self, model, layer_quantize_map):
        """The transformed model and, by layer name, the config of every layer that is wrapped."""
        decided = plan(model, self.settings)
        rebuilt = _Rebuilder(decided, self.settings, recipe_for(model, self.settings)).build(model)
        configs = _layer_configs(decided, self.settings)
        return rebuilt, {name: {"quantize_config": config} for name, config in configs.items()}


def _layer_configs(decided: Plan, settings) -> dict[str, LowBitQuantizeConfig]:
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


def _quantizer(kind: type, tensor: TensorPlan, settings) -> ActivationQuantizer:
    return kind(tensor.grid.bits, tensor.signed, tensor.grid.uses_all_codes, tensor.in_training, settings.ema_momentum)


def _folded(decided: Plan, settings) -> set[str]:
    if settings.batch_norm == "keep":
        return set()
    return {group.head for group in decided.groups.values() if group.batch_norm}


class _Rebuilder:
    """Calls copies of the model's layers again, with the quantizing layers in between."""

    def __init__(self, decided: Plan, settings, recipe: dict[str, str]):
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
