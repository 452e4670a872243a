"""Frozen layers of a float network are rounded and not trained, also after saving, freezing and unfreezing."""

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

from pipeline import UserError, calibrate, load, quantize, quantize_scope
from pipeline.quantization.model_access import kernel_quantizers, variables_by_layer

SHAPE = (8, 8, 2)
LABELS = np.arange(48) % 3
INPUTS = np.random.default_rng(1).uniform(0, 1, (48, *SHAPE)).astype(np.float32)
FROZEN = {"first", "norm", "deep"}
EVERY = {"first", "norm", "deep", "deep_norm", "last"}


def network(*frozen: str) -> tf_keras.Model:
    """Convolution and depthwise convolution with batch norm, and a dense layer; those named are frozen."""
    tf_keras.utils.set_random_seed(2)
    model = tf_keras.Sequential([
        kl.Input(SHAPE), kl.Conv2D(4, 3, use_bias=False, name="first"), kl.BatchNormalization(momentum=0.5, name="norm"),
        kl.ReLU(), kl.DepthwiseConv2D(3, name="deep"), kl.BatchNormalization(momentum=0.5, name="deep_norm"), kl.ReLU(),
        kl.Flatten(), kl.Dense(3, name="last"),
    ])  # fmt: skip
    for name in frozen:
        model.get_layer(name).trainable = False
    return model


def changed(model: tf_keras.Model) -> set[str]:
    """The layers of the float network of which a step of training changes any variable."""
    model.compile(tf_keras.optimizers.Adam(0.1), tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = values(model)
    model.fit(INPUTS, LABELS, verbose=0)
    after = values(model)
    return {name for name in after if any((after[name][key] != before[name][key]).any() for key in after[name])}


def values(model: tf_keras.Model) -> dict[str, dict[str, np.ndarray]]:
    return {
        name: {key: variable.numpy() for key, variable in variables.items()}
        for name, variables in variables_by_layer(model).items()
    }


batch_norm = pytest.mark.parametrize("batch_norm", ["keep", "fold"])


@batch_norm
def test_frozen_layers_are_not_trained(batch_norm: str, tmp_path):
    model = quantize(network(*FROZEN), batch_norm=batch_norm)
    model.save(tmp_path / "model.keras")
    with quantize_scope():
        plainly = tf_keras.models.load_model(tmp_path / "model.keras")
    for each in (model, load(tmp_path / "model.keras"), plainly):
        assert set(kernel_quantizers(each)) == {"first", "deep", "last"}  # rounded all the same
        assert changed(each) == EVERY - FROZEN


@batch_norm
def test_the_quantized_model_is_frozen_and_thawed_as_any_other(batch_norm: str):
    model = quantize(network(), batch_norm=batch_norm)
    count = len(model.weights)
    assert changed(model) == EVERY
    model.trainable = False
    assert not model.trainable_variables and len(model.weights) == count
    assert changed(model) == set()
    model.trainable = True
    model.layers[-1].trainable = False
    assert changed(model) == EVERY - {"last"} and len(model.weights) == count


@batch_norm
def test_a_frozen_batch_norm_keeps_its_statistics_when_others_are_measured_again(batch_norm: str):
    model = quantize(network("norm"), batch_norm=batch_norm)
    variables = variables_by_layer(model)
    variables["norm"]["moving_mean"].assign(np.linspace(0.1, 0.4, 4))
    before = values(model)
    calibrate(model, INPUTS, batch_norm="reestimate")
    after = values(model)
    for key in ("moving_mean", "moving_variance"):
        np.testing.assert_array_equal(after["norm"][key], before["norm"][key])
        assert (after["deep_norm"][key] != before["deep_norm"][key]).any()


def test_weights_of_a_frozen_model_go_into_one_that_is_not(tmp_path):
    """The files name layers by their class, so they are those of TF-MOT's wrapper."""
    frozen, other = quantize(network(*FROZEN)), quantize(network())
    changed(frozen)
    frozen.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(other(INPUTS, training=False), frozen(INPUTS, training=False))


def test_load_takes_a_path():
    with pytest.raises(UserError, match="load: path"):
        load(3)
