"""Operations on two tensors that are broadcast against each other, and clamps of one."""

import math

import numpy as np

from pipeline.quantization.saturation import store


def add(operation, inputs, tensors, output) -> np.ndarray:
    """ADD of two tensors, broadcast against each other."""
    return _fixed_point_sum(operation, inputs, tensors, output, (1, 1))


def subtract(operation, inputs, tensors, output) -> np.ndarray:
    """SUB: the arithmetic of ADD with the second ratio negated."""
    return _fixed_point_sum(operation, inputs, tensors, output, (1, -1))


def _fixed_point_sum(operation, inputs, tensors, output, signs: tuple[int, int]) -> np.ndarray:
    """Both scale ratios as integers at 2^shift, sum, round half up, shift."""
    values = operands(inputs, tensors)
    factors, shift = add_factors(tensors, output)
    total = sum(value * sign * factor for value, sign, factor in zip(values, signs, factors, strict=True))
    return store((total + (1 << (shift - 1))) >> shift, output, operation)


def add_factors(tensors, output) -> tuple[list[int], int]:
    """The ratios input scale / output scale of an ADD as integers at 2^shift, and the shift; the larger has 21 bits."""
    ratios = [np.float32(tensor.scale) / np.float32(output.scale) for tensor in tensors]
    shift = 21 - math.frexp(max(ratios))[1]
    return [int(np.rint(math.ldexp(float(ratio), shift))) for ratio in ratios], shift


def multiply(operation, inputs, tensors, output) -> np.ndarray:
    """MUL of two different tensors, broadcast: the product requantized in float32, half to even.

    Of one tensor with itself XNNPACK computes the square in another way, which ARM rounds differently.
    """
    first, second = operands(inputs, tensors)
    products = (first * second).astype(np.float32) * multiply_factor(tensors, output)
    return store(np.rint(products).astype(np.int64), output, operation)


def multiply_factor(tensors, output) -> np.float32:
    """The factor from products of codes to output codes: s_a * s_b / s_out, every step in float32."""
    return np.float32(tensors[0].scale) * np.float32(tensors[1].scale) / np.float32(output.scale)


def operands(inputs, tensors) -> list[np.ndarray]:
    """Both operands as codes minus zero point, int64, that NumPy broadcasts as TFLite does.

    TFLite aligns the last axes; the batch axis of the smaller tensor moves to the front.
    """
    rank = max(codes.ndim for codes in inputs)
    values = [codes.reshape(len(codes), *[1] * (rank - codes.ndim), *codes.shape[1:]) for codes in inputs]
    return [value.astype(np.int64) - tensor.zero_point for value, tensor in zip(values, tensors, strict=True)]


def maximum(operation, inputs, tensors, output) -> np.ndarray:
    """MAXIMUM with options["code"]: the lower clamp of a signed grid; any shape."""
    return np.maximum(inputs[0], np.int8(operation.options["code"]))


def minimum(operation, inputs, tensors, output) -> np.ndarray:
    """MINIMUM with options["code"]: the upper clamp of a bounded ReLU; any shape."""
    return np.minimum(inputs[0], np.int8(operation.options["code"]))


PAIR_OPERATIONS = {
    "ADD": add,
    "SUB": subtract,
    "MUL": multiply,
    "MAXIMUM": maximum,
    "MINIMUM": minimum,
}
