"""Networks on vectors and sequences, and 1-D layers: the same floats when rebuilt, and no code that differs from LiteRT's."""

import pytest
import tensorflow as tf
import tf_keras
from tf_keras import Sequential, layers

from pipeline.models.canonical import canonical
from tests.quantization.exact_samples import check_exact, same_floats, small_network

SEQUENCE = (10, 3)


def conv(x, filters: int = 6, **options):
    return layers.Conv1D(filters, 3, padding="same", **options)(x)


def dense(x, units: int = 6, **options):
    return layers.Dense(units, **options)(x)


def both(x):
    x = conv(x)
    return layers.Concatenate(axis=1)([x, conv(x, activation="relu")])


def residual(x):
    x = conv(x, activation="relu")
    return layers.Add()([x, layers.BatchNormalization()(conv(x))])


def gate(x):
    """Squeeze and excite along a sequence."""
    small = layers.GlobalAveragePooling1D(keepdims=True)(x)
    return layers.Multiply()([x, dense(dense(small, 3, activation="relu"), x.shape[-1], activation="sigmoid")])


SEQUENCES = {
    "conv, batch norm, relu": lambda x: conv(layers.ReLU()(layers.BatchNormalization()(conv(x)))),
    "strides": lambda x: layers.Conv1D(4, 4, strides=2)(conv(x, activation="relu")),
    "causal, dilated": lambda x: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(conv(x)),
    "groups": lambda x: conv(conv(x), groups=2, activation="relu6"),
    "depthwise": lambda x: layers.DepthwiseConv1D(3, 2, "same", depth_multiplier=2, activation="relu")(conv(x)),
    "separable": lambda x: layers.SeparableConv1D(5, 3, 2, "same", activation="swish")(conv(x)),
    "transposed": lambda x: layers.Conv1DTranspose(5, 3, 2, "same", activation="relu")(conv(x)),
    "max pooling": lambda x: conv(layers.MaxPooling1D(3, 2, "same")(conv(x))),
    "average pooling": lambda x: conv(layers.AveragePooling1D(2)(conv(x))),
    "padded average pooling": lambda x: conv(layers.AveragePooling1D(3, 2, "same")(conv(x))),
    "gate": lambda x: conv(gate(conv(x))),
    "padding, crop": lambda x: conv(layers.Cropping1D((1, 2))(layers.ZeroPadding1D((2, 3))(conv(x)))),
    "upsampling": lambda x: conv(layers.UpSampling1D(2)(layers.SpatialDropout1D(0.2)(conv(x)))),
    "one channel": lambda x: conv(conv(x) * dense(x, 1, activation="sigmoid")),
    "residual": lambda x: conv(residual(x)),
    "concatenated places": lambda x: conv(both(x)),
    "first batch norm": lambda x: conv(layers.BatchNormalization()(x)),
    "dense at places": lambda x: dense(layers.BatchNormalization()(dense(x, activation="tanh")), activation="relu"),
    "swapped": lambda x: conv(layers.Permute((2, 1))(conv(x))),
    "numbers": lambda x: conv(2 * conv(x) - [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str):
    network = small_network(SEQUENCE, lambda x: dense(layers.GlobalAveragePooling1D()(SEQUENCES[name](x)), 3))
    same_floats(network)
    check_exact(network)


OUTPUTS = {
    "map": lambda x: conv(x, 2),
    "map of probabilities": lambda x: conv(conv(x, activation="relu"), 4, activation="softmax"),
    "map of probabilities by a layer": lambda x: layers.Softmax(axis=2)(dense(conv(x), 4)),
    "map of probabilities by a dense layer": lambda x: dense(conv(x), 4, activation="softmax"),
    "map of probabilities by a function": lambda x: tf.nn.softmax(conv(x, 4)),
    "gate at the end": lambda x: tf.sigmoid(conv(x)),
    "relu": lambda x: layers.ReLU()(layers.BatchNormalization()(conv(x))),
    "flat": lambda x: dense(layers.Flatten()(conv(x, activation="relu")), 3),
    "largest": lambda x: layers.GlobalMaxPooling1D()(conv(x)),
    "largest with its axis": lambda x: layers.GlobalMaxPooling1D(keepdims=True)(conv(x)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_of_sequences(name: str):
    network = small_network(SEQUENCE, OUTPUTS[name])
    same_floats(network)
    model = check_exact(network)
    assert model.tensors[model.outputs[0]].shape == tuple(network.output_shape[1:])


def test_training_with_folded_batch_norms():
    body = lambda x: dense(layers.Flatten()(layers.ReLU()(layers.BatchNormalization()(conv(x)))), 3)  # noqa: E731
    check_exact(small_network(SEQUENCE, body), batch_norm="fold")


def test_no_reshape_is_left_between_two_layers():
    network = small_network(
        SEQUENCE, lambda x: layers.GlobalAveragePooling1D()(conv(residual(layers.MaxPooling1D()(conv(x)))))
    )
    kinds = [operation.kind for operation in check_exact(network).operations]
    assert kinds.count("RESHAPE") == 1 and kinds.count("CONV_2D") == 4 and "DEPTHWISE_CONV_2D" not in kinds


VECTORS = {
    "dense": lambda x: dense(dense(x, activation="relu")),
    "batch norm": lambda x: dense(layers.ReLU()(layers.BatchNormalization()(dense(x)))),
    "first batch norm": lambda x: dense(layers.BatchNormalization()(x)),
    "normalization": lambda x: dense(layers.Normalization(mean=[0.1] * 7, variance=[0.2] * 7)(x), activation="tanh"),
    "residual": lambda x: layers.Add()([x, dense(dense(x, activation="relu"), 7)]),
    "product": lambda x: layers.Multiply()([dense(x), dense(x, activation="sigmoid")]),
    "concatenation": lambda x: dense(layers.Concatenate()([x, dense(x, activation="relu")])),
    "pixels": lambda x: layers.Flatten()(layers.Conv1D(3, 2)(layers.Reshape((7, 1))(x))),
    "nested": lambda x: Sequential([layers.Dense(4, activation="elu"), layers.Dropout(0.1)])(dense(x)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str):
    network = small_network((7,), lambda x: dense(VECTORS[name](x), 3, activation="softmax"))
    same_floats(network)
    check_exact(network)


def test_gray_images_without_a_channel_axis():
    network = small_network(
        (8, 9), lambda x: dense(layers.Flatten()(layers.Conv2D(4, 3)(layers.Reshape((8, 9, 1))(x))), 3)
    )
    check_exact(network)


def test_a_shared_layer_stays_shared_and_a_frozen_one_frozen():
    first, second = tf_keras.Input(SEQUENCE), tf_keras.Input(SEQUENCE)
    shared = layers.Conv1D(4, 3, trainable=False, name="shared")
    network = canonical(tf_keras.Model([first, second], layers.Subtract()([shared(first), shared(second)])))
    assert len(network.get_layer("shared").inbound_nodes) == 2 and not network.trainable_weights
