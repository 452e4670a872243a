"""Small networks of any input rank: rebuilt, quantized, and compared with LiteRT code by code."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline import quantize
from pipeline.models.canonical import canonical
from pipeline.models.final import finals_of
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import IntegerModel
from pipeline.quantization.lowering import lower
from pipeline.tflite.exactness import layer_mismatches
from pipeline.tflite.write import write_tflite

EXAMPLES = 16


def small_network(shape: tuple[int, ...], body: Callable) -> tf_keras.Model:
    """The network of `body` on inputs of this shape; weights are random, so that batch norms and slopes do something."""
    tf_keras.utils.set_random_seed(0)
    x = tf_keras.Input(shape)
    model = tf_keras.Model(x, body(x))
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.BatchNormalization | tf_keras.layers.PReLU):
            layer.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in layer.get_weights()])
    return model


def examples(model: tf_keras.Model) -> np.ndarray:
    """Random inputs uint8 (EXAMPLES, ...)."""
    return np.random.default_rng(0).integers(0, 256, (EXAMPLES, *model.input_shape[1:])).astype(np.uint8)


def same_floats(model: tf_keras.Model) -> tf_keras.Model:
    """The canonical network, after comparing its outputs with those of the original one."""
    network, inputs = canonical(model), np.random.default_rng(1).normal(0.2, 1, (4, *model.input_shape[1:]))
    np.testing.assert_allclose(network(inputs), model(inputs), rtol=1e-4, atol=1e-5)
    return network


def check_exact(model: tf_keras.Model, **fields) -> IntegerModel:
    """The integer model of a quantized network, after no code differed from LiteRT's nor from the device network's.

    The outputs are also close to those of the training graph, so that the file computes this network.
    """
    quantized, inputs = quantize(model, **fields), examples(model)
    quantized(inputs / np.float32(255), training=True)
    integer_model = lower(quantized).integer_model
    different = layer_mismatches(integer_model, write_tflite(integer_model, False, False, "test"), inputs[:6])
    assert different and not any(different.values()), different
    outputs = integer_model.predict(inputs)
    np.testing.assert_array_equal(DeviceNetwork(integer_model).forward(inputs).numpy(), outputs)
    assert len(np.unique(outputs)) > 1
    simulated = quantized(inputs / np.float32(255), training=False).numpy()
    found = tf_keras.activations.get(finals_of(model)[0])(tf.constant(outputs)).numpy()
    assert np.abs(found - simulated).mean() < 0.05 * np.ptp(simulated)
    return integer_model
