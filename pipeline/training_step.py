"""One training step as a compiled graph, with no work in Python but the call."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.methods.weight_decay import kernels
from pipeline.models.layers import dropout_layers
from pipeline.replicas import ONE, OneReplica, replicas_of
from pipeline.tasks import Task

Step = Callable[[np.ndarray, np.ndarray, np.float32, np.int64], None]


def pixels(images: tf.Tensor) -> tf.Tensor:
    """uint8 images (B, H, W, C) as the network takes them: float32 in [0, 1]."""
    return tf.cast(images, tf.float32) * np.float32(1 / 255)


def objective(
    model: tf_keras.Model,
    task: Task,
    methods: Sequence,
    images: tf.Tensor,
    labels: tf.Tensor,
    replicas: OneReplica = ONE,
) -> tf.Tensor:
    """What training minimises on a batch, a scalar: the task's loss and the methods' penalties.

    `images` and `labels` are the whole batch's; of several replicas each has its part of that scalar.
    """
    logits = model(pixels(replicas.own(images)), training=True)
    loss = task.loss(replicas.gathered(logits, images.shape[0]), labels)
    penalties = [method.penalty(model) for method in methods]
    return replicas.part(tf.add_n([loss, *(penalty for penalty in penalties if penalty is not None)]))


def compile_step(
    model: tf_keras.Model, optimizer: tf_keras.optimizers.Optimizer, task: Task, methods: Sequence, total: tf.Variable
) -> Step:
    """A step `(images, labels, learning rate, 0-based step of the run)` that adds its objective to `total`.

    It is made on all replicas of the model. A loss or gradient that is not finite raises
    tf.errors.InvalidArgumentError before any weight changes; the graph finds it, so no device has to report after
    every step.
    """
    variables, dropouts, replicas = model.trainable_variables, dropout_layers(model), replicas_of(model)
    decay = sum(method.decoupled_rate() for method in methods if hasattr(method, "decoupled_rate"))

    def on_replica(images, labels, rate, number):
        for layer in dropouts:
            layer.step.assign(replicas.dropout_step(number))
        with tf.GradientTape() as tape:
            value = objective(model, task, methods, images, labels, replicas)
        gradients = tape.gradient(value, variables)
        changed = [variable for variable, gradient in zip(variables, gradients, strict=True) if gradient is not None]
        value, *gradients = replicas.summed([value, *(gradient for gradient in gradients if gradient is not None)])
        with tf.control_dependencies([_checked(value, gradients, changed)]):
            replicas.once(lambda: _decay(model, rate, decay))
            optimizer.apply_gradients(zip(gradients, changed, strict=True), skip_gradients_aggregation=True)
            replicas.once(lambda: total.assign_add(tf.cast(value, total.dtype)))
            replicas.average_statistics(model)

    @tf.function(autograph=False)
    def step(images, labels, rate, number):
        optimizer.learning_rate.assign(rate)
        replicas.run(on_replica, images, labels, rate, number)
        for method in methods:
            method.after_step(model)

    return step


def _checked(value: tf.Tensor, gradients: list, variables: list) -> tf.Operation:
    """One operation after all checks: an edge from every check to every update would be most of the graph."""
    names = [f"gradient of {variable.name}" for variable in variables]
    named = [("loss", value), *zip(names, gradients, strict=True)]
    return tf.group(*(tf.debugging.check_numerics(tensor, name) for name, tensor in named))


def _decay(model: tf_keras.Model, rate: tf.Tensor, decay: float) -> None:
    """w -= rate * decay * w for the kernels: Loshchilov and Hutter 2019, "Decoupled Weight Decay", algorithm 2."""
    if decay:
        for kernel in kernels(model):
            kernel.assign_sub(rate * decay * kernel)
