"""The residual network for small images: He et al. 2016, "Deep Residual Learning for Image Recognition", sec. 4.2."""

import tf_keras

from pipeline.models.residual import (
    DropoutPosition,
    ResidualLayers,
    Shortcut,
    check_depth,
    check_side,
    residual_body,
)

SMALLEST_SIDE = 4


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

    Initial weights depend on `seed` and each layer's name only: methods that add layers start from the same weights.
    Raises UserError for a depth that is not 6n+2 and for images smaller than 4 x 4 pixels.
    """
    check_depth(depth)
    check_side(input_shape, SMALLEST_SIDE, "twice")
    layers = ResidualLayers(shortcut, dropout_rate, dropout_position, seed, batch_norm_momentum)
    image = tf_keras.Input(input_shape, name="image")
    x = residual_body(layers, image, width, depth)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.dropout(x, "head", "dropout")
    logits = tf_keras.layers.Dense(classes, kernel_initializer=layers.initial("logits"), name="logits")(x)
    return tf_keras.Model(image, logits, name=f"resnet{depth}")
