"""Networks that cannot be quantized: `quantize` names the layer and what to write instead, and nothing is taken silently."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import Sequential, layers

from pipeline import UserError, convert, quantize
from pipeline.models.activations import ACTIVATIONS
from pipeline.models.advice import ACTIVATION_ADVICE, ADVICE
from pipeline.models.refusals import TAKEN

SHAPE = (12, 14, 3)


def conv(x, **options):
    return layers.Conv2D(6, 3, padding="same", **options)(x)


def head(x):
    return layers.Dense(4)(layers.Flatten()(x))


def steps(x):
    """(B, H, W, C) as a sequence (B, T, C)."""
    return layers.Reshape((-1, 6))(conv(x))


def frames(x):
    """(B, H, W, C) as a sequence of two images (B, 2, H, W, 3)."""
    return layers.Reshape((2, *SHAPE))(layers.Conv2D(6, 3, padding="same")(x))


def network(body, shape: tuple = SHAPE, **options) -> tf_keras.Model:
    image = tf_keras.Input(shape, name="x", **options)
    return tf_keras.Model(image, body(image))


def refusal(model: object) -> str:
    with pytest.raises(UserError) as caught:
        quantize(model)
    return str(caught.value)


def twice(x):
    return 2 * x


def relu(x):
    """A function of somebody's own with the name of Keras's."""
    return 2 * x


class Doubled(layers.Layer):
    """A layer of somebody's own."""

    def call(self, inputs):
        return 2 * inputs


class Conv2D(layers.Conv2D):
    """A layer of somebody's own with the name of Keras's."""

    def call(self, inputs):
        return 2 * super().call(inputs)


class Needy(layers.Layer):
    """A layer that cannot be made again from its configuration."""

    def __init__(self, path, **kwargs):
        super().__init__(**kwargs)
        assert path == "there"

    def get_config(self):
        return {**super().get_config(), "path": "gone"}

    def call(self, inputs):
        return inputs


class Subclassed(tf_keras.Model):
    """A model without a graph, or with one that it does not use."""

    def call(self, inputs):
        return 2 * inputs


