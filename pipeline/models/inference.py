"""Logits of a network in inference mode, batch by batch."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.data.batches import image_batches
from pipeline.errors import UserError

Forward = Callable[[np.ndarray], tf.Tensor]  # images uint8 (B, H, W, C) to logits float32 (B, K)


def pixels(images: tf.Tensor) -> tf.Tensor:
    """uint8 images (B, H, W, C) as the input of a network: float32 in [0, 1]."""
    return tf.cast(images, tf.float32) * np.float32(1 / 255)


def compile_forward(model: tf_keras.Model) -> Forward:
    """The forward pass of `model` on uint8 images, compiled once for all batch sizes."""
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    return tf.function(lambda batch: model(pixels(batch), training=False), [images], autograph=False)


def logits_in_batches(forward: Forward, images: np.ndarray, between: Callable[[], None] = lambda: None) -> np.ndarray:
    """Logits float32 (N, K) for uint8 images (N, H, W, C), N = 0 included.

    `between` is called before every batch and may raise, for example to stop.
    """
    if not len(images):  # TensorFlow's fused kernels refuse an empty batch
        return forward(np.zeros((1, *images.shape[1:]), np.uint8)).numpy()[:0]
    parts = []
    for batch in image_batches(images.shape):
        between()
        parts.append(forward(images[batch]).numpy())
    return np.concatenate(parts)


def check_image_network(model: object, where: str) -> None:
    """Raise UserError in the name of function `where` unless `model` maps images (H, W, C) of a fixed size to one output.

    It has to be a built functional or Sequential tf_keras model.
    """
    if not isinstance(model, tf_keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        advice = "with TF_USE_LEGACY_KERAS=1 set before TensorFlow is imported, tf.keras is tf_keras"
        raise UserError(f"{where}: model must be a tf_keras model, not {kind}; {advice}")
    if not getattr(model, "inputs", None):
        raise UserError(f"{where}: network '{model.name}' must be a functional or built Sequential tf_keras model")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        found = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise UserError(f"{where}: network '{model.name}' has {found}; only one of each is supported")
    if len(model.input_shape) != 4 or None in model.input_shape[1:]:
        shape = model.input_shape[1:]
        raise UserError(f"{where}: network '{model.name}' takes {shape}, not images (H, W, C) of a fixed size")
