"""Operations that move codes, and the bilinear resize, against LiteRT with XNNPACK: no code may differ."""

import numpy as np
import pytest

from pipeline.quantization.integer_model import IntegerModel, Operation
from pipeline.quantization.integer_ops import run_operation
from tests.quantization.integer_samples import agreeing, check, pair, tensor


def moved(kind: str, shape: tuple, wanted: tuple, options: dict) -> np.ndarray:
    return check(kind, [tensor("x", shape, 0.1, -3)], tensor("y", wanted, 0.1, -3), options)


@pytest.mark.parametrize(("shape", "paddings"), [
    ((9,), ((1, 2),)),
    ((9, 4), ((1, 2), (0, 0))),
    ((9, 4), ((0, 0), (3, 1))),
    ((5, 6, 7), ((1, 0), (2, 3), (0, 1))),
    ((3, 4, 5, 6), ((1, 0), (2, 3), (0, 1), (1, 1))),
])  # fmt: skip
def test_pad(shape: tuple, paddings: tuple):
    wanted = tuple(size + sum(edges) for size, edges in zip(shape, paddings, strict=True))
    moved("PAD", shape, wanted, {"paddings": paddings})


@pytest.mark.parametrize(("shape", "begin", "wanted"), [
    ((9,), (2,), (5,)),
    ((9, 4), (1, 0), (7, 4)),
    ((8, 9, 3), (1, 2, 0), (5, 5, 3)),
    ((8, 9, 3), (0, 0, 2), (8, 9, 1)),
    ((3, 4, 5, 6), (1, 2, 0, 1), (2, 2, 5, 3)),
])  # fmt: skip
def test_slice(shape: tuple, begin: tuple, wanted: tuple):
    moved("SLICE", shape, wanted, {"begin": begin})
    moved("STRIDED_SLICE", shape, wanted, {"begin": begin, "strides": (1,) * len(shape)})


@pytest.mark.parametrize(("shape", "begin", "strides", "wanted"), [
    ((9,), (1,), (2,), (4,)), ((9, 4), (1, 0), (3, 2), (3, 2)), ((8, 9, 3), (0, 1, 0), (2, 4, 1), (4, 2, 3)),
])  # fmt: skip
def test_strided_slice(shape: tuple, begin: tuple, strides: tuple, wanted: tuple):
    moved("STRIDED_SLICE", shape, wanted, {"begin": begin, "strides": strides})


@pytest.mark.parametrize("permutation", [(1,), (2, 1), (2, 1, 3), (3, 1, 2), (3, 2, 1), (1, 3, 2), (4, 1, 3, 2)])
def test_transpose(permutation: tuple):
    shape = (3, 4, 5, 6)[: len(permutation)]
    moved("TRANSPOSE", shape, tuple(shape[axis - 1] for axis in permutation), {"permutation": permutation})


@pytest.mark.parametrize(("shape", "wanted"), [
    ((12,), (3, 4)), ((3, 4), (2, 3, 2)), ((3, 4, 5), (60,)), ((3, 4, 5), (3, 2, 2, 5)), ((3, 4, 2, 5, 1), (12, 10)),
])  # fmt: skip
def test_reshape(shape: tuple, wanted: tuple):
    moved("RESHAPE", shape, wanted, {})


@pytest.mark.parametrize("kind", ["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
@pytest.mark.parametrize("factors", [(2, 2), (3, 2), (1, 4), (5, 7), (8, 8), (1, 1)])
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 1, 16), (9, 1, 33)])
def test_upsampling(kind: str, factors: tuple, shape: tuple):
    wanted = (shape[0] * factors[0], shape[1] * factors[1], shape[2])
    moved(kind, shape, wanted, {})


def test_nearest_upsampling_repeats_codes():
    operation = Operation("RESIZE_NEAREST_NEIGHBOR", "op", ("x",), "y")
    codes = np.arange(12, dtype=np.int8).reshape(1, 3, 2, 2)
    output = tensor("y", (9, 4, 2), 0.1, 0)
    np.testing.assert_array_equal(run_operation(operation, [codes], [], output), codes.repeat(3, 1).repeat(2, 2))


@pytest.mark.parametrize("kind", ["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
@pytest.mark.parametrize("seed", range(12))
def test_resizing_to_any_size(kind: str, seed: int):
    height, width, *wanted = (int(size) for size in np.random.default_rng(seed).integers(1, 40, 4))
    moved(kind, (height, width, 5), (*wanted, 5), {})


@pytest.mark.parametrize(("shape", "axis"), [((9,), 1), ((5, 6), 1), ((5, 6), 2), ((4, 5, 3), 1), ((4, 5, 3), 2)])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_concatenation_along_any_axis(shape: tuple, axis: int, count: int):
    inputs = [tensor(f"x{index}", shape, 0.1, -3) for index in range(count)]
    operation = Operation("CONCATENATION", "op", tuple(item.name for item in inputs), "y", {"axis": axis})
    agreeing(pair(operation, inputs, tensor("y", _joined([shape] * count, axis), 0.1, -3)))


def _joined(shapes: list[tuple], axis: int) -> tuple:
    whole = list(shapes[0])
    whole[axis - 1] = sum(shape[axis - 1] for shape in shapes)
    return tuple(whole)


@pytest.mark.parametrize("kind", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@pytest.mark.parametrize(("size", "stride", "padding"), [
    (2, 2, "valid"), (3, 1, "same"), (3, 2, "same"), (5, 3, "valid"),
])  # fmt: skip
def test_pools_over_sequences(kind: str, size: int, stride: int, padding: str):
    steps = -(-17 // stride) if padding == "same" else (17 - size) // stride + 1
    shapes = {"x": (17, 6), "rows": (1, 17, 6), "pooled": (1, steps, 6), "y": (steps, 6)}
    tensors = {name: tensor(name, shape, 0.1, -3) for name, shape in shapes.items()}
    options = {"size": (1, size), "strides": (1, stride), "padding": padding}
    operations = [Operation("RESHAPE", "rows", ("x",), "rows"), Operation(kind, "pooled", ("rows",), "pooled", options),
                  Operation("RESHAPE", "y", ("pooled",), "y")]  # fmt: skip
    agreeing(IntegerModel(tensors, operations, ("x",), ("y",)))
