"""Where rounding could go wrong: halves, near-halves and sums beyond float32's integers, against LiteRT with XNNPACK."""

import numpy as np
import pytest

from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.folding import FoldedWeights
from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor, Weights
from pipeline.quantization.linear_ops import EXACT_IN_FLOAT32
from pipeline.quantization.pair_ops import add_factors
from tests.quantization.integer_samples import litert, single, tensor

IDENTITY = {"strides": (1, 1), "padding": "valid"}


def check(model: IntegerModel, codes: np.ndarray) -> np.ndarray:
    """The output codes of our arithmetic, after comparing them with LiteRT's and with TensorFlow's version."""
    expected = model.run(codes)
    np.testing.assert_array_equal(expected, litert(model, codes))
    output = model.tensors[model.outputs[0]]
    if model.tensors[model.inputs[0]].zero_point == -128:
        logits = DeviceNetwork(model).from_codes(codes).numpy()
        np.testing.assert_array_equal(np.rint(logits / output.scale) + output.zero_point, expected)
    return expected


def dense(codes: np.ndarray, scales, bias, source: Tensor, sink: Tensor) -> IntegerModel:
    weights = Weights(codes.astype(np.int8), np.float32(scales), np.int32(bias), 8)
    return single(Operation("FULLY_CONNECTED", "op", ("x",), "y", {}, weights), [source], sink)


@pytest.mark.parametrize("zero_point", [-128, 0, 5])
def test_halves_round_to_even_behind_weights(zero_point: int):
    codes = np.arange(-128, 128).astype(np.int8)[:, None]
    model = dense(np.array([[1]]), [1.0], [0], tensor("x", (1,), 1.0, -128), tensor("y", (1,), 2.0, zero_point))
    got = check(model, codes).ravel().astype(int) - zero_point
    halves = (codes.ravel().astype(int) + 128) / 2
    np.testing.assert_array_equal(got, np.clip(np.rint(halves), -128 - zero_point, 127 - zero_point))


@pytest.mark.parametrize("seed", range(40))
def test_near_halves_behind_weights(seed: int):
    """An output step for which one sum lies within 1e-8 to 1e-6 of a half: float32's own rounding decides."""
    rng = np.random.default_rng(seed)
    inputs, zero_point = int(rng.integers(1, 60)), int(rng.integers(-128, 127))
    step, scales = np.float32(rng.uniform(0.01, 1)), rng.uniform(0.5, 1, 4).astype(np.float32)
    weights, bias = rng.integers(-127, 128, (4, inputs)), rng.integers(-3000, 3000, 4)
    codes = rng.integers(-128, 128, (8, inputs)).astype(np.int8)
    sums = (codes.astype(int) - zero_point) @ weights.T + bias
    row, channel = np.unravel_index(np.abs(sums).argmax(), sums.shape)
    half = int(rng.integers(60, 100)) + 0.5
    exact = abs(float(sums[row, channel])) * float(step) * float(scales[channel]) / half
    sink = tensor("y", (4,), exact * (1 + rng.uniform(-1, 1) * 10.0 ** rng.uniform(-8, -6)), int(rng.integers(-20, 20)))
    check(dense(weights, scales, bias, tensor("x", (inputs,), step, zero_point), sink), codes)


@pytest.mark.parametrize("seed", range(60))
def test_near_halves_in_a_mean(seed: int):
    """Raw codes are summed and the zero points come in as float32: a sum near a half shows it."""
    rng = np.random.default_rng(seed)
    height, width, zero_point = *(int(side) for side in rng.integers(1, 13, 2)), int(rng.choice([-128, 0, 112, 120]))
    codes = rng.integers(zero_point, 128, (20, height, width, 1)).astype(np.int8)
    sums = (codes.astype(int) - zero_point).sum(axis=(1, 2, 3))
    step, half = np.float32(rng.uniform(0.01, 1)), int(rng.integers(40, 100)) + 0.5
    exact = float(sums.max()) * float(step) / (height * width) / half
    sink = tensor(
        "y", (1,), exact * (1 + rng.uniform(-1, 1) * 10.0 ** rng.uniform(-8, -5)), int(rng.choice([-128, 0, 7]))
    )
    model = single(Operation("MEAN", "op", ("x",), "y", {}), [tensor("x", (height, width, 1), step, zero_point)], sink)
    check(model, codes)


