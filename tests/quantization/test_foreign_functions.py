"""Activations, pairs, slices and TensorFlow functions: the same floats when rebuilt, and no code that differs from LiteRT's."""

import numpy as np
import pytest
import tensorflow as tf
from tf_keras import layers

from pipeline import load, quantize
from pipeline.errors import UserError
from pipeline.models.final import finals_of
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import plan_of, range_variables
from pipeline.quantization.plan import layer_bits
from pipeline.quantization.settings import QuantizationSettings
from tests.quantization.exact_samples import check_exact, examples, same_floats, small_network

SHAPE = (6, 8, 3)


def conv(x, filters: int = 6, **options):
    return layers.Conv2D(filters, 3, padding="same", **options)(x)


def head(x):
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def parts(x):
    first, second = tf.split(value=conv(x), num_or_size_splits=2, axis=-1)
    return first * tf.sigmoid(second)


def gate(x):
    x = conv(x, activation="relu")
    return x * tf.sigmoid(layers.Conv2D(6, 1)(tf.reduce_mean(x, [1, 2], keepdims=True)))


LAYERS = {
    "prelu": lambda x: conv(layers.PReLU(shared_axes=[1, 2])(conv(x))),
    "prelu of vectors": lambda x: layers.Reshape((1, 1, 6))(layers.PReLU()(layers.Dense(6)(layers.Flatten()(x)))),
    "small slope": lambda x: conv(layers.LeakyReLU(0.01)(conv(x))),
    "no slope": lambda x: conv(layers.LeakyReLU(0.0)(conv(x))),
    "largest": lambda x: conv(x) * layers.GlobalMaxPooling2D(keepdims=True)(conv(x)),
    "average": lambda x: conv(layers.Average()([conv(x), conv(x), conv(x)])),
    "larger": lambda x: conv(layers.Maximum()([conv(x), conv(x), conv(x)])),
    "smaller": lambda x: conv(layers.Minimum()([conv(x), conv(x)])),
    "rows together": lambda x: conv(layers.Concatenate(axis=1)([conv(x), conv(x, activation="relu")])),
    "one channel": lambda x: conv(conv(x) * layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)),
    "one row and one column": lambda x: conv(layers.AveragePooling2D((6, 1))(x) + layers.MaxPooling2D((1, 8))(x)),
    "times a vector": lambda x: conv(layers.Multiply()([conv(x), layers.GlobalMaxPooling2D()(conv(x))])),
    "minus a vector": lambda x: conv(layers.Subtract()([layers.Dense(6)(layers.Flatten()(x)), conv(x)])),
    "columns together": lambda x: conv(layers.Concatenate(axis=-2)([x, conv(x, 3)])),
    "bounded after pooling": lambda x: conv(layers.ReLU(0.3)(layers.MaxPooling2D()(conv(x)))),
    "another bound": lambda x: conv(layers.ReLU(0.5)(conv(x))),
    "center crop": lambda x: conv(layers.CenterCrop(3, 6)(conv(x))),
    "resizing": lambda x: conv(layers.Resizing(5, 11)(layers.Resizing(9, 7, "nearest")(x))),
    "activity": lambda x: conv(layers.ActivityRegularization(l2=0.1)(conv(x))),
}  # fmt: skip


def bounded_and_not(x):
    x = conv(x)
    return x + layers.ReLU(0.2)(x)


def twice(x):
    x = conv(x)
    return conv(x * x) + conv(x + x)


