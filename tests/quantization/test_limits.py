"""The last sums that the device computes without overflow, against LiteRT with XNNPACK."""

import numpy as np
import pytest

from pipeline.quantization.integer_model import Weights
from pipeline.tflite.packing import MAX_PACKED_DENSE_SUM, largest_sums
from tests.quantization.integer_samples import litert
from tests.quantization.test_linear_ops import SHAPES, one_layer


def weights_with(kind: str, bias: int, step: float, most: int = 127) -> Weights:
    """Random weights with biases of that magnitude and both signs."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-most, most + 1, SHAPES[kind][0]).astype(np.int8)
    return Weights(codes, rng.uniform(0.9, 1, 6).astype(np.float32) * np.float32(step),
                   np.int32([bias, -bias] * 3), 4 if most == 7 else 8)  # fmt: skip


def extreme_codes(kind: str, weights: Weights) -> np.ndarray:
    """All lowest, all highest, two random inputs, and for dense layers those of the largest and smallest sum."""
    shape, rng = SHAPES[kind][1], np.random.default_rng(1)
    codes = [np.full(shape, -128), np.full(shape, 127), *rng.integers(-128, 128, (2, *shape))]
    if kind == "FULLY_CONNECTED":
        codes += [np.where(sign * row > 0, 127, -128) for row in weights.codes for sign in (1, -1)]
    return np.array(codes, np.int8)


@pytest.mark.parametrize("multiplier", [2.0**-33, 1e-20, 1e-36])
@pytest.mark.parametrize("kind", SHAPES)
def test_a_very_coarse_output_is_the_zero_point(kind: str, multiplier: float):
    weights = weights_with(kind, 2**30, 1.0)
    model = one_layer(kind, weights, (1.0, 3), (1 / multiplier, 3))
    codes = extreme_codes(kind, weights)
    assert np.unique(model.run(codes)) == 3
    np.testing.assert_array_equal(model.run(codes), litert(model, codes))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_biases_near_the_limits_of_int32(kind: str, zero_point: int):
    weights = weights_with(kind, 2**31 - 2**21, 100 / 2**31)
    model = one_layer(kind, weights, (1.0, zero_point), (1.0, -5))
    codes = extreme_codes(kind, weights)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes))


def test_sums_of_a_packed_dense_layer_are_limited_to_27_bits():
    weights = weights_with("FULLY_CONNECTED", 2**27 - 2**18, 100 / 2**27, most=7)
    model = one_layer("FULLY_CONNECTED", weights, (1.0, 3), (1.0, -5))
    assert 2**27 - 2**19 < largest_sums(model.operations[0], model.tensors["x"]).max() <= MAX_PACKED_DENSE_SUM
    codes = extreme_codes("FULLY_CONNECTED", weights)
    np.testing.assert_array_equal(model.run(codes), litert(model, codes, packed_int4=True))
