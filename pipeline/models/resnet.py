"""The residual network for small images: He et al. 2016, "Deep Residual Learning", sec. 4.1 and 4.2."""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf
import tf_keras

from pipeline.errors import UserError
from pipeline.models.layers import PadChannels, SeededDropout, name_seed
from pipeline.models.settings import blocks_per_stage

STAGES = 3
Shortcut = Literal["identity", "projection"]
DropoutPosition = Literal["head", "blocks", "stages"]
MIN_SIDE = 4


def resnet(
    input_shape: tuple[int, int, int],
    classes: int,
    depth: int = 20,
    width: int = 16,
    shortcut: Shortcut = "identity",
    dropout_rate: float = 0.0,
    dropout_position: DropoutPosition = "head",
    seed: int = 1,
    batch_norm_momentum: float = 0.99,
) -> tf_keras.Model:
    """The network of `depth` = 6n+2 layers: images (B, H, W, C) in [0, 1] to logits (B, K).

    Initial weights depend only on `seed` and layer names, so methods that add layers start from the same weights.
    Raises UserError for a depth that is not 6n+2 and for images smaller than 4 x 4 pixels.
    """
    check_side(input_shape, MIN_SIDE, "twice")
    layers = ResidualLayers(shortcut, dropout_rate, dropout_position, seed, batch_norm_momentum)
    image = tf_keras.Input(input_shape, name="image")
    x = residual_body(layers, image, width, depth)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, "head", "dropout")
    logits = tf_keras.layers.Dense(classes, kernel_initializer=layers.initial("logits"), name="logits")(x)
    return tf_keras.Model(image, logits, name=f"resnet{depth}")


@dataclass(frozen=True)
class ResidualLayers:
    """Makes the layers of one network; initial weights depend only on `seed` and the layer name."""

    shortcut: Shortcut
    dropout_rate: float
    dropout_position: DropoutPosition
    seed: int
    momentum: float

    def initial(self, name: str) -> tf_keras.initializers.Initializer:
        return tf_keras.initializers.HeNormal(seed=name_seed(self.seed, name))

    def conv(self, x: tf.Tensor, filters: int, name: str, stride: int = 1, size: int = 3) -> tf.Tensor:
        layer = tf_keras.layers.Conv2D(
            filters, size, stride, "same", use_bias=False, kernel_initializer=self.initial(name), name=name
        )
        return layer(x)

    def norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return tf_keras.layers.BatchNormalization(momentum=self.momentum, name=name)(x)

    def relu(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return tf_keras.layers.ReLU(name=name)(x)

    def dropout(self, x: tf.Tensor, position: DropoutPosition, name: str) -> tf.Tensor:
        """Dropout of `x` if the network has its dropout at `position`, else `x`."""
        if self.dropout_rate == 0 or position != self.dropout_position:
            return x
        return SeededDropout(self.dropout_rate, self.seed, name=name)(x)


def residual_body(layers: ResidualLayers, image: tf.Tensor, width: int, depth: int, stem_stride: int = 1) -> tf.Tensor:
    """The network of `depth` = 6n+2 layers up to its last feature map: image (B, H, W, C) to (B, H', W', 4 width).

    Raises UserError for any other depth.
    """
    blocks = blocks_per_stage(depth)
    x = layers.relu(layers.norm(layers.conv(image, width, "conv0", stem_stride), "bn0"), "relu0")
    for stage in range(1, STAGES + 1):
        x = _stage(layers, x, width * 2 ** (stage - 1), stage, blocks)
    return x


def check_side(input_shape: tuple[int, int, int], smallest: int, halvings: str) -> None:
    """Raise UserError for images with fewer than `smallest` pixels along an edge."""
    height, width, _ = input_shape
    if min(height, width) < smallest:
        raise UserError(
            f"images of {height} x {width} pixels are too small for this network, which halves them {halvings}; "
            f"use images of {smallest} x {smallest} pixels or more"
        )


def _stage(layers: ResidualLayers, x: tf.Tensor, filters: int, stage: int, blocks: int) -> tf.Tensor:
    for block in range(1, blocks + 1):
        stride = 2 if block == 1 and stage > 1 else 1
        x = _block(layers, x, filters, stride, f"s{stage}b{block}")
    return layers.dropout(x, "stages", f"dropout_s{stage}")


def _block(layers: ResidualLayers, x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
    y = layers.norm(layers.conv(x, filters, f"{name}_conv1", stride), f"{name}_bn1")
    y = layers.dropout(layers.relu(y, f"{name}_relu1"), "blocks", f"dropout_{name}")
    y = layers.norm(layers.conv(y, filters, f"{name}_conv2"), f"{name}_bn2")
    if stride > 1:
        x = _shortcut(layers, x, filters, stride, name)
    return layers.relu(tf_keras.layers.Add(name=f"{name}_add")([x, y]), f"{name}_relu2")


def _shortcut(layers: ResidualLayers, x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
    """Option A (subsample, zero channels on both sides) or option B (1x1 convolution) of He et al., sec. 4.1."""
    if layers.shortcut == "projection":
        return layers.norm(layers.conv(x, filters, f"{name}_shortcut_conv", stride, size=1), f"{name}_shortcut_bn")
    x = tf_keras.layers.MaxPooling2D(1, stride, name=f"{name}_subsample")(x)
    missing = filters - x.shape[-1]
    return PadChannels(missing // 2, missing - missing // 2, name=f"{name}_pad")(x)