FUNCTIONS = {
    "square and double": twice,
    "bounded and not": bounded_and_not,
    "gate": gate,
    "parts": parts,
    "sigmoid": lambda x: conv(tf.nn.sigmoid(conv(x))),
    "tanh": lambda x: conv(tf.tanh(conv(x))),
    "swish": lambda x: conv(tf.nn.swish(conv(x))),
    "gelu": lambda x: conv(tf.nn.gelu(conv(x))),
    "elu": lambda x: conv(tf.nn.elu(conv(x))),
    "leaky": lambda x: conv(tf.nn.leaky_relu(conv(x), alpha=0.1)),
    "clip": lambda x: conv(tf.clip_by_value(conv(x), -0.2, 0.4)),
    "clip to 6": lambda x: conv(tf.clip_by_value(conv(x), clip_value_min=0, clip_value_max=6)),
    "larger": lambda x: conv(tf.maximum(conv(x), tf.abs(conv(x)))),
    "larger than a number": lambda x: conv(tf.maximum(conv(x), 0.0)),
    "smaller": lambda x: conv(tf.minimum(conv(x), -conv(x))),
    "square": lambda x: conv(tf.square(conv(x)) + conv(x) ** 2),
    "reshape": lambda x: conv(tf.reshape(conv(x), (-1, 12, 4, 6))),
    "concat": lambda x: conv(tf.concat([conv(x), conv(x)], axis=-1)),
    "mean": lambda x: conv(x) + tf.reduce_mean(conv(x), axis=(1, 2), keepdims=True),
    "transpose": lambda x: conv(tf.transpose(conv(x), (0, 2, 1, 3))),
    "one row": lambda x: conv(tf.expand_dims(conv(x)[:, 1], 1)),
    "last columns": lambda x: conv(conv(x)[:, :, -3:]),
    "every other channel": lambda x: conv(conv(x)[..., 1::2]),
    "every other place": lambda x: conv(conv(x)[:, ::2, ::2, :]),
    "sum of three": lambda x: conv(tf.add_n([conv(x), conv(x), tf.identity(conv(x))])),
    "resize": lambda x: conv(tf.image.resize(conv(x), (9, 5))),
    "numbers after a kernel": lambda x: conv(layers.ReLU()(conv(x) * 2 + 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", [*LAYERS, *FUNCTIONS])
def test_images(name: str):
    network = small_network(SHAPE, lambda x: head((LAYERS.get(name) if name in LAYERS else FUNCTIONS[name])(x)))
    same_floats(network)
    check_exact(network)


ON_SEQUENCES = {
    "mean": lambda x: tf.reduce_mean(x, 1),
    "largest with its axis": lambda x: tf.reduce_max(x, 1, keepdims=True),
    "prelu": lambda x: layers.Flatten()(layers.PReLU(shared_axes=[1])(x)),
    "function": lambda x: layers.Flatten()(tf.nn.silu(x)),
    "last place": lambda x: x[:, -1],
    "some places": lambda x: layers.Flatten()(layers.Conv1D(3, 2)(x[:, 2:7])),
    "places together": lambda x: layers.Flatten()(tf.concat([x, tf.sigmoid(x)], axis=1)),
    "larger": lambda x: layers.Flatten()(tf.maximum(x, -x)),
    "normalization": lambda x: layers.Flatten()(layers.Normalization(mean=[0.1] * 6, variance=[2.0] * 6)(x)),
}


@pytest.mark.parametrize("name", ON_SEQUENCES)
def test_functions_of_sequences(name: str):
    network = small_network((9, 3), lambda x: layers.Dense(3)(ON_SEQUENCES[name](layers.Conv1D(6, 3)(x))))
    same_floats(network)
    check_exact(network)


def test_softmax_called_at_the_end_makes_probabilities_of_the_logits():
    network = small_network(SHAPE, lambda x: tf.nn.softmax(head(conv(x))))
    assert finals_of(network) == ("softmax",)
    model = check_exact(same_floats(network))
    assert [operation.kind for operation in model.operations] == ["CONV_2D", "MEAN", "FULLY_CONNECTED"]


def test_slopes_of_a_prelu_are_trained():
    network = small_network(SHAPE, lambda x: layers.PReLU(shared_axes=[1, 2], name="slopes")(conv(x)))
    assert same_floats(network).output_names == ["slopes"]
    quantized = quantize(network)
    assert [weight.shape for weight in quantized.trainable_weights if "slopes" in weight.name] == [(6,)]


def test_layers_of_our_own_are_saved_and_loaded(tmp_path):
    body = lambda x: head(layers.PReLU(shared_axes=[1, 2], alpha_regularizer="l2")(conv(x)[..., ::2]))  # noqa: E731
    network = small_network(SHAPE, body)
    quantized, inputs = quantize(network), examples(network) / np.float32(255)
    quantized(inputs, training=True)
    quantized.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(load(tmp_path / "model.keras")(inputs), quantized(inputs))


def test_a_bound_follows_the_ranges_of_training():
    network = small_network(SHAPE, lambda x: head(bounded_and_not(x)))
    quantized, inputs = quantize(network), examples(network)
    quantized(inputs / np.float32(255), training=True)
    before = lower(quantized).integer_model
    device = DeviceNetwork(before)
    for variable in range_variables(quantized).values():
        variable.assign(variable * 1.3)
    later = lower(quantized).integer_model
    device.update(later)
    codes = [next(op.options["code"] for op in model.operations if op.kind == "MINIMUM") for model in (before, later)]
    assert codes[0] != codes[1]
    np.testing.assert_array_equal(device.forward(inputs).numpy(), later.predict(inputs))


@pytest.mark.parametrize("body", [
    lambda x: layers.RandomFlip()(layers.Rescaling(2.0, -1.0)(x)),
    lambda x: layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 2, 3])(x),
    lambda x: tf.transpose(x[:, 1:] * 2 - 1, (0, 2, 1, 3)),
], ids=["augmentation", "normalization", "functions"])  # fmt: skip
def test_a_layer_after_preprocessing_is_a_first_layer(body):
    network = small_network(SHAPE, lambda x: head(conv(conv(body(x), name="first"), name="second")))
    decided = plan_of(quantize(network, weight_bits=4, first_last_bits=8))
    bits = layer_bits(decided.nodes, QuantizationSettings(weight_bits=4, activation_bits=4, first_last_bits=8))
    assert bits["first"] == (8, 8) and bits["second"] == (4, 4)


@pytest.mark.parametrize(("body", "said"), [
    (lambda x: conv(x, activation="selu"), "'selu'.*use elu"),
    (lambda x: tf.nn.softplus(conv(x)), "'softplus'.*use elu"),
    (lambda x: tf.nn.softsign(conv(x)), "'softsign'.*use tanh"),
    (lambda x: layers.Activation("exponential")(conv(x)), "'exponential'.*use elu"),
    (lambda x: layers.PReLU()(conv(x)), r"shared_axes=\[1, 2\]"),
    (lambda x: layers.ReLU(threshold=0.1)(conv(x)), "threshold"),
    (lambda x: layers.CenterCrop(20, 20)(conv(x)), "smaller than the crop"),
    (lambda x: tf.nn.gelu(conv(x), approximate=True), "approximate=True"),
    (lambda x: tf.nn.silu(conv(x), beta=2.0), "beta=2.0"),
    (lambda x: conv(x) ** 3, "only x"),
    (lambda x: tf.minimum(conv(x), 1.0), "clip_by_value"),
    (lambda x: tf.clip_by_value(conv(x), np.zeros(6), 1), "single numbers"),
    (lambda x: tf.clip_by_value(conv(x), conv(x), 1), "single numbers"),
    (lambda x: tf.clip_by_value(conv(x), 1.0, 0.0), "from 1 to 0"),
    (lambda x: tf.reduce_mean(conv(x), 1, keepdims=True), "height and width"),
    (lambda x: conv(x)[:, ::-1], "backward slice"),
    (lambda x: layers.Resizing(4, 4, crop_to_aspect_ratio=True)(x), "crop_to_aspect_ratio"),
    (lambda x: tf.image.resize(x, (4, 4), "bicubic"), "'bicubic'; only nearest"),
    (lambda x: tf.reshape(tf.reshape(conv(x), (-1, 6)), (-1, 6, 8, 6)), "batch must stay apart"),
    (lambda x: layers.Concatenate(axis=0)([x, x]), "axis 0"),
])  # fmt: skip
def test_what_devices_cannot_do_is_refused_by_name(body, said: str):
    with pytest.raises(UserError, match=rf"layer '.*{said}"):
        quantize(small_network(SHAPE, lambda x: head(body(x))))
