"""Every integer operation against LiteRT with XNNPACK, on random codes, scales and shapes: no code may differ."""

import numpy as np
import pytest

from pipeline.models.graph import padding_of
from pipeline.quantization.integer_model import Operation, Weights
from pipeline.quantization.integer_ops import quantize_factor
from tests.quantization.integer_samples import check, litert, single, tensor

SEEDS = range(6)


def weights_of(rng, shape: tuple, outputs: int, bits: int, step: float) -> Weights:
    """Random weights; the multiplier is about `step` where input and output have the same scale."""
    top = 2 ** (bits - 1) - 1
    codes = rng.integers(-top, top + 1, shape).astype(np.int8)
    scales = rng.uniform(0.3 * step, step, outputs).astype(np.float32)
    return Weights(codes, scales, rng.integers(-500, 500, outputs).astype(np.int32), bits)


def window(rng) -> dict:
    """Random strides, padding and (only without strides) dilation."""
    stride = int(rng.integers(1, 4))
    dilation = (1, 1) if stride > 1 else tuple(int(size) for size in rng.integers(1, 3, 2))
    return {"strides": (stride, stride), "padding": str(rng.choice(["same", "valid"])), "dilation": dilation}


def output_shape(shape: tuple, kernel: tuple, options: dict, channels: int) -> tuple:
    extent = [(size - 1) * step + 1 for size, step in zip(kernel, options.get("dilation", (1, 1)), strict=True)]
    edges = padding_of(shape[:2], extent, options["strides"], options["padding"])
    sizes = [(size + sum(edge) - width) // stride + 1
             for size, edge, width, stride in zip(shape, edges, extent, options["strides"], strict=False)]  # fmt: skip
    return (*sizes, channels)


def a_grid(rng) -> tuple[float, int]:
    return float(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("activation", [None, "RELU", "RELU6"])
def test_conv_2d(seed: int, bits: int, activation: str | None):
    rng = np.random.default_rng(seed)
    shape, kernel, outputs = (*rng.integers(7, 14, 2), int(rng.integers(1, 9))), rng.integers(1, 5, 2), 7
    options = window(rng) | ({"activation": activation} if activation else {})
    weights = weights_of(rng, (outputs, *kernel, shape[2]), outputs, bits, 40 / 4**bits)
    source = tensor("x", shape, *a_grid(rng))
    sink = tensor("y", output_shape(shape, kernel, options, outputs), *a_grid(rng))
    codes = check("CONV_2D", [source], sink, options, weights, seed)
    assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_conv_2d(seed: int, bits: int, multiplier: int):
    rng = np.random.default_rng(seed)
    shape, kernel = (*rng.integers(7, 14, 2), int(rng.integers(1, 9))), rng.integers(1, 6, 2)
    outputs = shape[2] * multiplier
    options = window(rng) | {"depth_multiplier": multiplier}
    weights = weights_of(rng, (1, *kernel, outputs), outputs, bits, 40 / 4**bits)
    sink = tensor("y", output_shape(shape, kernel, options, outputs), *a_grid(rng))
    codes = check("DEPTHWISE_CONV_2D", [tensor("x", shape, *a_grid(rng))], sink, options, weights, seed)
    assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("bits", "per_tensor"), [(4, False), (8, False), (8, True)])
def test_fully_connected(seed: int, bits: int, per_tensor: bool):
    rng = np.random.default_rng(seed)
    inputs, outputs = int(rng.integers(1, 200)), int(rng.integers(1, 20))
    weights = weights_of(rng, (outputs, inputs), outputs, bits, 20 / 4**bits)
    if per_tensor:
        weights = Weights(weights.codes, weights.scales[:1], weights.bias, bits)
    check("FULLY_CONNECTED", [tensor("x", (inputs,), *a_grid(rng))], tensor("y", (outputs,), *a_grid(rng)), {}, weights,
          seed)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "scales", [(1, 1, 1), (1, 0.9, 1.7), (1, 30, 25), (30, 1, 40), (1, 1 / 100, 0.5), (1, 100, 128)]
)
@pytest.mark.parametrize("activation", [None, "RELU", "RELU6"])
def test_add(seed: int, scales: tuple, activation: str | None):
    rng = np.random.default_rng(seed)
    first, second, output = 0.05 * np.array(scales) * rng.uniform(0.8, 1.2, 3)
    inputs = [tensor("x", (5, 6, 7), first, -3), tensor("z", (5, 6, 7), second, 5)]
    options = {"activation": activation} if activation else {}
    codes = check("ADD", inputs, tensor("y", (5, 6, 7), output, -11), options, seed=seed)
    assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("keep", [False, True])
