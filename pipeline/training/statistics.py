"""Batch-norm and activation statistics that match the weights, re-estimated before every evaluation.

Moving averages lag behind the weights, by method-dependent amounts that would distort a comparison of methods.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.data.batches import training_batches
from pipeline.models.inference import pixels
from pipeline.models.inputs import Batch
from pipeline.models.layers import dropout_layers
from pipeline.quantization.quantizers import RANGE_NAME

MOMENTUM_LIMITS = (0.5, 0.99)


def auto_momentum(steps_per_epoch: int) -> float:
    """The batch-norm momentum m with m^steps = 0.01, so that an epoch forgets 99 % of the previous one; 0.5 to 0.99.

    Keras's own 0.99 needs 458 steps for that.
    """
    lowest, highest = MOMENTUM_LIMITS
    return min(max(0.01 ** (1 / steps_per_epoch), lowest), highest)


def statistics_batches(images: np.ndarray, batch_size: int, seed: int, count: int) -> Iterator[np.ndarray]:
    """Up to `count` batches (B, H, W, C) of training images (N, H, W, C), not augmented; always the same ones."""
    batches = training_batches(images, np.zeros(len(images), np.int64), batch_size, seed, epoch=0, augmentation=None)
    return (batch for batch, _ in islice(batches, count))


def reestimate(model: tf_keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Set the statistics of `model` to their plain average over `batches` of uint8 images (B, H, W, C)."""
    Statistics(model).reestimate(batches)


def unchanged(batch):
    """Of a batch that is the network's input already."""
    return batch


class Statistics:
    """The statistics of one model: batch norm's moving mean and variance, and the quantizers' activation ranges.

    The statistics of a batch are read without changing a layer: with the moving average at 0, one forward pass in
    training mode leaves `(1 - momentum) * statistic` in it, and in an activation range the range itself. Dropout is
    off during this pass. `prepare` makes the network's input of a batch: by default of uint8 images (B, H, W, C).
    """

    def __init__(self, model: tf_keras.Model, prepare: Callable = pixels):
        self.model, self._prepare = model, prepare
        self._shares = _shares(model)
        self._measure = tf.function(self._traced, autograph=False, reduce_retracing=True)

    def reestimate(self, batches: Iterable[Batch]) -> None:
        """Set every statistic to its average over `batches`; nothing else changes."""
        kept = _values(self.model)
        averages = self._averages(batches)
        _assign(self.model, kept)
        for (variable, _), average in zip(self._shares, averages, strict=True):
            variable.assign(average)

    @contextmanager
    def reestimated(self, batches: Iterable[Batch]) -> Iterator[None]:
        """Re-estimate the statistics in the block and restore them after it."""
        kept = _values(self.model)
        try:
            self.reestimate(batches)
            yield
        finally:
            _assign(self.model, kept)

    def _averages(self, batches: Iterable[Batch]) -> list[np.ndarray]:
        sums, count = [0.0] * len(self._shares), 0
        with _without_dropout(self.model):
            for batch in batches:
                measured = self._measure(batch)
                sums = [total + value.numpy().astype(np.float64) for total, value in zip(sums, measured, strict=True)]
                count += 1
        if not count:
            raise ValueError("statistics need at least one batch")
        return [total / count for total in sums]

    def _traced(self, batch: tf.Tensor) -> list[tf.Tensor]:
        for variable, _ in self._shares:
            variable.assign(tf.zeros_like(variable))
        self.model(self._prepare(batch), training=True)
        return [variable / share for variable, share in self._shares]


def _shares(model: tf_keras.Model) -> list[tuple[tf.Variable, float]]:
    """Every statistic that training changes, and the share of it that one step adds to an average of 0."""
    found = {}
    for layer in model.submodules:
        has_both = hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance")
        if has_both and getattr(layer, "batch_norm", layer).trainable:  # a frozen one keeps its statistics
            for variable in (layer.moving_mean, layer.moving_variance):
                found[variable.ref()] = (variable, 1 - layer.momentum)
    for variable in model.non_trainable_variables:
        if RANGE_NAME in variable.name:
            found[variable.ref()] = (variable, 1.0)
    return list(found.values())


def _values(model: tf_keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.non_trainable_variables]


def _assign(model: tf_keras.Model, values: list[np.ndarray]) -> None:
    for variable, value in zip(model.non_trainable_variables, values, strict=True):
        variable.assign(value)


@contextmanager
def _without_dropout(model: tf_keras.Model) -> Iterator[None]:
    """Disable dropout, noise and augmentation, the project's and Keras's, in graphs that are traced inside the block."""
    enabled = [(layer, layer.enabled) for layer in dropout_layers(model)]
    random = [layer for layer in model.submodules if isinstance(layer, tf_keras.__internal__.layers.BaseRandomLayer)]
    try:
        for layer, _ in enabled:
            layer.enabled = False
        for layer in random:
            layer.call = _in_inference(layer.call)
        yield
    finally:
        for layer, before in enabled:
            layer.enabled = before
        for layer in random:
            del layer.call  # shows the method of the class again


def _in_inference(call: Callable) -> Callable:
    """A layer's `call` that never sees training mode."""

    @tf.autograph.experimental.do_not_convert
    def without_training(inputs, training=None):
        return call(inputs, training=False)

    return without_training
