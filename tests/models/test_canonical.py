"""Networks as people write them, rebuilt from canonical layers: the same outputs, weights, names and sharing."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import Sequential, layers

from pipeline.errors import UserError
from pipeline.models.canonical import canonical
from pipeline.models.graph import kind_of

SHAPE = (8, 10, 3)


def image() -> tf.Tensor:
    return tf_keras.Input(SHAPE, name="x")


def randomized(model: tf_keras.Model) -> tf_keras.Model:
    rng = np.random.default_rng(7)
    model.set_weights([rng.uniform(0.2, 1.0, weight.shape) for weight in model.get_weights()])
    return model


def rebuilt(model: tf_keras.Model) -> tf_keras.Model:
    """The canonical network, after comparing its outputs with those of the original one."""
    network = canonical(randomized(model))
    inputs = [np.random.default_rng(1).normal(0.2, 1, (4, *tensor.shape[1:])) for tensor in model.inputs]
    for one, other in zip(model(inputs), network(inputs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    return network


def kinds(model: tf_keras.Model) -> list[str]:
    return sorted(kind_of(layer) for layer in model.layers if kind_of(layer) != "InputLayer")


ONE = {
    "relu inside": (lambda x: layers.Conv2D(4, 3, activation="relu")(x), ["Conv2D", "ReLU"]),
    "relu6 inside": (lambda x: layers.DepthwiseConv2D(3, activation=tf.nn.relu6)(x), ["DepthwiseConv2D", "ReLU"]),
    "sigmoid inside": (lambda x: layers.Dense(4, activation="sigmoid")(layers.Flatten()(x)), ["Activation", "Dense", "Flatten"]),
    "swish": (lambda x: layers.Activation("swish")(x), ["Activation", "Multiply"]),
    "hard sigmoid": (lambda x: layers.Activation("hard_sigmoid")(x), ["Affine", "ReLU"]),
    "softmax": (lambda x: layers.Softmax()(x), ["Activation"]),
    "separable": (
        lambda x: layers.SeparableConv2D(5, 3, 2, "same", depth_multiplier=2, activation="tanh")(x),
        ["Activation", "Conv2D", "DepthwiseConv2D"],
    ),
    "sum of three": (lambda x: layers.Add()([x, 2 * x, layers.ReLU()(x)]), ["Add", "Add", "Affine", "ReLU"]),
    "product of three": (lambda x: layers.Multiply()([x, x, layers.ReLU()(x)]), ["Multiply", "Multiply", "ReLU"]),
    "operators": (lambda x: (x + layers.ReLU()(x)) * layers.ReLU(6)(x), ["Add", "Multiply", "ReLU", "ReLU"]),
    "numbers": (lambda x: (1 - x / 2) * [1.0, 2.0, 3.0] + 0.5, ["Affine"]),
    "difference": (lambda x: x - layers.ReLU()(x), ["ReLU", "Subtract"]),
    "hard sigmoid by hand": (lambda x: layers.ReLU(6.0)(x + 3.0) * (1 / 6), ["Affine", "ReLU"]),
    "normalization": (lambda x: layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])(x / 2 + 1), ["Affine"]),
    "functions": (lambda x: tf.nn.relu6(tf.nn.relu(x) + x), ["Add", "ReLU", "ReLU"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_layers_become_those_they_stand_for(name: str):
    build, expected = ONE[name]
    x = image()
    assert kinds(rebuilt(tf_keras.Model(x, build(x)))) == expected


def test_names_stay_and_are_unique():
    x = image()
    y = layers.SeparableConv2D(4, 3, activation="relu", name="mix")(x)
    y = Sequential([layers.Conv2D(4, 1, name="mix"), layers.ReLU(name="mix_activation")], name="part")(y)
    names = [layer.name for layer in rebuilt(tf_keras.Model(x, y)).layers]
    assert names == ["x", "mix_depthwise", "mix", "mix_activation", "part_mix", "part_mix_activation"]


def test_nested_networks_and_shared_layers():
    inner = tf_keras.Input((8, 10, 3))
    encoder = tf_keras.Model(inner, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inner)))
    one, other = tf_keras.Input(SHAPE), tf_keras.Input(SHAPE)
    network = rebuilt(tf_keras.Model([one, other], layers.Subtract()([encoder(one), encoder(other)])))
    assert kinds(network) == ["Conv2D", "GlobalAveragePooling2D", "ReLU", "Subtract"]
    (conv,) = (layer for layer in network.layers if kind_of(layer) == "Conv2D")
    assert len(conv.inbound_nodes) == 2


def test_a_shared_layer_after_different_layers_is_not_merged_into_one():
    x = image()
    halved = layers.Rescaling(0.5)
    rebuilt(tf_keras.Model(x, halved(layers.Rescaling(3.0)(x)) + halved(layers.ReLU()(x)) + halved(x)))


def test_several_outputs_by_name():
    x = image()
    y = layers.Conv2D(4, 3, activation="relu")(x)
    model = randomized(tf_keras.Model(x, {"mean": layers.GlobalAveragePooling2D()(y), "map": y}))
    found = canonical(model)(np.ones((1, *SHAPE)))
    assert set(found) == {"mean", "map"} and found["map"].shape == (1, 6, 8, 4)


def test_frozen_layers_stay_frozen():
    x = image()
    frozen = layers.SeparableConv2D(4, 3, activation="relu", trainable=False)
    network = canonical(tf_keras.Model(x, layers.Conv2D(2, 1, name="top")(frozen(x))))
    assert [weight.name for weight in network.trainable_weights] == ["top/kernel:0", "top/bias:0"]


class Conv2D(layers.Conv2D):
    """A layer of somebody's own with the name of Keras's."""

    def call(self, inputs):
        return 2 * super().call(inputs)


def test_a_class_of_ones_own_is_not_taken_for_keras():
    assert kind_of(Conv2D(3, 1)) == f"{__name__}.Conv2D"
    x = image()
    assert kinds(rebuilt(tf_keras.Model(x, Conv2D(3, 1, activation="relu")(x)))) == [f"{__name__}.Conv2D"]


@pytest.mark.parametrize(("build", "said"), [
    (lambda x: layers.Softmax(axis=1)(x), "last axis"),
    (lambda x: 1 / x, "division by a tensor"),
    (lambda x: x * np.ones((10, 3)), "shape"),
    (lambda x: layers.Conv2D(3, 1, activation=layers.ReLU())(x), "layer as activation"),
], ids=["softmax", "division", "numbers of an image", "layer inside"])  # fmt: skip
def test_what_no_layer_stands_for_is_refused_by_name(build, said: str):
    x = image()
    with pytest.raises(UserError, match=rf"layer '.*{said}"):
        canonical(tf_keras.Model(x, build(x)))


def test_a_network_without_a_graph_is_refused():
    with pytest.raises(UserError, match="functional or built Sequential"):
        canonical(Sequential([layers.Dense(3)]))
