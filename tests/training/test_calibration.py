"""Post-training quantization: activation ranges from data, compared with ranges computed layer by layer."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline import UserError, calibrate, convert, quantize, verify
from pipeline.quantization.model_access import range_variables, set_enabled

CLASSES = 3
RANDOM = np.random.default_rng(6)
LABELS = np.arange(120) % CLASSES
PIXELS = np.clip(RANDOM.normal(60 + 70 * LABELS[:, None, None, None], 20, (120, 8, 8, 1)), 0, 255).astype(np.uint8)
INPUTS = PIXELS / 255


@pytest.fixture(scope="module")
def trained() -> tf_keras.Model:
    """A float network that knows the classes."""
    tf_keras.utils.set_random_seed(7)
    model = tf_keras.Sequential([
        kl.Input((8, 8, 1)), kl.RandomFlip(), kl.Conv2D(4, 3, use_bias=False), kl.BatchNormalization(momentum=0.8), kl.ReLU(),
        kl.Dropout(0.2), kl.Conv2D(6, 3), kl.ReLU(), kl.GlobalAveragePooling2D(), kl.Dense(CLASSES),
    ])  # fmt: skip
    model.compile(
        tf_keras.optimizers.Adam(0.02),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(INPUTS, LABELS, epochs=30, verbose=0)
    assert model.evaluate(INPUTS, LABELS, verbose=0)[1] > 0.9
    return model


def test_a_trained_network_gives_a_verified_file_without_training(trained, tmp_path):
    model = quantize(trained, weight_bits=8, activation_bits=8)
    before = [variable.numpy() for variable in model.trainable_variables]
    calibrate(model, INPUTS)
    report = verify(model, convert(model, tmp_path), PIXELS, LABELS, latency_runs=10)
    assert report["passed"], report["failures"]
    assert report["code_mismatch"] == 0 and report["metrics"]["int8"] > 0.9  # chance: 0.33
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_ranges_are_the_mean_of_the_batches_largest_values(trained):
    """Without rounding, against the float network; batch norm in inference, no dropout, no flips."""
    model = quantize(trained)
    set_enabled(model, False)
    batches = np.split(INPUTS, 4)
    calibrate(model, tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(30))
    ranges = {name: variable.numpy() for name, variable in range_variables(model).items()}
    outputs = {layer.name: tf_keras.Model(trained.inputs, layer.output) for layer in trained.layers}
    compared = [name for name in ranges if name in outputs]
    assert len(compared) > 3
    for name in compared:
        wanted = np.mean([np.abs(outputs[name](batch, training=False)).max() for batch in batches])
        assert ranges[name] == pytest.approx(wanted, rel=1e-4), name


def test_calibration_leaves_the_statistics_of_batch_norms_unless_asked(trained):
    model = quantize(trained)
    norm = next(layer for layer in model.submodules if isinstance(layer, kl.BatchNormalization))
    norm.moving_mean.assign(norm.moving_mean + 0.1)
    moved = norm.moving_mean.numpy()
    calibrate(model, INPUTS)
    np.testing.assert_array_equal(norm.moving_mean, moved)
    calibrate(model, INPUTS, batch_norm="reestimate")
    assert np.abs(norm.moving_mean.numpy() - moved).min() > 0.03


def test_afterwards_the_model_trains_and_predicts_as_any_other(trained):
    model = quantize(trained)
    calibrate(model, INPUTS)
    calibrated = {name: variable.numpy() for name, variable in range_variables(model).items()}
    model.predict(INPUTS[:7] / 2, verbose=0)
    assert calibrated == {name: variable.numpy() for name, variable in range_variables(model).items()}
    model.compile("sgd", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(INPUTS, LABELS, verbose=0)
    assert calibrated != {name: variable.numpy() for name, variable in range_variables(model).items()}


def test_an_array_gives_the_same_ranges_every_time(trained):
    first, second = quantize(trained), quantize(trained)
    for model in (first, second):
        calibrate(model, INPUTS, batches=2, batch_size=16)
    assert [value.numpy() for value in range_variables(first).values()] == [
        value.numpy() for value in range_variables(second).values()
    ]


WRONG = {
    "a float model": (lambda model: calibrate(model, INPUTS), "float model"),
    "pixels": (lambda model: calibrate(quantize(model), PIXELS), "the network takes 0 to 1.*images / 255"),
    "values around zero": (lambda model: calibrate(quantize(model), INPUTS * 2 - 1), "data are from -1"),
    "no numbers": (lambda model: calibrate(quantize(model), INPUTS * np.nan), "nan"),
    "another size": (lambda model: calibrate(quantize(model), INPUTS[:, :4]), "the network takes"),
    "one image": (lambda model: calibrate(quantize(model), INPUTS[0]), "the network takes"),
    "a list": (lambda model: calibrate(quantize(model), list(INPUTS)), "not list"),
    "nothing": (lambda model: calibrate(quantize(model), INPUTS[:0]), "the network takes"),
    "an empty set": (lambda model: calibrate(quantize(model), dataset().take(0)), "empty"),
    "no batches": (lambda model: calibrate(quantize(model), dataset().unbatch()), "batch"),
    "a dictionary": (lambda model: calibrate(quantize(model), dataset().map(lambda x: {"x": x})), "called x, the network.s inputs"),
    "an unknown field": (lambda model: calibrate(quantize(model), INPUTS, epochs=3), "epochs"),
}  # fmt: skip


def dataset() -> tf.data.Dataset:
    """Batches of inputs without labels."""
    return tf.data.Dataset.from_tensor_slices(INPUTS).batch(30)


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_user_errors(trained, call, message: str):
    with pytest.raises(UserError, match=message):
        call(trained)
