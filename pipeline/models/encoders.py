"""Encoders of faces: a small residual network, or Keras's MobileNetV2 and InceptionV3 with seeded initial weights.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; Szegedy et al. 2016, "Rethinking the
Inception Architecture for Computer Vision".
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.models.graph import nodes_of
from pipeline.models.layers import name_seed
from pipeline.models.resnet import ResidualLayers, check_side, residual_body
from pipeline.models.settings import MIN_IMAGE_SIZE

BatchNorm = kl.BatchNormalization
COLOURS = 3
MIN_SIDE = 8  # of small_resnet, whose stem also halves the image
UNNAMED = re.compile(r"(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d|concatenate)(?:_(\d+))?")
RENAMED = {"activation": "relu"}
EncoderName = Literal["small_resnet", "mobilenet_v2", "inception_v3"]


@dataclass(frozen=True)
class Application:
    """How Keras builds an encoder, and whether `alpha` is one of its options."""

    build: Callable[..., tf_keras.Model]
    has_alpha: bool

    def builder(self, alpha: float) -> Callable[..., tf_keras.Model]:
        """`build` with the option `alpha` where it exists."""
        return partial(self.build, alpha=alpha) if self.has_alpha else self.build


APPLICATIONS = {
    "mobilenet_v2": Application(tf_keras.applications.MobileNetV2, True),
    "inception_v3": Application(tf_keras.applications.InceptionV3, False),
}


@dataclass(frozen=True)
class Encoder:
    """An encoder and its options: `width` and `depth` apply to small_resnet, `alpha` to mobilenet_v2."""

    name: EncoderName
    weights: str
    width: int
    depth: int
    alpha: float

    def __call__(self, layers: ResidualLayers, image: tf.Tensor) -> tf.Tensor:
        """The feature maps (B, H', W', C') of images (B, H, W, C) in [0, 1], C = 1 or 3.

        Without pretrained weights the initial ones depend only on seed and layer name. Raises UserError for images
        that are too small and for weights that are missing or do not fit.
        """
        return self._small_resnet(layers, image) if self.name == "small_resnet" else self._application(layers, image)

    def _small_resnet(self, layers: ResidualLayers, image: tf.Tensor) -> tf.Tensor:
        if self.weights == "imagenet":
            raise UserError("model.weights: imagenet weights exist for mobilenet_v2 and inception_v3 only. Use none")
        check_side(image.shape[1:], MIN_SIDE, "three times")
        features = residual_body(layers, image, self.width, self.depth, stem_stride=2)
        if self.weights != "none":
            load_file(tf_keras.Model(image, features, name=self.name), self.weights)
        return features

    def _application(self, layers: ResidualLayers, image: tf.Tensor) -> tf.Tensor:
        height, width, _ = image.shape[1:]
        smallest = MIN_IMAGE_SIZE[self.name]
        if min(height, width) < smallest:
            raise UserError(
                f"images of {height} x {width} pixels are too small for {self.name}: set data.image_size to "
                f"{smallest} or more, or use encoder: small_resnet"
            )
        build = APPLICATIONS[self.name].builder(self.alpha)
        original = _without_weights(build, height, width)
        names = _names(original)
        features = _copy(original, names, image, layers.seed, layers.momentum)
        if self.weights != "none":
            load_pretrained(tf_keras.Model(image, features), original, names, self.weights, build)
        return features


def check_weights(name: EncoderName, weights: str, image_size: int, alpha: float) -> None:
    """Raise UserError if the initial weights of an encoder are missing or do not fit, before hours of other work."""
    if weights == "none":
        return
    if name not in APPLICATIONS:
        check_file(weights)
        return
    build = APPLICATIONS[name].builder(alpha)
    load_original(_without_weights(build, image_size, image_size), weights, build)


def _without_weights(build: Callable[..., tf_keras.Model], height: int, width: int) -> tf_keras.Model:
    return build(input_shape=(height, width, COLOURS), include_top=False, weights=None, pooling=None)


def _names(model: tf_keras.Model) -> dict[str, str]:
    """{layer name: new name}: Keras numbers unnamed layers across the process, here each network counts from zero."""
    names, counted = {layer.name: layer.name for layer in model.layers}, defaultdict(list)
    for name in names:
        if match := UNNAMED.fullmatch(name):
            counted[match[1]].append((int(match[2] or 0), name))
    for kind, found in counted.items():
        for number, (_, name) in enumerate(sorted(found)):
            names[name] = f"{RENAMED.get(kind, kind)}_{number}" if number else RENAMED.get(kind, kind)
    return names


def _copy(model: tf_keras.Model, names: dict[str, str], image: tf.Tensor, seed: int, momentum: float) -> tf.Tensor:
    """The output of copies of the model's layers for `image`."""
    outputs = {}
    for node in nodes_of(model).values():
        if node.kind == "InputLayer":
            outputs[node.name] = image
            continue
        inputs = [outputs[name] for name in node.inputs]
        layer = _layer(node.layer, names[node.name], seed, momentum)
        outputs[node.name] = layer(inputs if len(inputs) > 1 else inputs[0])
    return outputs[model.output_names[0]]


def _layer(layer: kl.Layer, name: str, seed: int, momentum: float) -> kl.Layer:
    """A copy with another name: seeded, with our momentum, and with a gamma in every batch norm for pruning."""
    if isinstance(layer, kl.Activation):
        return kl.ReLU(name=name)
    config = {**layer.get_config(), "name": name}
    if isinstance(layer, kl.BatchNormalization):
        config |= {"momentum": momentum, "scale": True}
    for key in ("kernel_initializer", "depthwise_initializer"):
        if key in config:
            initializer = config[key]
            config[key] = {**initializer, "config": {**initializer["config"], "seed": name_seed(seed, name)}}
    return type(layer).from_config(config)


def check_file(path: str | Path) -> Path:
    """The path with ~ expanded; UserError if there is no such file."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"model.weights: {path}: no such file. Use a file of Keras weights, imagenet, or none")
    return path


def load_file(model: tf_keras.Model, path: str | Path) -> None:
    """Load a weights file (.weights.h5 or .h5) into `model`; UserError if it does not fit."""
    path = check_file(path)
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"model.weights: {path} is damaged, or belongs to another network than {model.name} without its top layers: "
            f"{reason}"
        ) from error
    for variable in model.variables:
        if not np.isfinite(variable.numpy()).all():
            raise UserError(f"model.weights: {path}: '{variable.name}' holds numbers that are not finite")


def load_pretrained(
    encoder: tf_keras.Model,
    original: tf_keras.Model,
    names: dict[str, str],
    weights: str,
    build: Callable[..., tf_keras.Model],
) -> None:
    """Load the weights of a Keras application, imagenet or a file, into `encoder`, a copy of `original`.

    `names`: {layer of the original: layer of the copy}. `build` makes the original. These weights were trained on pixels
    in [-1, 1], ours are in [0, 1]: the first convolution and its batch norm absorb the difference.
    """
    original = load_original(original, weights, build)
    for source, name in zip(original.layers, names.values(), strict=True):
        if source.weights:
            _copy_weights(source, encoder.get_layer(name))
    _absorb_pixel_range(encoder)


def load_original(original: tf_keras.Model, weights: str, build: Callable[..., tf_keras.Model]) -> tf_keras.Model:
    """The Keras application with its weights, imagenet or a file; UserError if they cannot be loaded."""
    if weights == "imagenet":
        return _imagenet(original, build)
    load_file(original, weights)
    return original


def _imagenet(model: tf_keras.Model, build: Callable[..., tf_keras.Model]) -> tf_keras.Model:
    """The application with Keras's ImageNet weights, downloaded to ~/.keras/models if necessary."""
    try:
        return build(input_shape=model.input_shape[1:], include_top=False, weights="imagenet", pooling=None)
    except Exception as error:  # no connection, a damaged download, an alpha without weights
        raise UserError(
            f"model.weights: the ImageNet weights of {model.name} cannot be loaded: {str(error).strip()}\n"
            "Download the file (its name ends in _no_top.h5 or _notop.h5) on another machine and copy it to ~/.keras/models, "
            "or set model.weights to its path"
        ) from error


def _copy_weights(source: kl.Layer, target: kl.Layer) -> None:
    """Copy the weights of `source`; the first kernel is summed over the colours if the copy takes grey images."""
    if isinstance(source, BatchNorm):
        for key in ("gamma", "beta", "moving_mean", "moving_variance"):
            if (variable := getattr(source, key)) is not None:
                getattr(target, key).assign(variable)
        return
    arrays = source.get_weights()
    if arrays[0].shape[2] != target.weights[0].shape[2]:
        arrays[0] = arrays[0].sum(axis=2, keepdims=True)
    target.set_weights(arrays)


def _absorb_pixel_range(encoder: tf_keras.Model) -> None:
    """conv(2x - 1) = 2 conv(x) - sum(W): the kernel doubles, the mean of its batch norm grows by sum(W).

    Exact where the window is inside the image; zero padding meant middle grey before and means black now.
    """
    convolution = next(layer for layer in encoder.layers if isinstance(layer, kl.Conv2D))
    norm = next(layer for layer in encoder.layers if isinstance(layer, BatchNorm))
    (kernel,) = convolution.get_weights()
    convolution.set_weights([2 * kernel])
    norm.moving_mean.assign_add(kernel.sum(axis=(0, 1, 2)))
