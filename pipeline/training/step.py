"""One training step as a compiled graph, and finding the first value that is not finite when it diverges."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.methods.base import Method
from pipeline.methods.weight_decay import kernels
from pipeline.models.inference import pixels
from pipeline.models.layers import dropout_layers
from pipeline.training.replicas import ONE, OneReplica, replicas_of
from pipeline.training.tasks import Task

Step = Callable[[np.ndarray, np.ndarray, np.float32, np.int64], None]
CHECK_MESSAGE = "Tensor had"  # what tf.debugging.check_numerics writes


def objective(
    model: tf_keras.Model,
    task: Task,
    methods: Sequence[Method],
    images: tf.Tensor,
    labels: tf.Tensor,
    replicas: OneReplica = ONE,
) -> tf.Tensor:
    """The scalar that training minimises on a batch: the loss of the task plus the penalties of the methods.

    `images` and `labels` are the whole batch; with several replicas each returns its part of the scalar.
    """
    logits = model(pixels(replicas.own(images)), training=True)
    loss = task.loss(replicas.gathered(logits, images.shape[0]), labels)
    penalties = [method.penalty(model) for method in methods]
    return replicas.part(tf.add_n([loss, *(penalty for penalty in penalties if penalty is not None)]))


def compile_step(
    model: tf_keras.Model,
    optimizer: tf_keras.optimizers.Optimizer,
    task: Task,
    methods: Sequence[Method],
    total: tf.Variable,
) -> Step:
    """A step `(images, labels, learning rate, 0-based step of the run)` that adds its objective to `total`.

    It runs on all replicas of the model. The graph checks loss and gradients, so that no value has to be fetched
    after every step: one that is not finite raises tf.errors.InvalidArgumentError before any weight changes.
    """
    variables, dropouts, replicas = model.trainable_variables, dropout_layers(model), replicas_of(model)
    decay = sum(method.decoupled_rate() for method in methods)

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


def is_divergence(error: tf.errors.InvalidArgumentError) -> bool:
    """Whether a training step failed because a loss or a gradient was not finite."""
    return CHECK_MESSAGE in error.message


def culprit(
    model: tf_keras.Model, task: Task, methods: Sequence[Method], images: np.ndarray, labels: np.ndarray
) -> str:
    """What is first not finite on a batch (B, H, W, C), (B,): a layer's weights, output or gradient, or the loss.

    Gradients flow backwards, so the last layer with a bad gradient is named. Batch statistics are not checked: the
    failed forward pass has spoilt them all.
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


def _checked(value: tf.Tensor, gradients: list, variables: list) -> tf.Operation:
    """One operation after all checks, since an edge from every check to every update would dominate the graph."""
    names = [f"gradient of {variable.name}" for variable in variables]
    named = [("loss", value), *zip(names, gradients, strict=True)]
    return tf.group(*(tf.debugging.check_numerics(tensor, name) for name, tensor in named))


def _decay(model: tf_keras.Model, rate: tf.Tensor, decay: float) -> None:
    """w -= rate * decay * w for the kernels: Loshchilov and Hutter 2019, "Decoupled Weight Decay", algorithm 2."""
    if decay:
        for kernel in kernels(model):
            kernel.assign_sub(rate * decay * kernel)


def _finite(tensor) -> bool:
    return bool(np.isfinite(np.asarray(tensor)).all())


def _outputs(model: tf_keras.Model, images: np.ndarray) -> list[tuple[tf_keras.layers.Layer, list]]:
    """Each layer with its outputs in training mode, in the order of computation."""
    # Layers copied between graphs also have other nodes; these are the model's own, deepest first.
    nodes = [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True) for node in level]
    symbolic = [tf.nest.flatten(node.outputs) for node in nodes]
    values = tf_keras.Model(model.inputs, symbolic)(pixels(tf.constant(images)), training=True)
    return [(node.layer, outputs) for node, outputs in zip(nodes, values, strict=True)]


def _layers_with_bad_gradients(
    model: tf_keras.Model, task: Task, methods: Sequence[Method], images: np.ndarray, labels: np.ndarray
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
