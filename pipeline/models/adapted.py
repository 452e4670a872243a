"""A user's network made ready for the training loop: logits of [0, 1] images, seeded dropout, our batch-norm momentum."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.models.canonical import Rewriting
from pipeline.models.canonical_rules import is_symbolic
from pipeline.models.graph import FINAL, LINEAR, kind_of
from pipeline.models.input_range import expected_range, front_of
from pipeline.models.layers import Affine, SeededDropout


def logits_of(network: tf_keras.Model, allowed: set[str], labels: str) -> tf_keras.Model:
    """A canonical network without a final softmax or sigmoid: its losses take logits.

    Raises UserError for one that is not among those `allowed` for these labels.
    """
    last = network.output._keras_history.layer
    name = last.get_config()["activation"] if kind_of(last) == "Activation" else None
    if name not in FINAL:
        return network
    if name not in allowed:
        raise UserError(
            f"layer '{last.name}': the network ends in {name}, which does not fit {labels}. End it in logits, without "
            f"activation{', or in ' + ' or '.join(sorted(allowed)) if allowed else ''}"
        )
    return tf_keras.Model(network.input, last.input, name=network.name)


def on_unit_range(network: tf_keras.Model, input_range: Sequence[float] | None) -> tf_keras.Model:
    """The canonical network for images in [0, 1] of one for `input_range`, or for the range that its Rescaling expects."""
    front = front_of(network, network.inputs[0])
    low, high = map(float, input_range or expected_range(network, network.inputs[0]))
    if (low, high) == (0.0, 1.0):
        return network
    image = network.inputs[0]
    gain, shift, start = np.array([high - low]), np.array([low]), image
    name = f"{image._keras_history.layer.name}_range"
    if front is not None and front.input is image:
        gain, shift = gain * front.gain, shift * front.gain + np.array(front.shift)
        start, name = front.output, front.name
    rest = tf_keras.Model(start, network.output) if start is not image else network
    new = tf_keras.Input(network.input_shape[1:], name=image._keras_history.layer.name)
    is_same = np.allclose(gain, 1, rtol=0, atol=1e-6) and np.allclose(shift, 0, rtol=0, atol=1e-6)
    scaled = new if is_same else Affine(gain.tolist(), shift.tolist(), name=name)(new)
    return tf_keras.Model(new, Rewriting().inline(rest, [scaled])[0], name=network.name)


def with_head_dropout(network: tf_keras.Model, rate: float, seed: int) -> tf_keras.Model:
    """The canonical network with dropout before its last layer with a kernel.

    Raises UserError if the output is made by several layers.
    """
    tail = [network.output._keras_history.layer]
    while kind_of(tail[-1]) not in LINEAR:
        if isinstance(tail[-1], kl.InputLayer) or not is_symbolic(tail[-1].input):
            layer = f"'{tail[-1].name}' ({kind_of(tail[-1])})"
            raise UserError(
                f"dropout: position head is before the last layer with a kernel, but layer {layer} makes the output from "
                "several. Put Dropout layers into your network, or remove the method"
            )
        tail.append(tail[-1].input._keras_history.layer)
    names = {layer.name for layer in network.layers}
    name = next(name for name in ("dropout", "head_dropout", "method_dropout") if name not in names)
    x = SeededDropout(rate, seed, name=name)(tail[-1].input)
    for layer in reversed(tail):
        copy = type(layer).from_config(layer.get_config())
        x = copy(x)
        copy.set_weights(layer.get_weights())
    return tf_keras.Model(network.input, x, name=network.name)


def seeded(network: tf_keras.Model, momentum: float, seed: int) -> tf_keras.Model:
    """A copy with this momentum in every batch norm and with dropout whose masks follow from `seed` and the step."""
    copy = tf_keras.models.clone_model(network, clone_function=partial(_copied, momentum, seed))
    for layer in network.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _copied(momentum: float, seed: int, layer: kl.Layer) -> kl.Layer:
    config = layer.get_config()
    if type(layer) is kl.Dropout:
        if layer.noise_shape is not None:
            raise UserError(f"layer '{layer.name}' (Dropout): a noise_shape; only dropout of single values")
        return SeededDropout(layer.rate, seed, name=layer.name)
    if isinstance(layer, kl.BatchNormalization):
        config["momentum"] = momentum
    return type(layer).from_config(config)


def check_ends(model: tf_keras.Model, image_shape: tuple[int, ...], labels: Sequence[str]) -> None:
    """Raise UserError unless the network maps images (H, W, C) of this shape to one number for each of the labels."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"the network has {len(model.inputs)} inputs and {len(model.outputs)} outputs; a configuration trains networks "
            "with one of each, the Python API others too"
        )
    if tuple(model.input_shape[1:]) != tuple(image_shape):
        raise UserError(f"the network takes images {model.input_shape[1:]}, but those of the data are {image_shape}")
    if tuple(model.output_shape[1:]) != (len(labels),):
        shown = ", ".join(labels[:3]) + (", ..." if len(labels) > 3 else "")
        raise UserError(
            f"the network's output is {model.output_shape[1:]}, but the data need ({len(labels)},): one logit for each of "
            f"{shown}"
        )


def check_trainable(network: tf_keras.Model) -> None:
    """Raise UserError for a canonical network without weights to train."""
    if not network.trainable_weights:
        raise UserError("the network has no weights to train: all layers are frozen (trainable=False)")
