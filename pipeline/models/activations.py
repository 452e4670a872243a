"""Which activations of Keras and TensorFlow there are, as `activation=`, as functions and at the end of a network."""

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.advice import ACTIVATION_ADVICE
from pipeline.models.graph import FINAL, kind_of

# Functions that `activation=` may name, by the activation that they are.
ACTIVATIONS = {
    tf_keras.activations.linear: "linear",
    tf_keras.activations.relu: "relu",
    tf.nn.relu: "relu",
    tf.nn.relu6: "relu6",
    tf_keras.activations.sigmoid: "sigmoid",
    tf.nn.sigmoid: "sigmoid",
    tf_keras.activations.tanh: "tanh",
    tf.nn.tanh: "tanh",
    tf_keras.activations.hard_sigmoid: "hard_sigmoid",
    tf_keras.activations.swish: "swish",
    tf.nn.silu: "swish",
    tf_keras.activations.gelu: "gelu",
    tf_keras.activations.elu: "elu",
    tf.nn.elu: "elu",
    tf_keras.activations.softmax: "softmax",
    tf.nn.softmax: "softmax",
}
# TensorFlow functions that are an activation, by the name that Keras records.
FUNCTIONS = {
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "math.sigmoid": "sigmoid",
    "math.tanh": "tanh",
    "nn.elu": "elu",
    "nn.selu": "selu",
    "math.softplus": "softplus",
    "nn.softsign": "softsign",
    "math.exp": "exponential",
}


def known_activation(function) -> str | None:
    """The name of a function of Keras or TensorFlow that `activation=` may name; None for any other, whatever its name."""
    try:
        found = ACTIVATIONS.get(function)
    except TypeError:  # an object that cannot be looked up
        return None
    return found or _keras_name(function)


def _keras_name(function) -> str | None:
    name = getattr(function, "__name__", "")
    try:
        return name if tf_keras.activations.get(name) is function else None
    except ValueError:  # no activation of that name
        return None


def activation_problem(layer: tf_keras.layers.Layer) -> str | None:
    """Why the activation inside of a layer cannot be quantized, and what to do; None if it can, or there is none."""
    function = getattr(layer, "activation", None)
    if function is None:
        return None
    if isinstance(function, tf_keras.layers.Layer):
        return "a layer as activation; call that layer on its output instead"
    name = known_activation(function)
    if name is None:
        shown = getattr(function, "__name__", type(function).__name__)
        return (
            f"activation '{shown}' is a function of somebody's own; call its operations on the output of a layer without "
            "activation instead, as in x * tf_keras.layers.Activation('sigmoid')(x)"
        )
    if name in ACTIVATIONS.values():
        return None
    return f"activation '{name}' cannot be quantized; {ACTIVATION_ADVICE.get(name, 'use relu')}"


def activation_name(layer: tf_keras.layers.Layer) -> str:
    """The activation inside of a layer."""
    name = known_activation(layer.activation)
    if name is None:
        raise UserError(f"layer '{layer.name}': {activation_problem(layer)}")
    return name


def final_activation(layer: tf_keras.layers.Layer) -> str | None:
    """ "softmax" or "sigmoid" if a layer ends in it, else None."""
    kind = kind_of(layer)
    if kind == "Softmax":
        return None if unwanted_axis(layer.axis, layer.output_shape) else "softmax"
    if kind.startswith("TFOpLambda:"):
        return {"nn.softmax": "softmax", "math.sigmoid": "sigmoid"}.get(kind.partition(":")[2])
    function = getattr(layer, "activation", None)
    name = known_activation(function) if function else None
    return name if name in FINAL else None


def unwanted_axis(axis: int | None, shape: tuple) -> bool:
    """Whether an axis of a tensor of this shape (B, ...) is another than the last one."""
    return axis not in (None, -1, len(shape) - 1)
