"""Layers on sequences (T, C) as the same layers on images of one row (1, T, C), between two Reshapes.

A layer on such a sequence reads the image that it was made from, so that between two layers no Reshape is left.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.activations import activation_name, final_activation
from pipeline.models.canonical_rules import activated, is_symbolic
from pipeline.models.graph import FINAL, kind_of

if TYPE_CHECKING:
    from pipeline.models.canonical import Site

LAYERS = tf_keras.layers


def channelwise(rule: Callable) -> Callable:
    """The rule of a layer that treats all places alike: on images, if one of its sequences was made from an image.

    The activation at the end of a network stays last, where it is known as the one that makes probabilities.
    """

    @wraps(rule)
    def applied(site: "Site", *args, **kwargs):
        tensors = [part for part in tf.nest.flatten((args, kwargs)) if is_symbolic(part)]
        alike = all(len(tensor.shape) == 3 for tensor in tensors)
        shaped = getattr(site.original, "noise_shape", None)  # of a Dropout: one size for each axis
        last = site.at_output and final_activation(site.original)
        if shaped or last or not alike or not any(map(has_image, tensors)):
            return rule(site, *args, **kwargs)
        images = {id(tensor): as_image(site, tensor, number) for number, tensor in enumerate(tensors)}
        args, kwargs = tf.nest.map_structure(lambda part: images.get(id(part), part), (args, kwargs))
        return as_sequence(site, rule(site, *args, **kwargs))

    return applied


def image_before(x: tf.Tensor) -> tf.Tensor | None:
    """The image (1, T, C) that a Reshape has made this sequence (T, C) from."""
    layer, node, _ = x._keras_history
    if kind_of(layer) != "Reshape":
        return None
    before = layer.get_input_at(node)
    return before if tuple(before.shape[1:]) == (1, *x.shape[1:]) else None


def has_image(x: tf.Tensor) -> bool:
    """Whether a Reshape has made this sequence from an image of one row."""
    return image_before(x) is not None


def as_image(site: "Site", x: tf.Tensor, number: int = 0) -> tf.Tensor:
    """The image (1, T, C) of a sequence, the `number`-th that a layer reads."""
    if has_image(x):
        return image_before(x)
    return site.new(LAYERS.Reshape, f"image_{number}" if number else "image", target_shape=(1, *x.shape[1:]))(x)


def as_sequence(site: "Site", image: tf.Tensor) -> tf.Tensor:
    """The sequence (T, C) of an image (1, T, C)."""
    return site.new(LAYERS.Reshape, "sequence", target_shape=tuple(image.shape[2:]))(image)


def reshaped(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Flatten or Reshape of a sequence: of its image, if there is one."""
    return site.same()(image_before(x) if has_image(x) else x)


def batch_norm(site: "Site", x: tf.Tensor, **options) -> tf.Tensor:
    """BatchNormalization; over the last axis it can also be that of the image of a sequence."""
    if list(site.original.axis) != [len(x.shape) - 1]:
        return site.same()(x, **options)
    return channelwise(lambda site, x, **options: site.same(axis=-1)(x, **options))(site, x, **options)


def joined(site: "Site", inputs: list[tf.Tensor]) -> tf.Tensor:
    """Concatenate, along an axis that counts from the last one: for sequences and their images it is the same number."""
    rank = len(inputs[0].shape)
    axis = site.original.axis % rank - rank
    if axis == -rank:
        return site.same()(inputs)
    return channelwise(lambda site, inputs: site.same(axis=axis)(inputs))(site, inputs)


