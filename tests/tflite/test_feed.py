"""What networks are fed: integer model, device network and files of both kinds of input agree on pixels and on floats."""

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from pipeline import convert, quantize
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.feed import codes_of, values_of
from pipeline.quantization.integer_model import IntegerModel, Tensor
from pipeline.tflite.exactness import layer_mismatches
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.metadata import ranges_in
from pipeline.tflite.write import write_tflite

SHAPE = (6, 7, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (8, *SHAPE)).astype(np.uint8)
RANGES = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-1.0, 3.5), (-0.1, 0.0)]
EVERY = np.arange(256, dtype=np.uint8)


def test_pixels_stand_for_the_range():
    np.testing.assert_array_equal(values_of(EVERY), EVERY.astype(np.float32) * np.float32(1 / 255))
    np.testing.assert_array_equal(values_of(EVERY, (0, 255)), EVERY)
    np.testing.assert_allclose(values_of(EVERY, (-1, 1)), EVERY / 127.5 - 1, atol=1e-7)
    np.testing.assert_array_equal(codes_of(EVERY, np.float32(1 / 255), -128), EVERY.astype(int) - 128)
    np.testing.assert_array_equal(codes_of(EVERY, np.float32(1), -128, (0, 255)), EVERY.astype(int) - 128)


def test_the_usual_ways_to_scale_pixels_give_the_same_codes():
    scaled = (EVERY / 127.5 - 1).astype(np.float32)
    np.testing.assert_array_equal(
        codes_of(EVERY, np.float32(1 / 127), 0, (-1, 1)), codes_of(scaled, np.float32(1 / 127), 0)
    )
    for values in (EVERY / 255, EVERY / np.float32(255)):
        np.testing.assert_array_equal(codes_of(values, np.float32(1 / 255), -128), EVERY.astype(int) - 128)


@pytest.mark.parametrize("scale", [1 / 255, 1 / 127, 1.0, 0.0371, 2.64 / 127])
@pytest.mark.parametrize("zero_point", [-128, 0])
def test_codes_are_those_of_xnnpack_quantize(scale: float, zero_point: int):
    """Random values, halves between two codes, their neighbours, and values far outside."""
    scale = np.float32(scale)
    halves = (np.arange(-300, 300) + np.float32(0.5)) * scale
    near = [np.nextafter(halves, np.float32(side)) for side in (-np.inf, np.inf)]
    values = np.concatenate(
        [halves, *near, np.random.default_rng(1).uniform(-300, 300, 3000).astype(np.float32) * scale]
    )
    tensor = Tensor("x", values.shape, scale, zero_point, 8)
    content = write_tflite(IntegerModel({"x": tensor}, [], ("x",), ("x",)), True, False, "test")
    found = LiteRtModel(content).logits(values[None].astype(np.float32))[0]
    codes = codes_of(values, scale, zero_point)
    assert len(np.unique(codes)) == 256
    np.testing.assert_array_equal(found, (codes.astype(np.float32) - zero_point) * scale)


@pytest.fixture(scope="module", params=RANGES, ids=str)
def sample(request, tmp_path_factory) -> tuple:
    """A range, random values in it, and the files of a network trained on them, with float and with int8 input."""
    tf_keras.utils.set_random_seed(2)
    network = tf_keras.Sequential([
        layers.Input(SHAPE), layers.Conv2D(5, 3, padding="same", activation="relu"), layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(), layers.Dense(4),
    ])  # fmt: skip
    low, high = request.param
    values = np.random.default_rng(3).uniform(low, high, (24, *SHAPE)).astype(np.float32)
    model = quantize(network, input_range=request.param, first_last_bits=4)
    model(values, training=True)
    folder = tmp_path_factory.mktemp("files")
    return request.param, values, [convert(model, folder / io, io=io) for io in ("float32", "int8")]


def test_files_of_both_kinds_agree_on_floats_and_pixels(sample):
    declared, values, converted = sample
    model = converted[0].integer_model
    for examples in (values, PIXELS):
        wanted = model.predict(examples)
        assert len(np.unique(wanted)) > 4
        np.testing.assert_array_equal(DeviceNetwork(model).forward(examples), wanted)
        for each in converted:
            content = each.files["int8"].read_bytes()
            np.testing.assert_array_equal(LiteRtModel(content).logits(examples), wanted)
            assert not any(layer_mismatches(model, content, examples[:3]).values())
    np.testing.assert_array_equal(model.predict(values_of(PIXELS, declared)), model.predict(PIXELS))


def test_files_say_their_range(sample):
    """So that pixels stand for it; a range of 0 to 1 is not written down."""
    declared, _, converted = sample
    for path in (path for each in converted for path in each.files.values()):
        assert ranges_in(path.read_bytes()) == (declared,)
        assert (b"input_ranges" in path.read_bytes()) == (declared != (0, 1))
        found, wanted = (LiteRtModel(path.read_bytes()).logits(each) for each in (PIXELS, values_of(PIXELS, declared)))
        np.testing.assert_array_equal(found, wanted)
