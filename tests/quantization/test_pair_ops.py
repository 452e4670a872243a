"""Operations on two tensors, and reductions over any axes, against LiteRT with XNNPACK: no code may differ."""

import numpy as np
import pytest

from pipeline.quantization.integer_model import IntegerModel, Operation
from pipeline.quantization.pair_ops import multiply_factor
from pipeline.quantization.ties import ties, without_ties
from tests.quantization.integer_samples import agreeing, check, check_pair, tensor

SEEDS = range(4)
SHAPES = [
    ((5, 6, 7), (5, 6, 7)),
    ((5, 6, 7), (1, 1, 7)),  # squeeze and excite
    ((5, 6, 7), (7,)),
    ((5, 6, 1), (5, 6, 7)),
    ((9, 16), (9, 1)),
    ((33,), (33,)),
    ((3, 4, 5, 8), (1, 4, 1, 8)),
]


def grids(kind: str, rng) -> list[tuple[float, int]]:
    """(scale, zero point) of both operands and of the output."""
    scales = 0.03 * rng.uniform(0.7, 1.4, 3)
    scales[2] *= scales[0] * 2 ** rng.uniform(4, 10) if kind == "MUL" else 2 ** rng.uniform(-1, 2)
    return [(float(scale), int(rng.integers(-128, 128))) for scale in scales]


def broadcast(first: tuple, second: tuple) -> tuple:
    return np.broadcast_shapes(first, second)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("kind", ["MUL", "SUB", "ADD"])
def test_two_tensors(kind: str, shapes: tuple, seed: int):
    rng = np.random.default_rng(seed)
    first, second, output = grids(kind, rng)
    activation = [None, "RELU", "RELU6", None][seed]
    options = {"activation": activation} if activation else {}
    inputs = [tensor("x", shapes[0], *first), tensor("z", shapes[1], *second)]
    codes = check_pair(kind, inputs, tensor("y", broadcast(*shapes), *output), options, seed)
    assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("kind", ["SUB", "ADD"])
@pytest.mark.parametrize("scale", [0.013, 0.08, 0.16, 1.3])
@pytest.mark.parametrize("activation", [None, "RELU6"])
def test_a_tensor_with_itself(kind: str, scale: float, activation: str | None):
    x, y = tensor("x", (5, 6, 70), 0.1, -5), tensor("y", (5, 6, 70), scale, -100)
    options = {"activation": activation} if activation else {}
    agreeing(IntegerModel({"x": x, "y": y}, [Operation(kind, "op", ("x", "x"), "y", options)], ("x",), ("y",)))


@pytest.mark.parametrize("scale", [0.013, 0.08, 0.16, 1.3])
def test_a_tensor_times_its_copy_is_no_square(scale: float):
    x, copy = tensor("x", (5, 6, 70), 0.1, -5), tensor("copy", (5, 6, 70), 0.1, -5)
    check("MUL", [x, copy], without_ties([x, copy], tensor("y", (5, 6, 70), scale, -100)), {})


@pytest.mark.parametrize("ratio", [2.0**-15.9, 2.0**-13, 2.0**-8, 2.0**-6, 3 * 2.0**-10, 1, 2.0**4, 2.0**7.9])
@pytest.mark.parametrize("zero_points", [(0, 0, 0), (-128, -128, -128), (3, -128, 0)])
def test_mul_at_the_ends_of_its_range_and_on_ties(ratio: float, zero_points: tuple):
    x, z = (tensor(name, (9, 9, 9), 0.0625, zero) for name, zero in zip("xz", zero_points[:2], strict=True))
    check_pair("MUL", [x, z], tensor("y", (9, 9, 9), 0.0625**2 / ratio, zero_points[2]), {})


@pytest.mark.parametrize("exponents", [(-9.99, -8), (-9.9, -2), (-2, -9.9), (3, 0), (7.9, 7), (1, 7.9)])
def test_sub_at_the_ends_of_its_range(exponents: tuple):
    scales = [0.03 * 2.0**exponent for exponent in exponents]
    inputs = [tensor(name, (9, 9, 9), scale, 3) for name, scale in zip("xz", scales, strict=True)]
    check_pair("SUB", inputs, tensor("y", (9, 9, 9), 0.03, -7), {})


def test_minimum_with_a_code():
    assert check("MINIMUM", [tensor("x", (5, 6, 3), 0.1, 4)], tensor("y", (5, 6, 3), 0.1, 4), {"code": 17}).max() == 17


@pytest.mark.parametrize(("shape", "axes"), [
    ((50, 7), (1,)), ((50, 7), (2,)), ((9,), (1,)), ((5, 6, 7), (1,)), ((5, 6, 7), (2,)), ((5, 6, 7), (3,)),
    ((5, 6, 7), (1, 2, 3)), ((5, 6, 7), (2, 3)), ((5, 6, 7), (1, 3)), ((3, 4, 5, 6), (1, 2, 3)), ((3, 4, 5, 6), (2, 4)),
])  # fmt: skip
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("kind", ["MEAN", "REDUCE_MAX"])
def test_reductions_over_any_axes(kind: str, keep: bool, shape: tuple, axes: tuple):
    rest = [1 if axis in axes else size for axis, size in enumerate(shape, 1) if keep or axis not in axes]
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        scale, zero_point = float(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128))
        grid = scale, zero_point
        if kind != "REDUCE_MAX":
            grid = scale * float(rng.uniform(0.1, 3)), int(rng.integers(-128, 128))
        check(kind, [tensor("x", shape, scale, zero_point)], tensor("y", tuple(rest), *grid), {"axes": axes}, seed=seed)


@pytest.mark.parametrize("shift", [3, 6, 8, 10])
def test_the_output_step_of_a_mul_avoids_ties(shift: int):
    operands = [tensor("x", (9,), 0.05, -3), tensor("z", (9,), 1 / 256, -128)]
    output = tensor("y", (9,), np.float32(0.05) / np.float32(256 * 2.0**-shift), 0)
    products = np.arange(-65025, 65026)
    assert ties(products, multiply_factor(operands, output)) >= 64
    moved = without_ties(operands, output)
    assert 1 < moved.scale / output.scale < 1 + 1e-6
    check_pair("MUL", operands, moved, {})