def convolution(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Conv1D."""
    weights, config = _two_dimensional(site)
    layer = site.like(LAYERS.Conv2D, {**config, "activation": "linear"}, weights)
    return _finished(site, layer(_padded(site, as_image(site, x))))


def depthwise(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """DepthwiseConv1D; its stride is also that of the rows, of which there is one, since TensorFlow wants equal strides."""
    weights, config = _two_dimensional(site)
    config |= {"activation": "linear", "strides": site.original.strides * 2}
    return _finished(site, site.like(LAYERS.DepthwiseConv2D, config, weights)(_padded(site, as_image(site, x))))


def separable(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """SeparableConv1D: a depthwise convolution and one of a single place, which keeps the name."""
    layer, (weights, config) = site.original, _two_dimensional(site)
    same = ("padding", "dilation_rate", "kernel_size", "depth_multiplier")
    spatial = {"strides": layer.strides * 2, "use_bias": False, "depthwise_regularizer": layer.depthwise_regularizer}
    mixing = {"filters": layer.filters, "kernel_size": 1, "use_bias": layer.use_bias,
              "kernel_regularizer": layer.pointwise_regularizer, "bias_regularizer": layer.bias_regularizer}  # fmt: skip
    x = _padded(site, as_image(site, x))
    x = site.like(LAYERS.DepthwiseConv2D, {key: config[key] for key in same} | spatial, weights[:1], "depthwise")(x)
    return _finished(site, site.like(LAYERS.Conv2D, mixing, weights[1:])(x))


def transposed(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Conv1DTranspose."""
    weights, config = _two_dimensional(site)
    if config["output_padding"] is not None:
        config["output_padding"] = (0, *config["output_padding"])
    layer = site.like(LAYERS.Conv2DTranspose, {**config, "activation": "linear"}, weights)
    return _finished(site, layer(as_image(site, x)))


def _two_dimensional(site: "Site") -> tuple[list[np.ndarray], dict]:
    """Weights and configuration of a 1-D convolution with kernels one row high; causal padding is a layer of its own."""
    layer = site.original
    _check_channels_last(layer)
    weights = [array[None] if array.ndim > 1 else array for array in layer.get_weights()]
    config = layer.get_config()
    config |= {key: (1, *config[key]) for key in ("kernel_size", "strides", "dilation_rate")}
    if layer.padding == "causal":
        config["padding"] = "valid"
    return weights, config


def _padded(site: "Site", image: tf.Tensor) -> tf.Tensor:
    """An image with the zeros of causal padding in front."""
    layer = site.original
    before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
    if layer.padding != "causal" or not before:
        return image
    return site.new(LAYERS.ZeroPadding2D, "padding", padding=((0, 0), (before, 0)))(image)


def _finished(site: "Site", image: tf.Tensor) -> tf.Tensor:
    """The sequence after the activation inside of a layer, whose linear part has given `image`."""
    name = activation_name(site.original)
    if site.at_output and name in FINAL:
        return activated(site, as_sequence(site, image), name)
    return as_sequence(site, activated(site, image, name))


def _check_channels_last(layer: LAYERS.Layer) -> None:
    if layer.data_format != "channels_last":
        raise UserError(f"layer '{layer.name}' ({kind_of(layer)}): data_format must be channels_last")


def pooling(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """MaxPooling1D or AveragePooling1D."""
    layer = site.original
    _check_channels_last(layer)
    kind = LAYERS.MaxPooling2D if kind_of(layer) == "MaxPooling1D" else LAYERS.AveragePooling2D
    size, stride = (int(np.ravel(value)[0]) for value in (layer.pool_size, layer.strides))
    pool = site.new(kind, pool_size=(1, size), strides=(stride, stride), padding=layer.padding)
    return as_sequence(site, pool(as_image(site, x)))


def global_pooling(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """GlobalMaxPooling1D or GlobalAveragePooling1D, of a sequence (T, C)."""
    layer = site.original
    _check_channels_last(layer)
    kind = LAYERS.GlobalMaxPooling2D if kind_of(layer) == "GlobalMaxPooling1D" else LAYERS.GlobalAveragePooling2D
    pooled = site.new(kind, keepdims=layer.keepdims)(as_image(site, x))
    return as_sequence(site, pooled) if layer.keepdims else pooled


def padding(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """ZeroPadding1D."""
    pad = site.new(LAYERS.ZeroPadding2D, padding=((0, 0), tuple(site.original.padding)))
    return as_sequence(site, pad(as_image(site, x)))


def cropping(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """Cropping1D."""
    crop = site.new(LAYERS.Cropping2D, cropping=((0, 0), tuple(site.original.cropping)))
    return as_sequence(site, crop(as_image(site, x)))


def upsampling(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """UpSampling1D: every place repeated."""
    return as_sequence(site, site.new(LAYERS.UpSampling2D, size=(1, site.original.size))(as_image(site, x)))


def spatial_dropout(site: "Site", x: tf.Tensor) -> tf.Tensor:
    """SpatialDropout1D: whole channels, as SpatialDropout2D drops them."""
    return as_sequence(site, site.new(LAYERS.SpatialDropout2D, rate=site.original.rate)(as_image(site, x)))


SEQUENCE_RULES = {
    "Conv1D": convolution,
    "DepthwiseConv1D": depthwise,
    "SeparableConv1D": separable,
    "Conv1DTranspose": transposed,
    "MaxPooling1D": pooling,
    "AveragePooling1D": pooling,
    "GlobalMaxPooling1D": global_pooling,
    "GlobalAveragePooling1D": global_pooling,
    "ZeroPadding1D": padding,
    "Cropping1D": cropping,
    "UpSampling1D": upsampling,
    "SpatialDropout1D": spatial_dropout,
    "Flatten": reshaped,
    "Reshape": reshaped,
    "BatchNormalization": batch_norm,
    "Concatenate": joined,
}
