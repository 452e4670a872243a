"""Pruning and the other methods on AU networks: filters leave encoder, concatenations and heads; files stay exact."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.methods import Dropout, Pruning, WeightDecay
from pipeline.models.channels import shrink
from pipeline.models.layers import dropout_layers
from pipeline.quantization.lowering import lower
from pipeline.quantization.scheme import quantize
from pipeline.training.step import compile_step
from tests.models.au_samples import AUS, SIDES, exact_model, shaken_network, small_network
from tests.quantization.quantization_samples import images, options, pixels, settle

EPOCHS = 8


def pruned(model: tf_keras.Model, ratio: float = 0.5) -> tf_keras.Model:
    Pruning(ratio=ratio).before_epoch(model, epoch=EPOCHS - 1, epochs=EPOCHS)
    return model


@pytest.mark.parametrize("encoder", SIDES)
def test_the_smaller_network_computes_the_same(encoder: str):
    model = pruned(shaken_network(encoder))
    smaller = shrink(model)
    batch = pixels(images(3, shape=model.input_shape[1:]))
    np.testing.assert_allclose(smaller(batch), model(batch), rtol=1e-3, atol=1e-4)
    assert smaller.count_params() < 0.4 * model.count_params()
    for name in AUS:
        assert smaller.get_layer(f"{name}_dense1").units == smaller.get_layer(f"{name}_dense2").units == 6
        assert smaller.get_layer(f"{name}_logit").units == 1


@pytest.mark.parametrize("encoder", ["small_resnet", "mobilenet_v2"])
def test_a_pruned_quantized_network_is_exact(encoder: str):
    model = pruned(quantize(shaken_network(encoder), options()))
    settle(model, shape=model.input_shape[1:])
    smaller = exact_model(Pruning().export(pruned(model)))
    before, after = (
        sum(operation.weights.codes.size for operation in found.operations if operation.weights is not None)
        for found in (lower(model).integer_model, smaller)
    )
    assert after < 0.4 * before


class MeanSquare:
    """A loss for training steps: the mean square of the logits' distance from the labels."""

    def loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.square(logits - tf.cast(labels, tf.float32)))


def trained(model: tf_keras.Model, methods: list, steps: int = 12) -> list[float]:
    """The loss of every step on one batch."""
    total = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    for method in methods:
        method.before_epoch(model, EPOCHS - 1, EPOCHS)
    step = compile_step(model, tf_keras.optimizers.Adam(0.01), MeanSquare(), methods, total)
    batch = images(8, seed=1, shape=model.input_shape[1:])
    labels = np.random.default_rng(0).integers(0, 2, (8, len(AUS))).astype(np.uint8)
    sums = [0.0]
    for number in range(steps):
        step(batch, labels, np.float32(0.01), np.int64(number))
        sums.append(float(total.numpy()))
    return np.diff(sums).tolist()


def test_all_methods_train_at_once():
    methods = [Dropout(rate=0.1), WeightDecay(rate=1e-3), Pruning(ratio=0.5), options()]
    model = small_network(dropout_rate=0.1)
    for method in methods:
        model = method.wrap(model)
    assert len(dropout_layers(model)) == len(AUS)
    losses = trained(model, methods)
    assert np.isfinite(losses).all() and min(losses[-3:]) < losses[0]
    kernel = model.get_layer("quant_AU6_dense1")._weight_vars[0][0].numpy()
    assert (np.abs(kernel).sum(axis=0) == 0).sum() == 6
    exact_model(Pruning().export(settle(model, shape=model.input_shape[1:])))
