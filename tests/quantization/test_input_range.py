"""The range of a network's inputs: declared, found, kept in every copy, and an error where data leave it."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import Sequential, layers

from pipeline import Reestimate, UserError, calibrate, load, quantize, quantize_scope
from pipeline.quantization.layers import QuantizeTensor
from pipeline.quantization.lowering import lower
from pipeline.quantization.model_access import float_network, plan_of, ranges_of
from pipeline.quantization.scheme import rewrap, with_au_bits

SHAPE = (8, 9, 3)
LABELS = np.arange(24) % 4
PIXELS = np.random.default_rng(0).integers(0, 256, (24, *SHAPE)).astype(np.uint8)
LOSS = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(*front, dtype: str = "float32") -> tf_keras.Model:
    """A small network behind some layers."""
    body = [layers.Conv2D(4, 3, padding="same", activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    return Sequential([layers.Input(SHAPE, dtype=dtype, name="picture"), *front, *body])


def function(made) -> tf_keras.Model:
    """A network that begins with operations on its input."""
    image = tf_keras.Input(SHAPE, name="picture")
    return tf_keras.Model(image, network()(made(image)))


def cast_first() -> tf_keras.Model:
    image = tf_keras.Input(SHAPE, dtype="uint8", name="picture")
    return tf_keras.Model(image, network()(tf.cast(image, tf.float32) * 0.5))


def rounding(model: tf_keras.Model) -> QuantizeTensor:
    """The layer that rounds the input."""
    return next(layer for layer in model.layers if isinstance(layer, QuantizeTensor))


FOUND = {
    "nothing": (network, (0, 1)),
    "rescaling of pixels": (lambda: network(layers.Rescaling(1 / 127.5, -1)), (0, 255)),
    "arithmetic": (lambda: function(lambda x: x / 127.5 - 1), (0, 255)),
    "normalization of pixels": (lambda: network(layers.Normalization(mean=[99, 110, 120], variance=[900, 800, 4000])), (0, 255)),
    "behind augmentation": (lambda: network(layers.RandomFlip(), layers.Rescaling(1 / 255)), (0, 255)),
    "rescaling of fractions": (lambda: network(layers.Rescaling(2.0, -1)), (0, 1)),
    "normalization of fractions": (lambda: network(layers.Normalization(mean=0.5, variance=0.1)), (0, 1)),
    "in the middle": (lambda: network(layers.Conv2D(3, 1), layers.Rescaling(1 / 255)), (0, 1)),
    "bytes": (lambda: network(layers.Rescaling(0.5), dtype="uint8"), (0, 255)),
    "bytes that are cast": (cast_first, (0, 255)),
}  # fmt: skip


@pytest.mark.parametrize(("build", "expected"), FOUND.values(), ids=FOUND)
def test_the_range_is_found_at_the_front(build, expected: tuple):
    assert ranges_of(quantize(build())) == {"picture": expected}


DECLARED = {  # by what is declared: the range, its step, and its zero point
    (0, 1): ((0, 1), np.float32(1 / 255), -128),
    (0, 255): ((0, 255), np.float32(1), -128),
    (-1, 1): ((-1, 1), np.float32(1 / 127), 0),
    (-1, 3.5): ((-1, 3.5), np.float32(3.5 / 127), 0),
    (-2, -1): ((-2, 0), np.float32(2 / 127), 0),
    (0.5, 0.75): ((0, 0.75), np.float32(0.75 / 255), -128),
}


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_a_declared_range_decides_the_grid(declared: tuple):
    """Zero, which paddings stand for, is always a value of it."""
    wanted, step, zero_point = DECLARED[declared]
    model = quantize(network(), input_range=declared)
    data = np.linspace(*declared, PIXELS.size, dtype=np.float32).reshape(PIXELS.shape)
    model(data, training=True)
    found = lower(model).integer_model.tensors["picture"]
    assert ranges_of(model) == {"picture": wanted} and (found.scale, found.zero_point) == (step, zero_point)
    np.testing.assert_allclose(rounding(model)(data), np.rint(data * (1 / step)) * step)


def test_every_copy_keeps_the_range(tmp_path):
    model = quantize(network(), input_range=(-1, 1))
    calibrate(model, PIXELS / 127.5 - 1)
    model.save(tmp_path / "model.keras")
    for copy in (load(tmp_path / "model.keras"), rewrap(model, float_network(model)), with_au_bits(model, {})):
        assert ranges_of(copy) == {"picture": (-1, 1)}
        assert plan_of(copy).tensors == plan_of(model).tensors
        assert lower(copy).integer_model.tensors["picture"].zero_point == 0


def test_models_saved_before_there_were_ranges_take_0_to_1():
    config = json.loads(quantize(network()).to_json())["config"]
    layer = next(each for each in config["layers"] if each["class_name"].endswith("QuantizeTensor"))
    del layer["config"]["recipe"]["input_ranges"]
    layer["config"]["quantizer"].update(class_name="PixelQuantizer", config={})
    with quantize_scope():
        old = tf_keras.Model.from_config(config)
    assert ranges_of(old) == {"picture": (0, 1)}
    inputs = PIXELS[:2] / np.float32(255)
    np.testing.assert_allclose(rounding(old)(inputs), inputs, atol=1e-6)


def fitted(model: tf_keras.Model, data: np.ndarray, **options) -> None:
    model.compile("sgd", LOSS)
    model.fit(data, LABELS[: len(data)], verbose=0, **options)


LEAVING = {
    "training": lambda model, data: fitted(model, data),
    "inference": lambda model, data: model.predict(data, verbose=0),
}


@pytest.mark.parametrize("use", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize(
    ("declared", "low", "high"), [((0, 1), -1, 1), ((0, 1), 0, 255), ((-1, 1), -1, 1.2), ((0, 255), 0, np.nan)], ids=str
)
def test_data_that_leave_the_range_stop_it(use, declared: tuple, low: float, high: float):
    data = np.full((24, *SHAPE), max(low, 0.5), np.float32)
    model = quantize(network(), input_range=declared)
    use(model, data)
    data[3, 2, 1, 0], data[5, 1, 1, 1] = low, high
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"input picture: data are from(.|\n)*pass input_range"):
        use(model, data)


def test_roundings_do_not_leave_the_range():
    model = quantize(network(), input_range=(-1, 1))
    model.predict(np.full((1, *SHAPE), 1 + 1e-5, np.float32), verbose=0)
    calibrate(model, np.full((1, *SHAPE), -1 - 1e-5, np.float32))


def test_calibration_and_statistics_know_the_range():
    model = quantize(network(), input_range=(-1, 1))
    for call in (
        lambda: calibrate(model, PIXELS / 255 * 3),
        lambda: fitted(model, PIXELS / 255, callbacks=[Reestimate(PIXELS)]),
    ):
        with pytest.raises(UserError, match=r"data are from 0 to .*takes -1 to 1.*input_range"):
            call()
    calibrate(quantize(network(layers.Rescaling(1 / 255))), PIXELS)


@pytest.mark.parametrize(
    ("declared", "message"),
    {
        (1, 0): "smaller one", (0, 0): "smaller one", (0, np.inf): "two numbers", (np.nan, 1): "two numbers", "ab": "two numbers",
        (0, 1, 2): "two numbers", 3: "two numbers", ("a", "b"): "two numbers",
    }.items(),
)  # fmt: skip
def test_no_range(declared, message: str):
    with pytest.raises(UserError, match=f"input_range.*{message}"):
        quantize(network(), input_range=declared)


def test_a_range_of_an_input_that_does_not_exist():
    with pytest.raises(UserError, match="no input 'image'; there are: picture"):
        quantize(network(), input_range={"image": (0, 1)})


def test_integers_are_refused():
    with pytest.raises(UserError, match="input 'picture' is int32; only float32"):
        quantize(network(layers.Rescaling(0.5), dtype="int32"))
