"""Layers and networks that cannot be quantized, found in the network as it is written, before anything is rebuilt."""

import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.activations import activation_problem
from pipeline.models.advice import NO_ADVICE, advice_for, listed
from pipeline.models.canonical_kinds import RULES
from pipeline.models.graph import SUPPORTED, graph_problem, kind_of

TAKEN = SUPPORTED | RULES.keys()  # kinds of layers as people write them
SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")  # names of layers that TensorFlow allows, except of inputs


def check_layers(model: tf_keras.Model) -> None:
    """Raise UserError that names every layer of a network, nested ones too, that cannot be quantized, and what to do.

    What depends on the place of a layer in its network is left to `quantization.support`.
    """
    if problem := graph_problem(model):
        raise UserError(f"network '{model.name}': {problem}")
    layers = list(_layers(model))
    found = [(layer, problem) for layer in layers if (problem := _problem(layer))]
    if found:
        problems = [f"layer '{layer.name}' ({kind_of(layer)}): {problem}" for layer, problem in found]
        raise UserError(listed(problems) + (_taken() if any(NO_ADVICE in problem for problem in problems) else ""))
    _check_names(model.input_names)
    _check_numbers(model, layers)


def _taken() -> str:
    """What is supported, for an error with a layer for which there is no other advice."""
    names = sorted(name for name in TAKEN - {"InputLayer"} if hasattr(tf_keras.layers, name))
    return f"\nSupported are {', '.join(names)}; see 'What can be quantized' in docs/your_network.md"


def _check_names(inputs: list[str]) -> None:
    """Raise UserError for an input after which the layer that rounds it cannot be named."""
    for name in inputs:
        if name.startswith("quantize_annotate"):
            raise UserError(f"an input is called '{name}', as TF-MOT calls its layers; give it another name")
        if not SCOPE.fullmatch(name):
            raise UserError(
                f"an input is called '{name}'; give it a name of letters, digits and _ . / -, that begins with a letter or digit"
            )


def _check_numbers(model: tf_keras.Model, layers: list[tf_keras.layers.Layer]) -> None:
    """Raise UserError unless all inputs are of float32 or uint8 and all layers of float32."""
    again = "build the network again under policy float32, and copy the weights with set_weights(get_weights())"
    policy = tf_keras.mixed_precision.global_policy().name
    if policy != "float32":
        raise UserError(
            f"the global policy is {policy}; only float32 networks can be quantized: call "
            "tf_keras.mixed_precision.set_global_policy('float32') before you build the network"
        )
    for name, tensor in zip(model.input_names, model.inputs, strict=True):
        if tensor.dtype not in (tf.float32, tf.uint8):
            advice = again if tensor.dtype.is_floating else "let the data pipeline make floats, and give Input no dtype"
            raise UserError(
                f"input '{name}' is {tensor.dtype.name}; only float32 and uint8 inputs can be quantized: {advice}"
            )
    for layer in layers:
        if kind_of(layer) != "InputLayer" and layer.compute_dtype not in (None, "float32"):
            raise UserError(
                f"layer '{layer.name}' computes in {layer.compute_dtype} (mixed precision?); only float32 networks can be "
                f"quantized: {again}"
            )


def _layers(model: tf_keras.Model) -> Iterator[tf_keras.layers.Layer]:
    """The layers of a network, with those of nested networks in place of these."""
    for layer in model.layers:
        if isinstance(layer, tf_keras.Model) and graph_problem(layer) is None:
            yield from _layers(layer)
        else:
            yield layer


def _problem(layer: tf_keras.layers.Layer) -> str | None:
    if isinstance(layer, tf_keras.Model):
        return graph_problem(layer)
    kind = kind_of(layer)
    if kind not in TAKEN:
        return f"unsupported: {advice_for(layer)}"
    if kind in RULES and (problem := activation_problem(layer)):
        return problem
    if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
        return "has weights that are not finite (nan or inf). Train the network again, with a smaller learning rate"
    return None
