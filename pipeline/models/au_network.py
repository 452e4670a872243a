"""A network for action units: an encoder, global pooling, and one common head or one head per action unit."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.models.encoders import Encoder, EncoderName
from pipeline.models.resnet import DropoutPosition, ResidualLayers
from pipeline.models.settings import COMMON, HIDDEN, head_layer

Pooling = Literal["avg", "max"]
Heads = Literal["common", "per_au"]
POOLING = {"avg": kl.GlobalAveragePooling2D, "max": kl.GlobalMaxPooling2D}


def au_network(
    input_shape: tuple[int, int, int],
    au_names: Sequence[str],
    encoder: EncoderName = "small_resnet",
    weights: str = "none",
    pooling: Pooling = "avg",
    heads: Heads = "per_au",
    head_units: int = 64,
    width: int = 16,
    depth: int = 8,
    alpha: float = 1.0,
    dropout_rate: float = 0.0,
    dropout_position: DropoutPosition = "head",
    seed: int = 1,
    batch_norm_momentum: float = 0.99,
) -> tf_keras.Model:
    """The network from images (B, H, W, C) in [0, 1] to one logit per action unit (B, A).

    A head is Dense, ReLU, batch norm, twice, then a logit (layers AU6_dense1, AU6_relu1, AU6_norm1, ..., AU6_logit).
    `weights` are the initial weights of the encoder: none (random, from `seed` and layer name only), imagenet, or a file.
    `width` and `depth` apply to small_resnet, `alpha` to mobilenet_v2. Raises UserError for what an encoder does not
    support: images that are too small, dropout inside it, weights that are missing or do not fit.
    """
    if dropout_rate and dropout_position != "head" and encoder != "small_resnet":
        raise UserError(
            f"dropout.position: {dropout_position} needs the residual blocks of small_resnet, which {encoder} does not "
            "have. Use position: head, or encoder: small_resnet"
        )
    layers = ResidualLayers("identity", dropout_rate, dropout_position, seed, batch_norm_momentum)
    image = tf_keras.Input(input_shape, name="image")
    features = Encoder(encoder, weights, width, depth, alpha)(layers, image)
    features = POOLING[pooling](name="pool")(features)
    if heads == "common":
        logits = _head(layers, features, COMMON, head_units, len(au_names))
    else:
        logits = [_head(layers, features, name, head_units, 1) for name in au_names]
        logits = kl.Concatenate(name="logits")(logits) if len(logits) > 1 else logits[0]
    return tf_keras.Model(image, logits, name=f"au_{encoder}")


def _head(layers: ResidualLayers, x: tf.Tensor, head: str, units: int, logits: int) -> tf.Tensor:
    for number, part in enumerate(HIDDEN, start=1):
        x = _dense(layers, x, head_layer(head, part), units)
        x = layers.norm(layers.relu(x, head_layer(head, f"relu{number}")), head_layer(head, f"norm{number}"))
    x = layers.dropout(x, "head", head_layer(head, "dropout"))
    return _dense(layers, x, head_layer(head, "logit"), logits)


def _dense(layers: ResidualLayers, x: tf.Tensor, name: str, units: int) -> tf.Tensor:
    return kl.Dense(units, kernel_initializer=layers.initial(name), name=name)(x)
