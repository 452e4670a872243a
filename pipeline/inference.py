"""Logits of a network in inference mode, batch by batch."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.training_step import pixels

BATCH = 500  # images


Logits = Callable[[np.ndarray], np.ndarray]


def compile_logits(model: tf_keras.Model, between: Callable[[], None] = lambda: None) -> Logits:
    """A function from uint8 images (N, H, W, C) to logits float32 (N, K), compiled once for any N, 0 included.

    `between` is called before every batch; what it raises (a request to stop) comes through.
    """
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    forward = tf.function(lambda batch: model(pixels(batch), training=False), [images], autograph=False)

    def logits(images: np.ndarray) -> np.ndarray:
        parts = [np.zeros((0, *model.output_shape[1:]), np.float32)]
        for start in range(0, len(images), BATCH):
            between()
            parts.append(forward(images[start : start + BATCH]).numpy())
        return np.concatenate(parts)

    return logits
