"""Activations as integer operations against LiteRT: no code may differ, with XNNPACK and without."""

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.quantization.integer_model import Operation
from pipeline.quantization.leaky_relu import leaky_relu_factors
from pipeline.quantization.table_ops import TIE_MARGIN, certain_tensors, table, tie_margin
from tests.quantization.integer_samples import check, litert, single, tensor

ALL_CODES = np.arange(-128, 128).astype(np.int8)[None]
SHAPE = (5, 6, 3)
GELU, GELU_TANH = {"approximate": False}, {"approximate": True}


def two_grids(seed: int, most: float, shape: tuple = (256,)) -> tuple:
    """Random tensors x and y whose scales differ by a factor of up to `most`, either way."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.uniform(np.log(1e-3), 0))
    ratio = np.exp(rng.uniform(-np.log(most), np.log(most)))
    zero_points = rng.integers(-128, 128, 2)
    return tensor("x", shape, scale, int(zero_points[0])), tensor("y", shape, scale / ratio, int(zero_points[1]))


def assert_same_table(kind: str, options: dict, source, output, kernels: str = "xnnpack") -> np.ndarray:
    model = single(Operation(kind, "op", ("x",), "y", options), [source], output)
    expected = model.run(ALL_CODES)
    np.testing.assert_array_equal(expected, litert(model, ALL_CODES, kernels))
    return expected[0]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("kind", "options", "grid"), [
    ("LOGISTIC", {}, (1 / 256, -128)),
    ("TANH", {}, (1 / 128, 0)),
    ("TANH", {}, (1 / 7, 120)),
    ("ELU", {}, None),
    ("GELU", GELU, None),
    ("GELU", GELU_TANH, None),
])  # fmt: skip
def test_tables(seed: int, kind: str, options: dict, grid: tuple | None):
    source, output = two_grids(seed, 50)
    output = tensor("y", (256,), *grid) if grid else output
    source, output = certain_tensors(kind, options, source, output)
    assert tie_margin(kind, options, source, output) >= TIE_MARGIN
    for kernels in ("xnnpack", "builtin"):
        assert_same_table(kind, options, source, output, kernels)


def test_xnnpack_has_logistic_on_any_grid():
    source, output = certain_tensors("LOGISTIC", {}, tensor("x", (256,), 0.05, 3), tensor("y", (256,), 1 / 16, 112))
    assert len(np.unique(assert_same_table("LOGISTIC", {}, source, output))) == 16


def test_tables_hold_the_functions():
    source, output = tensor("x", (256,), 0.05, 3), tensor("y", (256,), 0.04, -7)
    x = (np.arange(-128, 128) - 3) * 0.05
    expected = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    got = (table("GELU", GELU_TANH, source, output) + 7.0) * 0.04
    assert np.abs(got - np.clip(expected, -121 * 0.04, 134 * 0.04)).max() < 0.0201
    assert np.abs(table("GELU", GELU, source, output) - table("GELU", GELU_TANH, source, output)).max() <= 1


def test_a_tie_that_no_scale_avoids():
    with pytest.raises(UserError, match="LOGISTIC of x: no scale"):  # sigmoid(0) is code -0.5
        certain_tensors("LOGISTIC", {}, tensor("x", (256,), 0.05, 0), tensor("y", (256,), 1 / 255, -128))


@pytest.mark.parametrize("kind", ["LOGISTIC", "LEAKY_RELU"])
def test_any_shape(kind: str):
    for shape in ((4,), SHAPE, (3, 5)):
        check(kind, [tensor("x", shape, 0.05, 4)], tensor("y", shape, 1 / 256, -128), {"alpha": 0.25})


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("alpha", [-0.5, 0.01, 0.3, 1.5])
def test_leaky_relu(seed: int, alpha: float):
    source, output = two_grids(seed, 2)
    assert_same_table("LEAKY_RELU", {"alpha": alpha}, source, output)


@pytest.mark.parametrize("ratio", [1 / 200, 1, 127.9])
def test_leaky_relu_of_extreme_scales(ratio: float):
    source, output = tensor("x", (256,), 0.05, -20), tensor("y", (256,), 0.05 / ratio, 30)
    assert_same_table("LEAKY_RELU", {"alpha": 0.9}, source, output)


def test_leaky_relu_slopes_have_256ths():
    assert leaky_relu_factors(0.01, np.float32(1), np.float32(1)) == (256, 3)
    assert leaky_relu_factors(0.3, np.float32(1), np.float32(2)) == (128, 38)


@pytest.mark.parametrize("kind", ["MAXIMUM", "MINIMUM"])
def test_extremes_with_a_constant(kind: str):
    codes = check(kind, [tensor("x", SHAPE, 0.1, 4)], tensor("y", SHAPE, 0.1, 4), {"code": 17})
    assert (codes == 17).any() and (codes != 17).any()
