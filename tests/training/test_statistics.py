"""Re-estimated statistics against batch statistics computed in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.models.layers import SeededDropout
from pipeline.training.statistics import Statistics, auto_momentum, reestimate, statistics_batches
from tests.training.training_samples import tiny_data, tiny_network

IMAGES = tiny_data(24).train_images
BATCHES = [IMAGES[start : start + 8] for start in (0, 8, 16)]


class Observed(tf_keras.layers.Layer):
    """Doubles its input and keeps a moving average of its largest value, as the activation quantizers do."""

    def build(self, input_shape):
        self.calls = self.add_weight("calls", shape=(), initializer="zeros", trainable=False)
        self.range = self.add_weight("output_activation_range", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs, training=None):
        if training:
            self.calls.assign_add(1.0)
            largest = tf.reduce_max(inputs)
            self.range.assign(tf.where(self.range > 0, 0.9 * self.range + 0.1 * largest, largest))
        return inputs * 2


class Folded(tf_keras.layers.Layer):
    """A batch norm inside another layer, which shows its statistics as its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.batch_norm = tf_keras.layers.BatchNormalization(momentum=0.7)

    moving_mean = property(lambda self: self.batch_norm.moving_mean)
    moving_variance = property(lambda self: self.batch_norm.moving_variance)
    momentum = property(lambda self: self.batch_norm.momentum)

    def call(self, inputs, training=None):
        return self.batch_norm(inputs, training=training)


def observed_network(dropout: float = 0.0) -> tf_keras.Model:
    image = tf_keras.Input((8, 8, 1))
    x = SeededDropout(dropout, 1)(image) if dropout else image
    x = tf_keras.layers.BatchNormalization(momentum=0.95, name="first")(x)
    x = Folded(name="second")(Observed(name="observed")(x))
    return tf_keras.Model(image, tf_keras.layers.Flatten()(x))


def moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and variance of (B, H, W, 1); Keras's fused batch norm estimates the variance without bias."""
    return values.mean(), values.var(ddof=1)


def expected() -> dict[str, float]:
    sums = dict.fromkeys(("first_mean", "first_variance", "range", "second_mean", "second_variance"), 0.0)
    for batch in BATCHES:
        x = batch / 255
        mean, variance = moments(x)
        y = (x - mean) / np.sqrt(x.var() + 1e-3)
        second_mean, second_variance = moments(2 * y)
        for key, value in zip(sums, (mean, variance, y.max(), second_mean, second_variance), strict=True):
            sums[key] += value / len(BATCHES)
    return sums


def found(model: tf_keras.Model) -> dict[str, float]:
    first, second = model.get_layer("first"), model.get_layer("second")
    variables = (first.moving_mean, first.moving_variance, model.get_layer("observed").range, second.moving_mean,
                 second.moving_variance)  # fmt: skip
    return {key: float(np.squeeze(variable.numpy())) for key, variable in zip(expected(), variables, strict=True)}


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_statistics_are_the_plain_average_over_the_batches_without_dropout(dropout):
    model = observed_network(dropout)
    model(np.ones((2, 8, 8, 1), np.float32), training=True)
    reestimate(model, BATCHES)
    assert found(model) == pytest.approx(expected(), rel=1e-4, abs=1e-5)
    assert model.get_layer("observed").calls.numpy() == 1
    assert all(layer.enabled for layer in model.layers if isinstance(layer, SeededDropout))


def test_statistics_do_not_depend_on_earlier_ones():
    model = observed_network()
    reestimate(model, BATCHES)
    first = found(model)
    model(np.ones((2, 8, 8, 1), np.float32), training=True)
    statistics = Statistics(model)
    for _ in range(2):
        statistics.reestimate(BATCHES)
        assert found(model) == first


def test_training_does_not_notice():
    model = observed_network()
    model(np.ones((2, 8, 8, 1), np.float32), training=True)
    before = found(model)
    with Statistics(model).reestimated(BATCHES):
        assert found(model) == pytest.approx(expected(), rel=1e-4, abs=1e-5)
    assert found(model) == before


def test_statistics_come_back_after_an_error():
    model = observed_network()
    before = found(model)
    with pytest.raises(RuntimeError), Statistics(model).reestimated(BATCHES):
        raise RuntimeError
    assert found(model) == before


def test_weights_stay():
    model = tiny_network()
    before = [variable.numpy() for variable in model.trainable_variables]
    reestimate(model, BATCHES)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_no_batches_are_an_error_that_changes_nothing():
    model = observed_network()
    before = found(model)
    with pytest.raises(ValueError, match="at least one batch"), Statistics(model).reestimated([]):
        pass
    assert found(model) == before


def test_batches_are_the_same_every_time_and_not_more_than_there_are():
    once, again = (list(statistics_batches(IMAGES, 5, 3, 2)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.shape(once) == (2, 5, 8, 8, 1)
    assert len(list(statistics_batches(IMAGES, 5, 3, 99))) == 4
    assert not np.array_equal(once, list(statistics_batches(IMAGES, 5, 4, 2)))


def test_auto_momentum_forgets_an_epoch():
    assert auto_momentum(100) ** 100 == pytest.approx(0.01)
    assert auto_momentum(1) == 0.5
    assert auto_momentum(10_000) == 0.99
