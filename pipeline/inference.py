"""Logits of a network in inference mode, batch by batch."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.image_batches import image_batches
from pipeline.training_step import pixels

Forward = Callable[[np.ndarray], tf.Tensor]  # images uint8 (B, H, W, C) to logits float32 (B, K)


def compile_forward(model: tf_keras.Model) -> Forward:
    """The forward pass of `model` on uint8 images, compiled once for any number of them."""
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    return tf.function(lambda batch: model(pixels(batch), training=False), [images], autograph=False)


def logits_in_batches(forward: Forward, images: np.ndarray, between: Callable[[], None] = lambda: None) -> np.ndarray:
    """Logits float32 (N, K) for uint8 images (N, H, W, C), N = 0 included.

    `between` is called before every batch; what it raises (a request to stop) comes through.
    """
    if not len(images):  # TensorFlow's fused kernels refuse an empty batch
        return forward(np.zeros((1, *images.shape[1:]), np.uint8)).numpy()[:0]
    parts = []
    for batch in image_batches(images.shape):
        between()
        parts.append(forward(images[batch]).numpy())
    return np.concatenate(parts)