LAYERS = {  # the layer to be named, and a word of the advice
    "layer norm": (lambda x: head(layers.LayerNormalization(name="odd")(conv(x))), "BatchNormalization"),
    "group norm": (lambda x: head(layers.GroupNormalization(2, name="odd")(conv(x))), "BatchNormalization"),
    "unit norm": (lambda x: head(layers.UnitNormalization(name="odd")(conv(x))), "BatchNormalization"),
    "spectral norm": (lambda x: head(layers.SpectralNormalization(layers.Conv2D(4, 3), name="odd")(x)), "layer inside"),
    "multi-head attention": (lambda x: head(layers.MultiHeadAttention(2, 4, name="odd")(steps(x), steps(x))), "convolutions"),
    "attention": (lambda x: head(layers.Attention(name="odd")([steps(x), steps(x)])), "convolutions"),
    "additive attention": (lambda x: head(layers.AdditiveAttention(name="odd")([steps(x), steps(x)])), "convolutions"),
    "lstm": (lambda x: head(layers.LSTM(4, name="odd")(steps(x))), "Conv1D"),
    "gru": (lambda x: head(layers.GRU(4, name="odd")(steps(x))), "Conv1D"),
    "simple rnn": (lambda x: head(layers.SimpleRNN(4, name="odd")(steps(x))), "Conv1D"),
    "rnn": (lambda x: head(layers.RNN(layers.GRUCell(4), name="odd")(steps(x))), "Conv1D"),
    "bidirectional": (lambda x: head(layers.Bidirectional(layers.GRU(4), name="odd")(steps(x))), "Conv1D"),
    "conv lstm": (lambda x: head(layers.ConvLSTM2D(4, 3, name="odd")(frames(x))), "frames as channels"),
    "time distributed": (lambda x: head(layers.TimeDistributed(layers.Dense(4), name="odd")(steps(x))), "is Dense"),
    "lambda": (lambda x: head(layers.Lambda(lambda t: 2 * t, name="odd")(x)), "without the Lambda"),
    "lambda inside": (lambda x: head(conv(x, activation=lambda t: 2 * t, name="odd")), "'<lambda>' is a function of"),
    "function inside": (lambda x: head(conv(x, activation=twice, name="odd")), "'twice' is a function of"),
    "function called relu": (lambda x: head(conv(x, activation=relu, name="odd")), "'relu' is a function of"),
    "function as a layer": (lambda x: head(layers.Activation(twice, name="odd")(x)), "'twice' is a function of"),
    "partial": (lambda x: head(conv(x, activation=partial(tf.nn.leaky_relu, alpha=0.1), name="odd")), "'partial' is a function"),
    "leaky relu inside": (lambda x: head(conv(x, activation=tf.nn.leaky_relu, name="odd")), "call LeakyReLU"),
    "selu": (lambda x: head(conv(x, activation="selu", name="odd")), "use elu"),
    "mish": (lambda x: head(layers.Activation("mish", name="odd")(x)), "use swish"),
    "own layer": (lambda x: head(Doubled(name="odd")(x)), "function that calls supported layers"),
    "own layer called Conv2D": (lambda x: head(Conv2D(3, 1, name="odd")(x)), "function that calls supported layers"),
    "own layer that cannot be copied": (lambda x: head(Needy("there", name="odd")(x)), "function that calls"),
    "in a nested network": (lambda x: head(Sequential([Doubled(name="odd")])(x)), "function that calls supported layers"),
    "embedding": (lambda x: head(layers.Embedding(256, 4, name="odd")(x)), "data pipeline"),
    "category encoding": (lambda x: layers.CategoryEncoding(4, name="odd")(layers.Flatten()(x)), "data pipeline"),
    "random crop": (lambda x: head(layers.RandomCrop(8, 8, name="odd")(x)), "data pipeline"),
    "conv3d": (lambda x: head(layers.Conv3D(4, 2, name="odd")(frames(x))), "frames as channels"),
    "locally connected": (lambda x: head(layers.LocallyConnected2D(4, 3, name="odd")(x)), "convolution"),
    "einsum": (lambda x: head(layers.EinsumDense("bhwc,cd->bhwd", (None, None, 4), name="odd")(x)), "Dense"),
    "dot": (lambda x: head(layers.Dot(2, name="odd")([steps(x), steps(x)])), "Multiply"),
    "threshold": (lambda x: head(layers.ThresholdedReLU(name="odd")(x)), "ReLU"),
    "masking": (lambda x: head(layers.Masking(name="odd")(steps(x))), "Remove it"),
    "no advice": (lambda x: layers.Dense(4)(layers.LSTM(4, name="odd")(layers.RepeatVector(3, name="r")(head(x)))),
                  "'r' (RepeatVector): unsupported: no supported layer"),
    "softmax inside": (lambda x: head(layers.Softmax(name="odd")(conv(x))), "sigmoid inside"),
    "softmax twice": (lambda x: layers.Softmax()(layers.Softmax(name="odd")(head(x))), "sigmoid inside"),
    "channels first": (lambda x: head(layers.MaxPooling2D(data_format="channels_first", name="odd")(x)), "channels_last"),
    "float16": (lambda x: head(layers.ReLU(dtype="float32")(conv(x, dtype="mixed_float16", name="odd"))), "policy float32"),
    "subclassed": (lambda x: head(Subclassed(name="odd")(x)), "tf_keras.Model(inputs, outputs)"),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_is_named_with_what_to_write_instead(case: str):
    body, advice = LAYERS[case]
    message = refusal(network(body))
    assert "layer 'odd'" in message and advice in message, message


FUNCTIONS = {
    "matmul": (lambda x: tf.matmul(steps(x), steps(x), transpose_b=True), "Use Dense"),
    "shape": (lambda x: tf.reshape(x, (tf.shape(x)[0], 504)), "Reshape with numbers"),
    "another": (lambda x: tf.cumsum(x), "a layer instead of TensorFlow's function"),
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_of_tensorflow_is_named_with_what_to_write_instead(case: str):
    body, advice = FUNCTIONS[case]
    message = refusal(network(lambda x: head(body(x))))
    assert "layer 'tf." in message and advice in message, message


def mixed(policy: str) -> tf_keras.Model:
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        return network(lambda x: head(conv(x, name="odd")))
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


def float64() -> tf_keras.Model:
    tf_keras.backend.set_floatx("float64")
    try:
        return network(lambda x: head(conv(x, name="odd")))
    finally:
        tf_keras.backend.set_floatx("float32")


def damaged(value: float) -> tf_keras.Model:
    model = network(lambda x: head(conv(x, name="odd")))
    kernel, bias = model.get_layer("odd").get_weights()
    kernel[0, 0, 0, 0] = value
    model.get_layer("odd").set_weights([kernel, bias])
    return model


def plain() -> tf_keras.Model:
    return network(lambda x: head(conv(x, name="odd")))


def in_keras_3() -> object:
    keras = pytest.importorskip("keras", minversion="3")
    image = keras.Input(SHAPE)
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(image)))


def any_size() -> tf_keras.Model:
    return network(lambda x: head(layers.GlobalMaxPooling2D()(conv(x))), (None, None, 3))