def test_mean(seed: int, keep: bool):
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(1, 12, 2), int(rng.integers(1, 40)))
    scale, zero_point = a_grid(rng)
    output = tensor("y", (1, 1, shape[2]) if keep else (shape[2],), scale * float(rng.uniform(0.2, 1.5)), 7)
    check("MEAN", [tensor("x", shape, scale, zero_point)], output, {}, seed=seed)


@pytest.mark.parametrize("ratio", [1 / 250, 1 / 18.14, 14 / 256, 14.49 / 256, 14.51 / 256, 0.5, 0.999, 1, 1.7, 30, 127])
@pytest.mark.parametrize(("zero_in", "zero_out"), [(0, 120), (-128, 0), (-128, -128), (17, -40)])
def test_quantize_keeps_the_ratio_in_256ths(ratio: float, zero_in: int, zero_out: int):
    source, sink = tensor("x", (4, 4, 16), 0.02, zero_in), tensor("y", (4, 4, 16), 0.02 / ratio, zero_out)
    check("QUANTIZE", [source], sink, {})


def test_quantize_factor_is_the_nearest_number_of_256ths():
    assert quantize_factor(np.float32(1), np.float32(256 / 14.4)) == 14
    assert quantize_factor(np.float32(1), np.float32(256 / 14.6)) == 15


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_poolings(seed: int, kind: str):
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(6, 14, 2), int(rng.integers(1, 20)))
    size, strides = (tuple(int(side) for side in rng.integers(1, most, 2)) for most in (5, 4))
    options = {"size": size, "strides": strides, "padding": str(rng.choice(["same", "valid"]))}
    scale, zero_point = a_grid(rng)
    output = tensor("y", output_shape(shape, size, options, shape[2]), scale, zero_point)
    check(kind, [tensor("x", shape, scale, zero_point)], output, options, seed=seed)


@pytest.mark.parametrize("zero_point", [-128, -3, 0, 120])
@pytest.mark.parametrize(("kind", "options", "shape"), [
    ("MAXIMUM", {"code": 113}, (5, 6, 3)),
    ("REDUCE_MAX", {}, (3,)),
    ("REDUCE_MAX", {}, (1, 1, 3)),
    ("PAD", {"paddings": ((1, 2), (0, 3), (0, 0))}, (8, 9, 3)),
    ("PAD", {"paddings": ((0, 0), (0, 0), (4, 5))}, (5, 6, 12)),
    ("RESHAPE", {}, (90,)),
])  # fmt: skip
def test_operations_that_move_codes(zero_point: int, kind: str, options: dict, shape: tuple):
    check(kind, [tensor("x", (5, 6, 3), 0.1, zero_point)], tensor("y", shape, 0.1, zero_point), options)


def test_concatenation():
    inputs = [tensor("x", (5, 6, 3), 0.1, 4), tensor("z", (5, 6, 3), 0.1, 4)]
    check("CONCATENATION", inputs, tensor("y", (5, 6, 6), 0.1, 4), {"axis": 3})
    check("CONCATENATION", [tensor("x", (6,), 0.1, 4)] * 2, tensor("y", (12,), 0.1, 4), {"axis": 1})


def test_relu6_saturates_at_the_code_of_six():
    weights = Weights(np.array([[1]], np.int8), np.float32([1]), np.int32([0]), 8)
    source, sink = tensor("x", (1,), 0.1, 0), tensor("y", (1,), 0.07, 20)
    operation = Operation("FULLY_CONNECTED", "op", ("x",), "y", {"activation": "RELU6"}, weights)
    codes = np.arange(-128, 128).astype(np.int8)[:, None]
    model = single(operation, [source], sink)
    expected = model.run(codes)
    assert expected.min() == 20 and expected.max() == 20 + round(6 / 0.07)
    np.testing.assert_array_equal(expected, litert(model, codes))


@pytest.mark.parametrize(("size", "kernel", "stride", "edges"), [
    (5, 3, 1, (1, 1)), (6, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (4, 2, 2, (0, 0)), (5, 2, 2, (0, 1)), (5, 1, 3, (0, 0)),
])  # fmt: skip
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int, edges: tuple):
    assert padding_of((size, size), (kernel, kernel), (stride, stride), "same") == [edges, edges]
    assert padding_of((size, size), (kernel, kernel), (stride, stride), "valid") == [(0, 0), (0, 0)]
