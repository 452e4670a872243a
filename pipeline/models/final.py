"""The softmax or sigmoid at the end of a network: it makes probabilities of the logits."""

import tensorflow as tf
import tf_keras

from pipeline.models.activations import final_activation, known_activation
from pipeline.models.canonical import canonical, like
from pipeline.models.canonical_kinds import RULES
from pipeline.models.graph import kind_of

Finals = tuple[str | None, ...]


def finals_of(model: tf_keras.Model) -> Finals:
    """For each output of a functional or Sequential network "softmax" or "sigmoid" if it is that of its logits, else None."""
    return tuple(None if _is_read(model, tensor) else _final_of(_unnamed(tensor)) for tensor in model.outputs)


def _unnamed(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor before a layer that only names an output."""
    layer = tensor._keras_history.layer
    is_name = kind_of(layer) == "Activation" and known_activation(layer.activation) == "linear"
    return _read_by(tensor) if is_name else tensor


def _final_of(tensor: tf.Tensor) -> str | None:
    layer = tensor._keras_history.layer
    while isinstance(layer, tf_keras.Model) and len(layer.outputs) == 1:
        layer = layer.outputs[0]._keras_history.layer
    return final_activation(layer) if kind_of(layer) in RULES else None


def _is_read(model: tf_keras.Model, output: tf.Tensor) -> bool:
    """Whether a layer of the network reads this output, or what it names."""
    calls = [call for calls in model._nodes_by_depth.values() for call in calls if call.outputs is not output]
    read = [id(tensor) for call in calls for tensor in call.keras_inputs]
    return id(output) in read or id(_unnamed(output)) in read


def without_final(model: tf_keras.Model) -> tf_keras.Model:
    """The network up to its logits: with the same variables, or with copies where the activation is inside of a layer."""
    finals = finals_of(model)
    if not any(finals):
        return model
    ends = [tensor for tensor, final in zip(map(_unnamed, model.outputs), finals, strict=True) if final]
    if {kind_of(tensor._keras_history.layer) for tensor in ends} != {"Activation"}:
        model = canonical(model)
    pairs = zip(map(_unnamed, model.outputs), finals, strict=True)
    outputs = [_read_by(tensor) if final else tensor for tensor, final in pairs]
    return tf_keras.Model(model.input, like(model.output, outputs), name=model.name)


def _read_by(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor that the layer before this one reads."""
    layer, node, _ = tensor._keras_history
    return layer.get_input_at(node)