def all_pairs(first: float, second: float, output: float) -> IntegerModel:
    """An ADD of the two channels of an image; a 1x1 convolution takes each out, exactly."""
    tensors = {"x": tensor("x", (256, 256, 2), 1.0, -128), "y": tensor("y", (256, 256, 1), output, -9)}
    operations = []
    for channel, (name, scale) in enumerate((("a", first), ("b", second))):
        codes = np.zeros((1, 1, 1, 2), np.int8)
        codes[..., channel] = 1
        tensors[name] = tensor(name, (256, 256, 1), scale, -128)
        weights = Weights(codes, np.float32([scale]), np.int32([0]), 8)
        operations.append(Operation("CONV_2D", name, ("x",), name, IDENTITY, weights))
    return IntegerModel(tensors, [*operations, Operation("ADD", "op", ("a", "b"), "y", {})], ("x",), ("y",))


@pytest.mark.parametrize(("first", "second", "output"), [
    (1, 1, 2), (0.5, 0.25, 3), (0.37, 0.11, 0.53), (0.05, 0.049, 0.031), (1, 0.013, 1.1), (0.013, 1, 1.3), (3.3, 0.004, 2),
    (1, 1 / 1000, 1), (0.7, 0.9, 1.9),
])  # fmt: skip
def test_every_pair_of_codes_in_an_add(first: float, second: float, output: float):
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), axis=-1).astype(np.int8)[None]
    assert len(np.unique(check(all_pairs(first, second, output), pairs))) > 40


@pytest.mark.parametrize("ratio", [0.3, 0.5, 1.0, 1.7, 100.0])
def test_the_larger_factor_of_an_add_has_21_bits(ratio: float):
    inputs = [tensor("a", (1,), ratio, 0), tensor("b", (1,), ratio / 7, 0)]
    factors, shift = add_factors(inputs, tensor("y", (1,), 1.0, 0))
    assert 2**20 <= factors[0] < 2**21
    np.testing.assert_allclose(np.array(factors) / 2.0**shift, [ratio, ratio / 7], rtol=1e-5)


@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED"])
def test_sums_beyond_the_integers_of_float32_are_exact(kind: str):
    """Half of the products adds up to 4e8, where neighbouring float32 are 32 apart; the other half takes it away."""
    rng, count = np.random.default_rng(0), 16384
    half = rng.integers(90, 128, (5, count))
    codes = np.concatenate([half, -half + (rng.random(half.shape) < 2e-4)], axis=1).astype(np.int8)
    x = np.full((4, 2 * count), 127, np.int8) - (rng.random((4, 2 * count)) < 1e-4).astype(np.int8)
    shape, layout = (
        ((2 * count,), codes.shape) if kind == "FULLY_CONNECTED" else ((2, 2, count // 2), (5, 2, 2, count // 2))
    )
    weights = Weights(codes.reshape(layout), np.ones(5, np.float32), np.zeros(5, np.int32), 8)
    sums = (x.astype(np.int64) + 128) @ codes.astype(np.int64).T
    assert 255 * half.sum(axis=1).min() > 20 * EXACT_IN_FLOAT32 and np.abs(sums).max() < 5000
    source = tensor("x", shape, 1.0, -128)
    sink = tensor("y", (5,) if kind == "FULLY_CONNECTED" else (1, 1, 5), np.abs(sums).max() / 127, 0)
    model = single(Operation(kind, "op", ("x",), "y", IDENTITY, weights), [source], sink)
    got = check(model, x.reshape(4, *shape)).reshape(4, 5)
    multiplier = np.float32(1) / sink.scale
    np.testing.assert_array_equal(got, np.clip(np.rint(sums.astype(np.float32) * multiplier), -128, 127))


@pytest.mark.parametrize("halves", range(0, 40))
def test_the_bias_of_a_dead_channel_is_never_half_a_step(halves: int):
    """Without weights the bias is the whole output: a half would round to even on the device and up in Keras."""
    step, bias = np.float32(0.37), (halves + 0.5) * 0.37
    folded = FoldedWeights(np.zeros((1, 1, 1, 3)), np.zeros(1), np.array([bias]), 4)
    weights = folded.at(np.float32(0.05), step, scaled=False, depthwise=False)
    output = float(weights.bias[0]) * 0.05 * float(weights.scales[0]) / 0.37
    assert abs(output - halves - 0.5) > 1e-4 and abs(output - halves - 0.5) < 0.01
