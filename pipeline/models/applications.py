"""MobileNetV2 and InceptionV3 of Keras as encoders: their layers with seeded weights and names that are always the same.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; Szegedy et al. 2016, "Rethinking the
Inception Architecture for Computer Vision".
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.models.layers import name_seed
from pipeline.models.pretrained import check_file, load_original, load_pretrained
from pipeline.quantization.graph import nodes_of

ApplicationName = Literal["mobilenet_v2", "inception_v3"]
COLOURS = 3
UNNAMED = re.compile(r"(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d|concatenate)(?:_(\d+))?")
RENAMED = {"activation": "relu"}


@dataclass(frozen=True)
class Application:
    """How Keras builds an encoder: the smallest side it takes in pixels, and whether `alpha` is one of its options."""

    build: Callable[..., tf_keras.Model]
    smallest_side: int
    has_alpha: bool


APPLICATIONS = {
    "mobilenet_v2": Application(tf_keras.applications.MobileNetV2, 32, True),
    "inception_v3": Application(tf_keras.applications.InceptionV3, 75, False),
}


def application_features(
    name: ApplicationName, image: tf.Tensor, weights: str, alpha: float, seed: int, momentum: float
) -> tf.Tensor:
    """The last feature maps (B, H', W', C') of an application for images (B, H, W, C) in [0, 1], C = 1 or 3.

    Without pretrained weights the first ones depend on `seed` and layer name only. Raises UserError for images that are
    too small and for pretrained weights that are missing or do not fit.
    """
    application = APPLICATIONS[name]
    height, width, _ = image.shape[1:]
    if min(height, width) < application.smallest_side:
        raise UserError(
            f"images of {height} x {width} pixels are too small for {name}: set data.image_size to "
            f"{application.smallest_side} or more, or use encoder: small_resnet"
        )
    options = {"alpha": alpha} if application.has_alpha else {}
    shape = (height, width, COLOURS)
    original = application.build(input_shape=shape, include_top=False, weights=None, pooling=None, **options)
    names = _names(original)
    features = _copy(original, names, image, seed, momentum)
    if weights != "none":
        load_pretrained(
            tf_keras.Model(image, features), original, names, weights, partial(application.build, **options)
        )
    return features


def _names(model: tf_keras.Model) -> dict[str, str]:
    """{name of a layer: the name it gets}: Keras counts unnamed layers through the whole process, here from none."""
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
    """A copy under another name: seeded, with our momentum, and a gain in every batch norm for pruning to switch off."""
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


def check_weights(name: str, weights: str, image_size: int, alpha: float) -> None:
    """Raise UserError if the first weights of encoder `name` cannot be had or do not fit: before hours of other work."""
    if weights == "none":
        return
    if name not in APPLICATIONS:
        check_file(weights)
        return
    application = APPLICATIONS[name]
    options = {"alpha": alpha} if application.has_alpha else {}
    build = partial(application.build, **options)
    original = build(input_shape=(image_size, image_size, COLOURS), include_top=False, weights=None, pooling=None)
    load_original(original, weights, build)
