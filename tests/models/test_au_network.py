"""The network for action units: heads, encoders, first weights, and what an encoder refuses."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline.errors import UserError
from pipeline.models.au_network import au_network
from pipeline.models.encoders import APPLICATIONS
from pipeline.models.layers import dropout_layers
from tests.models.au_samples import AUS, SIDES, shaken_network, small_network

APPLICATION_OPTIONS = {"mobilenet_v2": {"alpha": 0.35}, "inception_v3": {}}


def random_pixels(model: tf_keras.Model, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((count, *model.input_shape[1:])).astype(np.float32)


def numpy_head(model: tf_keras.Model, features: np.ndarray, head: str) -> np.ndarray:
    x = features
    for number in (1, 2):
        kernel, bias = model.get_layer(f"{head}_dense{number}").get_weights()
        gamma, beta, mean, variance = model.get_layer(f"{head}_norm{number}").get_weights()
        x = np.maximum(x @ kernel + bias, 0)
        x = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    kernel, bias = model.get_layer(f"{head}_logit").get_weights()
    return x @ kernel + bias


# --- Heads


@pytest.mark.parametrize(("pooling", "reduce"), [("avg", np.mean), ("max", np.max)])
def test_every_head_computes_what_numpy_computes(pooling: str, reduce):
    model = shaken_network(pooling=pooling)
    pixels = random_pixels(model)
    maps = tf_keras.Model(model.input, model.get_layer("pool").input)(pixels).numpy()
    features = reduce(maps, axis=(1, 2))
    expected = np.concatenate([numpy_head(model, features, name) for name in AUS], axis=1)
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4, atol=1e-4)


def test_a_common_head_computes_what_numpy_computes():
    model = shaken_network(heads="common")
    pixels = random_pixels(model)
    features = tf_keras.Model(model.input, model.get_layer("pool").output)(pixels).numpy()
    np.testing.assert_allclose(model(pixels), numpy_head(model, features, "common"), rtol=1e-4, atol=1e-4)
    assert model.output_shape == (None, len(AUS))


def test_one_action_unit_needs_no_concatenation():
    model = au_network((16, 16, 1), ["AU6"], width=4)
    assert model.output_shape == (None, 1) and model.layers[-1].name == "AU6_logit"


def test_heads_do_not_see_each_other():
    model = shaken_network()
    pixels = random_pixels(model)
    before = model(pixels).numpy()
    layer = model.get_layer("AU6_norm1")
    layer.beta.assign(layer.beta + 5)
    assert (np.any(model(pixels).numpy() != before, axis=0) == [name == "AU6" for name in AUS]).all()


# --- First weights


@pytest.mark.parametrize("encoder", SIDES)
def test_initial_weights_depend_on_seed_and_layer_name_only(encoder: str):
    first = small_network(encoder, seed=1, batch_norm_momentum=0.7)
    tf.random.set_seed(5)
    second = small_network(encoder, seed=1, dropout_rate=0.3, heads="per_au", pooling="max")
    for layer in first.layers:
        for left, right in zip(layer.get_weights(), second.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(left, right)
        if isinstance(layer, kl.BatchNormalization):
            assert (layer.momentum, layer.scale) == (0.7, True)


@pytest.mark.parametrize("encoder", ["small_resnet", "mobilenet_v2"])
def test_another_seed_gives_every_kernel_other_weights(encoder: str):
    first, other = (small_network(encoder, seed=seed) for seed in (1, 2))
    kernels = [layer.name for layer in first.layers if isinstance(layer, kl.Conv2D | kl.Dense)]
    for name in kernels:
        assert not np.array_equal(first.get_layer(name).get_weights()[0], other.get_layer(name).get_weights()[0])


def application_weights(encoder: str, path, seed: int = 0) -> tf_keras.Model:
    """A Keras application with random weights, saved at `path`; its pixels lie in [-1, 1]."""
    side = SIDES[encoder]
    tf_keras.utils.set_random_seed(seed)
    options = APPLICATION_OPTIONS[encoder]
    model = APPLICATIONS[encoder].build(input_shape=(side, side, 3), include_top=False, weights=None, **options)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, kl.BatchNormalization):
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.moving_mean.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.beta.shape))
    model.save_weights(path)
    return model


def features_of(model: tf_keras.Model) -> tf_keras.Model:
    return tf_keras.Model(model.input, model.get_layer("pool").input)


def test_pretrained_weights_absorb_the_range_of_the_pixels(tmp_path):
    """InceptionV3's first convolution has no padding, so its features are those of Keras for pixels in [-1, 1]."""
    path = tmp_path / "inception.h5"
    original = application_weights("inception_v3", path)
    model = small_network("inception_v3", weights=str(path))
    pixels = random_pixels(model, 2)
    expected = original(2 * pixels - 1, training=False)
    np.testing.assert_allclose(features_of(model)(pixels), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_zero_padding_means_black_where_pretrained_weights_saw_grey(tmp_path, channels: int):
    """MobileNetV2's first convolution pads on two sides only: the other pixels of its maps are Keras's."""
    path = tmp_path / "mobilenet.weights.h5"
    original = application_weights("mobilenet_v2", path)
    model = small_network("mobilenet_v2", channels, weights=str(path))
    pixels = random_pixels(model, 2)
    colours = 2 * pixels.repeat(3 // channels, axis=-1) - 1
    first, expected = (
        tf_keras.Model(network.input, network.get_layer("Conv1_relu").output)(values).numpy()
        for network, values in ((model, pixels), (original, colours))
    )
    np.testing.assert_allclose(first[:, :-1, :-1], expected[:, :-1, :-1], rtol=1e-4, atol=1e-5)
    assert np.abs(first - expected).max() > 0.01


def test_weights_of_the_small_encoder_from_a_file(tmp_path):
    path = tmp_path / "encoder.weights.h5"
    trained = shaken_network(seed=3)
    features_of(trained).save_weights(path)
    model = small_network(seed=4, weights=str(path))
    pixels = random_pixels(model)
    np.testing.assert_array_equal(features_of(model)(pixels), features_of(trained)(pixels))


@pytest.mark.parametrize("encoder", ["small_resnet", "mobilenet_v2"])
def test_weights_that_do_not_fit(tmp_path, encoder: str):
    with pytest.raises(UserError, match="no such file"):
        small_network(encoder, weights=str(tmp_path / "nothing.h5"))
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(UserError, match="damaged"):
        small_network(encoder, weights=str(damaged))
    other = tmp_path / "other.h5"
    features_of(small_network("small_resnet", width=5)).save_weights(other)
    with pytest.raises(UserError, match="another network"):
        small_network(encoder, weights=str(other))


def test_weights_that_are_not_finite(tmp_path):
    path, model = tmp_path / "nan.h5", features_of(small_network())
    model.get_layer("bn0").beta.assign([np.nan] * 4)
    model.save_weights(path)
    with pytest.raises(UserError, match="'bn0/beta:0' holds numbers that are not finite"):
        small_network(weights=str(path))


def test_imagenet_weights_that_cannot_be_loaded():
    with pytest.raises(UserError, match="imagenet weights exist for mobilenet_v2 and inception_v3 only"):
        small_network(weights="imagenet")
    with pytest.raises(UserError, match=r"ImageNet weights of mobilenetv2_0.42_32 cannot be loaded: .*alpha"):
        small_network("mobilenet_v2", weights="imagenet", alpha=0.42)


# --- Sizes and dropout


@pytest.mark.parametrize(("encoder", "side"), [("small_resnet", 7), ("mobilenet_v2", 31), ("inception_v3", 74)])
def test_images_too_small_are_refused(encoder: str, side: int):
    with pytest.raises(UserError, match=f"{side} x {side} pixels are too small"):
        au_network((side, side, 3), AUS, encoder)


@pytest.mark.parametrize("encoder", ["small_resnet", "mobilenet_v2"])
def test_dropout_in_front_of_every_logit(encoder: str):
    model = small_network(encoder, dropout_rate=0.2, seed=6)
    assert {layer.name for layer in dropout_layers(model)} == {f"{name}_dropout" for name in AUS}
    for name in AUS:
        layer = model.get_layer(f"{name}_dropout")
        assert layer.input is model.get_layer(f"{name}_norm2").output and (layer.rate, layer.seed) == (0.2, 6)


def test_dropout_inside_the_encoder():
    blocks = small_network(dropout_rate=0.2, dropout_position="blocks")
    assert [layer.name for layer in dropout_layers(blocks)] == [f"dropout_s{stage}b1" for stage in (1, 2, 3)]
    for encoder in APPLICATIONS:
        with pytest.raises(UserError, match=f"needs the residual blocks of small_resnet, which {encoder} does not"):
            small_network(encoder, dropout_rate=0.2, dropout_position="stages")
