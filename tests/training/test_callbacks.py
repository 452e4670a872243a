"""Callbacks with which `model.fit` trains as the project's loop does: warm-up, and statistics that match the weights."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from pipeline import Reestimate, UserError, WarmUp, calibrate, convert, quantize, verify
from pipeline.models.inputs import Batching, Intake
from pipeline.quantization.model_access import is_enabled, range_variables, set_enabled
from pipeline.training.statistics import reestimate

CLASSES = 3
RANDOM = np.random.default_rng(4)
LABELS = np.arange(192) % CLASSES
PIXELS = np.clip(RANDOM.normal(60 + 70 * LABELS[:, None, None, None], 20, (192, 8, 8, 1)), 0, 255).astype(np.uint8)
INPUTS = PIXELS * np.float32(1 / 255)
LOSS = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(*extra: tf_keras.layers.Layer) -> tf_keras.Model:
    """A small network with slow moving averages; `extra` layers stand before its last one."""
    tf_keras.utils.set_random_seed(5)
    return tf_keras.Sequential([
        kl.Input((8, 8, 1)), kl.Conv2D(4, 3, use_bias=False), kl.BatchNormalization(), kl.ReLU(), kl.Conv2D(6, 3),
        kl.ReLU(), kl.GlobalAveragePooling2D(), *extra, kl.Dense(CLASSES),
    ])  # fmt: skip


def quantized(*extra: tf_keras.layers.Layer, **fields) -> tf_keras.Model:
    """The network, quantized and compiled."""
    model = quantize(network(*extra), **fields)
    model.compile(tf_keras.optimizers.Adam(0.01), LOSS, metrics=["accuracy"])
    return model


def fit(model: tf_keras.Model, epochs: int, callbacks: list, **options) -> tf_keras.callbacks.History:
    return model.fit(INPUTS, LABELS, epochs=epochs, callbacks=callbacks, shuffle=False, verbose=0, **options)


class Observer(tf_keras.callbacks.Callback):
    """Keeps for every epoch whether the model rounds, and the function that trains it."""

    def __init__(self):
        super().__init__()
        self.enabled, self.steps = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.enabled.append(is_enabled(self.model))
        self.steps.append(self.model.train_function)


def test_the_first_epochs_are_those_of_the_float_network():
    """Compared with a training that never rounds; afterwards it is rounded, in graphs that were traced again."""
    coarse = {"weight_bits": 2, "activation_bits": 2, "first_last_bits": 2}
    never, warm, seen = quantized(**coarse), quantized(**coarse), Observer()
    set_enabled(never, False)
    plain = fit(never, 3, []).history["loss"]
    losses = fit(warm, 3, [WarmUp(2), seen], validation_data=(INPUTS, LABELS)).history["loss"]
    assert losses[:2] == pytest.approx(plain[:2], rel=1e-5) and losses[2] != pytest.approx(plain[2], rel=1e-3)
    assert seen.enabled == [False, False, True] and seen.steps[0] is seen.steps[1] is not seen.steps[2]
    again = fit(quantized(warmup_epochs=2, **coarse), 3, [WarmUp()]).history["loss"]
    assert again == pytest.approx(losses, rel=1e-5)


def test_training_that_ends_in_the_warm_up_leaves_a_rounded_model():
    model = quantized()

    class Stop(tf_keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    assert len(fit(model, 4, [WarmUp(3), Stop()]).history["loss"]) == 1 and is_enabled(model)
    model.predict(INPUTS, verbose=0)


def test_validation_is_in_the_arithmetic_of_the_device_and_leaves_training_alone(tmp_path):
    plain, model = quantized(), quantized()
    expected = fit(plain, 3, [])
    found = fit(model, 3, [Reestimate(INPUTS)], validation_data=(INPUTS, LABELS))
    assert found.history["loss"] == expected.history["loss"]
    for variable, other in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        np.testing.assert_array_equal(variable, other)
    report = verify(model, convert(model, tmp_path), PIXELS, LABELS, latency_runs=10)
    assert report["passed"], report["failures"]
    assert report["metrics"]["int8"] == pytest.approx(found.history["val_accuracy"][-1])
    assert report["metrics"]["int8"] > plain.evaluate(INPUTS, LABELS, verbose=0)[1]  # lagging averages


def test_the_statistics_are_those_of_the_loop():
    """The loop's function on the same batches of pixels."""
    settings = Batching(batches=2, batch_size=64)
    model, other = quantized(), quantized()
    fit(model, 1, [Reestimate(INPUTS, batches=2, batch_size=64)])
    other.set_weights(model.get_weights())
    batches = [np.rint(part * 255).astype(np.uint8) for part in Intake(model, "test").batches(INPUTS, settings)]
    assert [len(batch) for batch in batches] == [64, 64]
    reestimate(other, batches)
    for variable, wanted in zip(model.variables, other.variables, strict=True):
        np.testing.assert_allclose(variable, wanted, rtol=1e-5, atol=1e-6)
    assert all(variable.numpy() > 0 for variable in range_variables(model).values())


def test_random_layers_rest_while_statistics_are_measured():
    """As if they were not there; in training they are."""
    model, calm = quantized(kl.Dropout(0.5), kl.GaussianNoise(0.5), kl.GaussianDropout(0.5)), quantized()
    calm.set_weights(model.get_weights())
    for each in (model, calm):
        calibrate(each, INPUTS, batch_norm="reestimate")
    ranges, wanted = ([float(value) for value in range_variables(each).values()] for each in (model, calm))
    assert ranges == pytest.approx(wanted, rel=1e-5) and min(ranges) > 0
    assert not np.array_equal(model(INPUTS, training=True), model(INPUTS, training=True))


def test_a_float_network_and_a_data_set_with_labels_will_do():
    model = network()
    model.compile("sgd", LOSS)
    data = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(96)
    model.fit(data, verbose=0, callbacks=[Reestimate(data)])
    outputs = model.layers[0](INPUTS).numpy().reshape(2, -1, 4)
    np.testing.assert_allclose(model.layers[1].moving_mean, outputs.mean((0, 1)), rtol=1e-4)


WRONG = {
    "no epoch left": (lambda: fit(quantized(), 2, [WarmUp(2)]), "leave none to train rounded"),
    "no number of epochs": (lambda: fit(quantized(), 2, [WarmUp()]), "how many epochs"),
    "half an epoch": (lambda: WarmUp(0.5), "whole number"),
    "warm-up of a float model": (lambda: compiled().fit(INPUTS, LABELS, callbacks=[WarmUp(1)]), "float model"),
    "pixels": (lambda: fit(quantized(), 1, [Reestimate(PIXELS)]), "data are from .*images / 255"),
    "an unknown number": (lambda: Reestimate(INPUTS, steps=3), "steps"),
    "no batch": (lambda: Reestimate(INPUTS, batches=0), "batches"),
}  # fmt: skip


def compiled() -> tf_keras.Model:
    """The float network, ready to be trained."""
    model = network()
    model.compile("sgd", LOSS)
    return model


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_mistakes_are_reported_before_training(call, message: str):
    with pytest.raises(UserError, match=message):
        call()
