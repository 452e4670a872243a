"""Where a network stopped being finite: for the error message of a diverged training."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.tasks import Task
from pipeline.training_step import objective, pixels

CHECK_MESSAGE = "Tensor had"  # what tf.debugging.check_numerics writes


def is_divergence(error: tf.errors.InvalidArgumentError) -> bool:
    """Whether a training step failed because a loss or a gradient was not finite."""
    return CHECK_MESSAGE in error.message


def culprit(model: tf_keras.Model, task: Task, methods: Sequence, images: np.ndarray, labels: np.ndarray) -> str:
    """What is not finite first on a batch (B, H, W, C), (B,): a layer's weights, output or gradient, or the loss.

    Gradients flow backwards, so of theirs the last layer's is named. Batch statistics do not count: the forward pass
    that failed has spoilt them all.
    """
    for layer in model.layers:
        if not all(_finite(weight) for weight in layer.trainable_weights):
            return f"a weight of layer '{layer.name}'"
    for layer, outputs in _outputs(model, images):
        if not all(_finite(output) for output in outputs):
            return f"the output of layer '{layer.name}'"
    for layer in reversed(_layers_with_bad_gradients(model, task, methods, images, labels)):
        return f"a gradient of layer '{layer.name}'"
    return "the loss"


def _finite(tensor) -> bool:
    return bool(np.isfinite(np.asarray(tensor)).all())


def _outputs(model: tf_keras.Model, images: np.ndarray) -> list[tuple[tf_keras.layers.Layer, list]]:
    """Each layer with its outputs in training mode, in the order of computation."""
    # A layer that was copied from graph to graph has nodes elsewhere too; these are the model's own, deepest first.
    nodes = [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True) for node in level]
    symbolic = [tf.nest.flatten(node.outputs) for node in nodes]
    values = tf_keras.Model(model.inputs, symbolic)(pixels(tf.constant(images)), training=True)
    return [(node.layer, outputs) for node, outputs in zip(nodes, values, strict=True)]


def _layers_with_bad_gradients(
    model: tf_keras.Model, task: Task, methods: Sequence, images: np.ndarray, labels: np.ndarray
) -> list[tf_keras.layers.Layer]:
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        value = objective(model, task, methods, tf.constant(images), tf.constant(labels))
    gradients = tape.gradient(value, variables)
    bad = {
        variable.ref()
        for variable, gradient in zip(variables, gradients, strict=True)
        if gradient is not None and not _finite(gradient)
    }
    return [layer for layer in model.layers if any(weight.ref() in bad for weight in layer.trainable_weights)]