def with_own_call() -> tf_keras.Model:
    image = tf_keras.Input(SHAPE)
    return Subclassed(image, head(image))


MODELS = {
    "mixed_float16": (lambda: mixed("mixed_float16"), ["layer 'odd' computes in float16", "policy float32"]),
    "mixed_bfloat16": (lambda: mixed("mixed_bfloat16"), ["layer 'odd' computes in bfloat16", "policy float32"]),
    "float64": (float64, ["input 'x' is float64", "policy float32"]),
    "nan": (lambda: damaged(np.nan), ["layer 'odd' (Conv2D): has weights that are not finite"]),
    "inf": (lambda: damaged(-np.inf), ["layer 'odd' (Conv2D): has weights that are not finite"]),
    "keras 3": (in_keras_3, ["not keras.src.models.functional.Functional. Keras 3", "build it with tf_keras"]),
    "a path": (lambda: "network.keras", ["not builtins.str", "load_model"]),
    "any size": (any_size, ["(None, None, 3)", "fixed size", "numbers"]),
    "subclassed": (Subclassed, ["Subclassed computes in a method call of its own", "tf_keras.Model(inputs, outputs)"]),
    "own call": (with_own_call, ["Subclassed computes in a method call of its own", "tf_keras.Model(inputs, outputs)"]),
    "not built": (lambda: Sequential([layers.Conv2D(3, 3)]), ["begin it with tf_keras.layers.Input"]),
    "no weights": (lambda: network(layers.GlobalAveragePooling2D()), ["no weights to round", "Conv2D"]),
    "no layers": (lambda: network(lambda x: x), ["'x' (InputLayer)", "also an output"]),
    "annotated by TF-MOT": (lambda: tfmot.quantization.keras.quantize_annotate_model(plain()), ["without quantize_annotate"]),
    "quantized by TF-MOT": (lambda: tfmot.quantization.keras.quantize_model(plain()), ["'quant_odd'", "quantized by TF-MOT"]),
    "pruned by TF-MOT": (lambda: tfmot.sparsity.keras.prune_low_magnitude(plain()), ["prune_low_magnitude_odd", "strip_pruning"]),
    "clustered by TF-MOT": (
        lambda: tfmot.clustering.keras.cluster_weights(
            plain(), 4, tfmot.clustering.keras.CentroidInitialization.LINEAR
        ),
        ["cluster_odd", "strip_clustering"],
    ),
    "quantized": (lambda: quantize(plain()), ["already quantized", "the float model"]),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_a_model_of_the_wrong_kind_is_told_what_to_change(case: str):
    build, words = MODELS[case]
    message = refusal(build())
    assert all(word in message for word in words), message


def test_a_network_under_a_global_policy_of_mixed_precision_is_refused():
    model = plain()
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        assert "set_global_policy('float32')" in refusal(model)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


def test_what_is_supported_is_listed_where_there_is_no_other_advice():
    message = refusal(network(lambda x: head(layers.RepeatVector(3)(layers.Flatten()(x)))))
    assert message.count("Supported are Activation, ") == 1 and "SeparableConv2D" in message and "TFOp" not in message


@pytest.mark.parametrize(
    "prefix", ["quant_", "quantize_annotate", "quantize_layer", "prune_low_magnitude_", "cluster_"]
)
def test_names_of_layers_may_begin_as_those_of_wrappers(prefix: str):
    image = tf_keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, name=f"{prefix}a")(layers.Conv2D(4, 3, name="a")(image))
    quantized = quantize(tf_keras.Model(image, head(x)))
    assert quantized(np.zeros((1, *SHAPE), np.float32), training=True).shape == (1, 4)


def test_an_identity_is_nothing():
    model = network(lambda x: head(layers.Identity()(conv(x))))
    assert not any("identity" in layer.name for layer in quantize(model).layers)


def test_weights_that_are_far_too_large_are_not_taken_for_a_lack_of_data(tmp_path):
    network = plain()
    network.get_layer("odd").kernel.assign(np.full((3, 3, 3, 6), 3e38))
    model = quantize(network)
    model(np.ones((2, *SHAPE), np.float32), training=True)
    with pytest.raises(UserError, match="range of layer 'odd' is not finite"):
        convert(model, tmp_path)


def test_advice_is_for_layers_that_are_there_and_not_taken():
    known = [kind for kind in ADVICE if ":" not in kind]
    assert all(hasattr(layers, kind) or hasattr(layers.experimental.preprocessing, kind) for kind in known)
    assert not ADVICE.keys() & TAKEN
    assert ACTIVATION_ADVICE.keys() & set(ACTIVATIONS.values()) == {"softmax"}
    assert all(callable(tf_keras.activations.get(name)) for name in ACTIVATION_ADVICE)
