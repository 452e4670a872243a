"""Which layers stand for a layer that quantization does not know as it is: one rule a kind."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.activations import activation_name, unwanted_axis
from pipeline.models.graph import kind_of
from pipeline.models.layers import Affine

if TYPE_CHECKING:
    from pipeline.models.canonical import Site

LAYERS = tf_keras.layers


def activated(site: "Site", x: tf.Tensor, name: str, role: str = "activation") -> tf.Tensor:
    """An activation as canonical layers."""
    if name == "linear":
        return x
    if name in ("relu", "relu6"):
        return site.new(LAYERS.ReLU, role, max_value=6.0 if name == "relu6" else None)(x)
    if name == "swish":
        gate = site.new(LAYERS.Activation, f"{role}_gate" if role else "gate", activation="sigmoid")(x)
        return site.new(LAYERS.Multiply, role)([x, gate])
    if name == "hard_sigmoid":
        x = site.new(Affine, f"{role}_line" if role else "line", gain=[0.2], shift=[0.5])(x)
        return site.new(LAYERS.ReLU, role, max_value=1.0)(x)
    return site.new(LAYERS.Activation, role, activation=name)(x)


def linear(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """A layer with a kernel and an activation: the layer without it, and the activation."""
    name = activation_name(site.original)
    return activated(site, site.same(activation="linear")(x), name)


def separable(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """SeparableConv2D: a depthwise convolution and one of 1 x 1, which keeps the name."""
    layer, config = site.original, site.original.get_config()
    depthwise, pointwise, *bias = layer.get_weights()
    spatial = site.new(
        LAYERS.DepthwiseConv2D, "depthwise", use_bias=False, **_picked(config, "kernel_size", "strides", "padding"),
        **_picked(config, "depth_multiplier", "dilation_rate"), depthwise_regularizer=layer.depthwise_regularizer,
    )  # fmt: skip
    mixing = site.new(
        LAYERS.Conv2D, filters=config["filters"], kernel_size=1, use_bias=config["use_bias"],
        kernel_regularizer=layer.pointwise_regularizer, bias_regularizer=layer.bias_regularizer,
    )  # fmt: skip
    x = mixing(spatial(x))
    spatial.set_weights([depthwise])
    mixing.set_weights([pointwise, *bias])
    return activated(site, x, activation_name(layer))


def activation(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Activation: the layer of that activation, under the same name."""
    return activated(site, x, activation_name(site.original), "")


