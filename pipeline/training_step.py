"""One training step as a compiled graph, with no work in Python but the call."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.methods.weight_decay import kernels
from pipeline.models.layers import dropout_layers
from pipeline.tasks import Task

Step = Callable[[np.ndarray, np.ndarray, np.float32, np.int64], None]


def pixels(images: tf.Tensor) -> tf.Tensor:
    """uint8 images (B, H, W, C) as the network takes them: float32 in [0, 1]."""
    return tf.cast(images, tf.float32) * np.float32(1 / 255)


def objective(model: tf_keras.Model, task: Task, methods: Sequence, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """What training minimises on a batch, a scalar: the task's loss and the methods' penalties."""
    loss = task.loss(model(pixels(images), training=True), labels)
    penalties = [method.penalty(model) for method in methods]
    return tf.add_n([loss, *(penalty for penalty in penalties if penalty is not None)])


def compile_step(
    model: tf_keras.Model, optimizer: tf_keras.optimizers.Optimizer, task: Task, methods: Sequence, total: tf.Variable
) -> Step:
    """A step `(images, labels, learning rate, 0-based step of the run)` that adds its objective to `total`.

    A loss or gradient that is not finite raises tf.errors.InvalidArgumentError before any weight changes; the graph
    finds it, so no device has to report after every step.
    """
    variables, dropouts = model.trainable_variables, dropout_layers(model)
    decay = sum(method.decoupled_rate() for method in methods if hasattr(method, "decoupled_rate"))

    @tf.function(autograph=False)
    def step(images, labels, rate, number):
        optimizer.learning_rate.assign(rate)
        for layer in dropouts:
            layer.step.assign(number)
        with tf.GradientTape() as tape:
            value = objective(model, task, methods, images, labels)
        gradients = tape.gradient(value, variables)
        with tf.control_dependencies(_checks(value, gradients, variables)):
            _decay(model, rate, decay)
            optimizer.apply_gradients([pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None])
            total.assign_add(tf.cast(value, total.dtype))
        for method in methods:
            method.after_step(model)

    return step


def _checks(value: tf.Tensor, gradients: list, variables: list) -> list[tf.Tensor]:
    names = [f"gradient of {variable.name}" for variable in variables]
    named = [("loss", value), *zip(names, gradients, strict=True)]
    return [tf.debugging.check_numerics(tensor, name) for name, tensor in named if tensor is not None]


def _decay(model: tf_keras.Model, rate: tf.Tensor, decay: float) -> None:
    """w -= rate * decay * w for the kernels: Loshchilov and Hutter 2019, "Decoupled Weight Decay", algorithm 2."""
    if decay:
        for kernel in kernels(model):
            kernel.assign_sub(rate * decay * kernel)
