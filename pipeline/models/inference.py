"""Logits of a network in inference mode, batch by batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.data.batches import image_batches
from pipeline.errors import UserError
from pipeline.models.graph import graph_problem

KERAS_3 = "Keras 3 models cannot be quantized: build it with tf_keras, or with tf.keras under TF_USE_LEGACY_KERAS=1"
INPUT_RANKS = (1, 2, 3)  # without the batch axis
Forward = Callable[[np.ndarray], tf.Tensor]  # images uint8 (B, H, W, C) to logits float32 (B, K)


def pixels(images: tf.Tensor) -> tf.Tensor:
    """Images uint8 (B, H, W, C) as the input of a network: float32 in [0, 1]."""
    return tf.cast(images, tf.float32) * np.float32(1 / 255)


def compile_forward(model: tf_keras.Model) -> Forward:
    """The forward pass of `model` on uint8 images, compiled once for all batch sizes."""
    images = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    return tf.function(lambda batch: model(pixels(batch), training=False), [images], autograph=False)


def logits_in_batches(forward: Forward, images: np.ndarray, between: Callable[[], None] = lambda: None) -> np.ndarray:
    """Logits float32 (N, K) for images uint8 (N, H, W, C), N = 0 included.

    `between` is called before every batch and may raise, for example to stop.
    """
    if not len(images):  # TensorFlow's fused kernels refuse an empty batch
        return forward(np.zeros((1, *images.shape[1:]), np.uint8)).numpy()[:0]
    parts = []
    for batch in image_batches(images.shape):
        between()
        parts.append(forward(images[batch]).numpy())
    return np.concatenate(parts)


def check_keras(model: object, where: str) -> None:
    """Raise UserError in the name of function `where` unless `model` is a tf_keras model whose layers are connected."""
    if not isinstance(model, tf_keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        advice = f". {KERAS_3}" if kind.startswith("keras.") else ""
        advice = "; read the file with tf_keras.models.load_model" if isinstance(model, str | Path) else advice
        raise UserError(f"{where}: model must be a tf_keras model, not {kind}{advice}")
    if not getattr(model, "inputs", None):
        problem = graph_problem(model) or "it has no inputs"
        raise UserError(f"{where}: network '{model.name}': {problem}")


def check_network(model: object, where: str) -> None:
    """Raise UserError in the name of function `where` unless `model` maps inputs of fixed shapes to its outputs.

    Inputs are vectors (F,), sequences (T, C) or images (H, W, C). It has to be a built functional or Sequential tf_keras model.
    """
    check_keras(model, where)
    for tensor in model.inputs:
        shape = tuple(tensor.shape)[1:]
        if None in shape:
            raise UserError(
                f"{where}: network '{model.name}' takes {shape}, not a fixed size; give its Input numbers in place of None"
            )
        if len(shape) not in INPUT_RANKS:
            raise UserError(
                f"{where}: network '{model.name}' takes {shape}; only vectors (F,), sequences (T, C) and images (H, W, C)"
            )
