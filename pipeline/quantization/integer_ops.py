"""Integer operations as XNNPACK computes them, in exact NumPy arithmetic.

Every function takes (operation, input codes int8 (B, ...) each, input tensors, output tensor) and returns int8 codes.
"""

import math

import numpy as np

from pipeline.models.graph import windows_of
from pipeline.quantization.leaky_relu import leaky_relu
from pipeline.quantization.linear_ops import LINEAR_OPERATIONS
from pipeline.quantization.moving_ops import MOVING_OPERATIONS
from pipeline.quantization.pair_ops import PAIR_OPERATIONS
from pipeline.quantization.saturation import store
from pipeline.quantization.table_ops import TABLE_OPERATIONS

MAX_PIECE = 2**24  # numbers that an operation holds at a time; its arrays take 2 to 8 bytes each


def mean(operation, inputs, tensors, output) -> np.ndarray:
    """MEAN over options["axes"], height and width if there are none, to (B, *output shape).

    Raw codes are summed; both zero points are applied afterwards, in float32.
    """
    axes = reduced_axes(operation)
    scale, offset = mean_factors(tensors[0], output, axes)
    sums = inputs[0].sum(axis=axes, dtype=np.int32).astype(np.float32)
    codes = np.rint(sums * scale + offset).astype(np.int64) - output.zero_point
    return store(codes, output, operation).reshape(-1, *output.shape)


def reduced_axes(operation) -> tuple[int, ...]:
    """The axes a MEAN, SUM or REDUCE_MAX removes or makes 1; the batch is axis 0."""
    return tuple(operation.options.get("axes", (1, 2)))


def mean_factors(tensor, output, axes: tuple[int, ...] = (1, 2)) -> tuple[np.float32, np.float32]:
    """(scale, offset) of a MEAN: output code = rint(sum of raw codes * scale + offset), every step in float32."""
    count = np.float32(_reduced_count(tensor, axes))
    scale = np.float32(tensor.scale) / np.float32(output.scale) * (np.float32(1) / count)
    return scale, np.float32(output.zero_point) - np.float32(tensor.zero_point) * count * scale


def _reduced_count(tensor, axes: tuple[int, ...]) -> int:
    return math.prod(tensor.shape[axis - 1] for axis in axes)


def quantize(operation, inputs, tensors, output) -> np.ndarray:
    """QUANTIZE from one INT8 grid to another, any shape: the scales' ratio has 8 fractional bits, half rounds up."""
    factor = quantize_factor(tensors[0].scale, output.scale)
    return store(((inputs[0].astype(np.int32) - tensors[0].zero_point) * factor + 128) >> 8, output, operation)


def quantize_factor(scale_in: np.float32, scale_out: np.float32) -> int:
    """The ratio scale_in / scale_out in 256ths, as XNNPACK stores it."""
    return int(np.rint(np.float32(256) * (np.float32(scale_in) / np.float32(scale_out))))


def max_pool_2d(operation, inputs, tensors, output) -> np.ndarray:
    """MAX_POOL_2D: (B, H, W, C) -> (B, H', W', C); padding is never the maximum."""
    return windows_of(inputs[0], operation.options["size"], operation.options, -128).max(axis=(4, 5))


def average_pool_2d(operation, inputs, tensors, output) -> np.ndarray:
    """AVERAGE_POOL_2D: raw codes summed, padding not counted, integer division, half away from zero."""
    size = operation.options["size"]
    sums = windows_of(inputs[0].astype(np.int32), size, operation.options, 0).sum(axis=(4, 5))
    ones = np.ones((1, *inputs[0].shape[1:3], 1), np.int32)
    counts = windows_of(ones, size, operation.options, 0).sum(axis=(4, 5))
    magnitude = (np.abs(sums) + counts // 2) // counts
    return store(np.sign(sums) * magnitude - output.zero_point, output, operation)


def reduce_max(operation, inputs, tensors, output) -> np.ndarray:
    """REDUCE_MAX over options["axes"], height and width if there are none, to (B, *output shape)."""
    return inputs[0].max(axis=reduced_axes(operation)).reshape(-1, *output.shape)


OPERATIONS = {
    **LINEAR_OPERATIONS,
    **PAIR_OPERATIONS,
    "MEAN": mean,
    "QUANTIZE": quantize,
    "MAX_POOL_2D": max_pool_2d,
    "AVERAGE_POOL_2D": average_pool_2d,
    "REDUCE_MAX": reduce_max,
    "LEAKY_RELU": leaky_relu,
    **MOVING_OPERATIONS,
    **TABLE_OPERATIONS,
}


def run_operation(operation, inputs, tensors, output) -> np.ndarray:
    """One operation of any kind on codes (B, ...), as many examples at a time as MAX_PIECE allows."""
    compute, pieces = OPERATIONS[operation.kind], []
    step = max(MAX_PIECE // _intermediate_values(operation, tensors, output), 1)
    for start in range(0, len(inputs[0]), step):
        piece = [codes[start : start + step] for codes in inputs]
        pieces.append(compute(operation, piece, tensors, output))
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def _intermediate_values(operation, tensors, output) -> int:
    """About how many numbers an operation holds for one example: the windows of a convolution or a pooling."""
    taps, per_place = 1, operation.kind in ("CONV_2D", "TRANSPOSE_CONV")
    if per_place:
        taps = int(np.prod(operation.weights.codes.shape[1:3])) * tensors[0].shape[-1]
    elif operation.kind == "DEPTHWISE_CONV_2D":
        taps = operation.weights.codes[0, ..., 0].size
    elif "size" in operation.options:
        taps = int(np.prod(operation.options["size"]))
    places = int(np.prod(output.shape[:2])) if per_place else int(np.prod(output.shape))
    return max(places * taps, int(np.prod(output.shape)), *(int(np.prod(tensor.shape)) for tensor in tensors))
