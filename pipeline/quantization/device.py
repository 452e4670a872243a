"""Keras models with the numbers of the device: on the int32 bias grid, or in float with rounded kernels."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.models.graph import LINEAR
from pipeline.quantization.folding import affine, bias_step, range_name, rounded_kernel
from pipeline.quantization.integer_model import IntegerModel, Operation
from pipeline.quantization.lowering import Lowered, lower
from pipeline.quantization.model_access import (
    float_network,
    is_enabled,
    kernel_quantizers,
    plan_of,
    range_variables,
    recipe_of,
    settings_of,
    values_by_layer,
    variables_by_layer,
)
from pipeline.quantization.plan import Plan

DeviceValue = tuple[tf.Variable, np.ndarray]


@contextmanager
def device_arithmetic(model: tf_keras.Model, weight_storage: str = "narrow") -> Iterator[None]:
    """Within the block a quantized model evaluates with the biases and scales of the device (int32 bias grid).

    A model whose quantizers are off (float warm-up) is left unchanged.
    """
    pairs = device_values(model, lower(model, weight_storage)) if is_enabled(model) else []
    saved = [(variable, variable.numpy()) for variable, _ in pairs]
    try:
        for variable, value in pairs:
            variable.assign(value)
        yield
    finally:
        for variable, value in saved:
            variable.assign(value)


def device_values(model: tf_keras.Model, lowered: Lowered) -> list[DeviceValue]:
    """(variable, value) pairs that move a quantized model onto the grids of its integer model."""
    plan, variables = plan_of(model), variables_by_layer(model)
    pairs = _ranges(plan, range_variables(model), lowered.integer_model)
    weighted = [operation for operation in lowered.integer_model.operations if operation.weights is not None]
    first = {plan.nodes[operation.name].layer.name: operation for operation in reversed(weighted)}
    for operation in first.values():  # the biases of a shared layer's calls differ by less than their steps
        pairs += _bias(plan, operation, lowered, variables)
    return pairs


def rounded_network(model: tf_keras.Model) -> tf_keras.Model:
    """The float network of a quantized model, its kernels rounded to their codes; a float model is returned as it is."""
    if recipe_of(model) is None:
        return model
    network, plan, quantizers = float_network(model), plan_of(model), kernel_quantizers(model)
    variables, values = variables_by_layer(network), values_by_layer(network)
    fold_first = settings_of(model).batch_norm == "fold"
    for node in plan.nodes.values():
        if node.kind in LINEAR:
            name = node.layer.name
            gain = _gain(plan, plan.norm_of(node.name), values) if fold_first else np.ones(1)
            kernel = "depthwise_kernel" if "depthwise_kernel" in values[name] else "kernel"
            variables[name][kernel].assign(rounded_kernel(node, values[name], gain, quantizers[name]))
    return network


def _ranges(plan: Plan, variables: dict[str, tf.Variable], integer_model: IntegerModel) -> list[DeviceValue]:
    """The ranges of all activation quantizers: step times top code."""
    copies = {plan.copy_name(name): (plan.copy_name(name), tensor.grid) for name, tensor in plan.requantized.items()}
    outputs = {
        end: (range_name(plan, end, variables), tensor.grid)
        for end, tensor in plan.tensors.items()
        if plan.nodes[end].kind != "InputLayer"
    }
    return [
        (variables[layer], integer_model.tensors[name].scale * np.float32(grid.top))
        for name, (layer, grid) in (copies | outputs).items()
    ]


def _bias(plan: Plan, operation: Operation, lowered: Lowered, variables: dict[str, dict]) -> list[DeviceValue]:
    """The bias (or beta, or mean, of the batch norm) with which Keras adds the same offset as the device."""
    weights, source = operation.weights, lowered.integer_model.tensors[operation.inputs[0]]
    change = weights.bias * bias_step(source.scale, weights.scales) - lowered.weights[operation.name].bias
    norm = plan.norm_of(operation.name)
    own = variables.get(plan.nodes[norm or operation.name].layer.name, {})
    if "moving_mean" in own and "beta" not in own:
        gain = affine(_float64(own), plan.nodes[norm].layer.epsilon)[0]
        return [_moved(own["moving_mean"], -change / np.where(gain == 0, np.inf, gain))]
    return [_moved(own[name], change) for name in ("beta", "bias") if name in own]


def _moved(variable: tf.Variable, change: np.ndarray) -> DeviceValue:
    return variable, (variable.numpy() + change).astype(np.float32)


def _float64(variables: dict[str, tf.Variable]) -> dict[str, np.ndarray]:
    return {key: variable.numpy().astype(np.float64) for key, variable in variables.items()}


def _gain(plan: Plan, norm: str | None, values: dict[str, dict]) -> np.ndarray:
    if norm is None:
        return np.ones(1)
    layer = plan.nodes[norm].layer
    return affine(values[layer.name], layer.epsilon)[0]