def relu(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """ReLU; with a slope on the negative side it is a LeakyReLU."""
    layer = site.original
    if layer.negative_slope and layer.max_value is None and not layer.threshold:
        return site.new(LAYERS.LeakyReLU, alpha=float(layer.negative_slope))(x)
    return site.same()(x)


def elu(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """ELU with the only alpha that devices have."""
    if site.original.alpha != 1:
        raise UserError(f"layer '{site.original.name}' (ELU): alpha={site.original.alpha}; only 1")
    return site.new(LAYERS.Activation, activation="elu")(x)


def softmax(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis."""
    axis = site.original.axis
    if unwanted_axis(axis, site.output_shape):
        raise UserError(f"layer '{site.original.name}' (Softmax): only over the last axis, not {axis}")
    return site.new(LAYERS.Activation, activation="softmax")(x)


def of_one_rank(site: "Site", inputs: list[tf.Tensor]) -> list[tf.Tensor]:
    """Inputs of a layer that joins tensors; Keras gives the smaller ones axes of size 1 behind the batch."""
    rank, made = max(len(tensor.shape) for tensor in inputs), []
    for number, tensor in enumerate(inputs, 1):
        if missing := rank - len(tensor.shape):
            shape = (*[1] * missing, *tensor.shape[1:])
            tensor = site.new(LAYERS.Reshape, f"input_{number}", target_shape=shape)(tensor)
        made.append(tensor)
    return made


def several(site: "Site", inputs: list[tf.Tensor], kind: type | None = None) -> tf.Tensor:
    """Add or Multiply of any number of tensors: of two at a time; the last one keeps the name."""
    made, (first, *rest) = kind or type(site.original), of_one_rank(site, inputs)
    for number, other in enumerate(rest, 2):
        first = site.new(made, "" if number == len(inputs) else f"first_{number}")([first, other])
    return first


def rescaling(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Rescaling, by one number or one for each channel."""
    return _affine(site, x, site.original.scale, site.original.offset)


def normalization(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Normalization of channels by constant means and variances."""
    layer = site.original
    if tuple(layer._keep_axis) not in ((), (len(site.output_shape) - 1,)):
        raise UserError(f"layer '{layer.name}' (Normalization): only of channels (axis -1)")
    mean, spread = np.ravel(layer.mean), np.maximum(np.sqrt(np.ravel(layer.variance)), 1e-7)
    if layer.invert:
        return _affine(site, x, spread, mean)
    return _affine(site, x, 1 / spread, -mean / spread)


def plus(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """x + y of two tensors, or of a tensor and numbers."""
    if is_symbolic(x) and is_symbolic(y):
        return site.new(LAYERS.Add)([x, y])
    return _affine(site, x, 1.0, y) if is_symbolic(x) else _affine(site, y, 1.0, x)


def minus(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """x - y of two tensors, or of a tensor and numbers."""
    if is_symbolic(x) and is_symbolic(y):
        return site.new(LAYERS.Subtract)([x, y])
    return _affine(site, x, 1.0, -np.asarray(y)) if is_symbolic(x) else _affine(site, y, -1.0, x)


def times(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """x * y of two tensors, or of a tensor and numbers."""
    if is_symbolic(x) and is_symbolic(y):
        return site.new(LAYERS.Multiply)([x, y])
    return _affine(site, x, y, 0.0) if is_symbolic(x) else _affine(site, y, x, 0.0)


def divided(site: "Site", x: tf.Tensor, y: object, name: str | None = None) -> tf.Tensor:
    """x / y of a tensor by numbers."""
    if not is_symbolic(x) or is_symbolic(y):
        raise UserError(f"layer '{site.original.name}': a division by a tensor; only by numbers")
    return _affine(site, x, 1 / np.asarray(y, np.float64), 0.0)


def is_symbolic(value: object) -> bool:
    """Whether a value is a tensor of the network that is being built."""
    return isinstance(value, tf_keras.__internal__.KerasTensor)


def _affine(site: "Site", x: tf.Tensor, scale, offset) -> tf.Tensor:
    """x * scale + offset; merged with the constants before it, and put before a ReLU, whose bound it scales."""
    gain, shift = (_by_channel(site, value) for value in (scale, offset))
    before, node, _ = x._keras_history
    if isinstance(before, Affine):
        gain, shift = gain * np.array(before.gain), shift + gain * np.array(before.shift)
        return site.new(Affine, gain=gain.tolist(), shift=shift.tolist())(before.get_input_at(node))
    if kind_of(before) == "ReLU" and len(gain) == 1 and gain[0] > 0 and not shift.any() and _is_plain(before):
        bound = None if before.max_value is None else float(before.max_value * gain[0])
        return site.new(LAYERS.ReLU, "bound", max_value=bound)(_affine(site, before.get_input_at(node), gain, 0.0))
    return site.new(Affine, gain=gain.tolist(), shift=shift.tolist())(x)


def _is_plain(relu: LAYERS.ReLU) -> bool:
    return not relu.negative_slope and not relu.threshold


def _by_channel(site: "Site", value) -> np.ndarray:
    """Numbers (C,), or one for all channels (1,), float64."""
    values = np.asarray(value, np.float64)
    if values.ndim and values.size != values.shape[-1]:
        raise UserError(
            f"layer '{site.original.name}': numbers of shape {values.shape}; only one, or one for each channel"
        )
    return values.reshape(-1)


def custom_scale(site: "Site", inputs: list[tf.Tensor]) -> tf.Tensor:
    """InceptionResNetV2's layer: x + scale * y."""
    x, y = inputs
    return site.new(LAYERS.Add)([x, site.new(Affine, "scale", gain=[site.original.scale], shift=[0.0])(y)])


def unchanged(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Identity: nothing stands for it."""
    return x


def _picked(config: dict, *names: str) -> dict:
    return {name: config[name] for name in names}


ANY_SHAPE_RULES = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "Conv2DTranspose"), linear),
    "SeparableConv2D": separable,
}
CHANNEL_RULES = {  # of layers that treat all places alike
    "Dense": linear,
    "Activation": activation,
    "Softmax": softmax,
    "ReLU": relu,
    "ELU": elu,
    "Identity": unchanged,
    "Add": several,
    "Multiply": several,
    "Rescaling": rescaling,
    "Normalization": normalization,
    "TFOpLambda:__operators__.add": plus,
    "TFOpLambda:math.add": plus,
    "TFOpLambda:math.subtract": minus,
    "TFOpLambda:math.multiply": times,
    "TFOpLambda:math.truediv": divided,
    "tf_keras.src.applications.inception_resnet_v2.CustomScaleLayer": custom_scale,
}
