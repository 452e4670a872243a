"""Integer operations as XNNPACK computes them, in exact NumPy arithmetic.

Every function takes (operation, input codes int8 (B, ...) each, input tensors, output tensor) and returns int8 codes.
Accumulators are exact: products of codes are summed in float32 only where every partial sum fits into its 24-bit
integers, else in float64 (53 bits).
"""

import math

import numpy as np

from pipeline.models.graph import windows_of

EXACT_IN_FLOAT32 = 2**24
MAX_PIECE = 2**24  # numbers that an operation holds at a time; its arrays take 2 to 8 bytes each


def conv_2d(operation, inputs, tensors, output) -> np.ndarray:
    """CONV_2D: (B, H, W, I) -> (B, H', W', O)."""
    weights = operation.weights
    kernel = weights.codes.reshape(len(weights.codes), -1)
    windows = _windows(inputs[0], tensors[0], operation.options, weights.codes.shape[1:3])
    batch, height, width = windows.shape[:3]
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(batch * height * width, -1)
    sums = _exact_product(rows, kernel).reshape(batch, height, width, -1)
    return _requantize(sums + weights.bias, tensors[0], weights.scales, output, operation)


def depthwise_conv_2d(operation, inputs, tensors, output) -> np.ndarray:
    """DEPTHWISE_CONV_2D: (B, H, W, I) -> (B, H', W', O), O = I * multiplier."""
    weights = operation.weights
    channels, outputs = inputs[0].shape[-1], weights.codes.shape[-1]
    windows = _windows(inputs[0], tensors[0], operation.options, weights.codes.shape[1:3])
    kernel = weights.codes[0].reshape(*weights.codes.shape[1:3], channels, outputs // channels).astype(np.int32)
    sums = np.einsum("bhwcij,ijcm->bhwcm", windows.astype(np.int32), kernel).reshape(*windows.shape[:3], outputs)
    return _requantize(sums + weights.bias, tensors[0], weights.scales, output, operation)


def fully_connected(operation, inputs, tensors, output) -> np.ndarray:
    """FULLY_CONNECTED: (B, I) -> (B, O)."""
    weights = operation.weights
    rows = inputs[0].astype(np.int16) - tensors[0].zero_point
    sums = _exact_product(rows, weights.codes) + weights.bias
    return _requantize(sums, tensors[0], weights.scales, output, operation)


def add(operation, inputs, tensors, output) -> np.ndarray:
    """ADD in fixed point: both scale ratios as integers at 2^shift, sum, round half up, shift."""
    factors, shift = add_factors(tensors, output)
    total = sum(
        (codes.astype(np.int64) - tensor.zero_point) * factor
        for codes, tensor, factor in zip(inputs, tensors, factors, strict=True)
    )
    return _store((total + (1 << (shift - 1))) >> shift, output, operation)


def add_factors(tensors, output) -> tuple[list[int], int]:
    """The ratios input scale / output scale of an ADD as integers at 2^shift, and the shift; the larger has 21 bits."""
    ratios = [np.float32(tensor.scale) / np.float32(output.scale) for tensor in tensors]
    shift = 21 - math.frexp(max(ratios))[1]
    return [int(np.rint(math.ldexp(float(ratio), shift))) for ratio in ratios], shift


def mean(operation, inputs, tensors, output) -> np.ndarray:
    """MEAN over height and width: (B, H, W, C) -> (B, C), or (B, 1, 1, C) if that is the output's shape.

    Raw codes are summed; both zero points are applied afterwards, in float32.
    """
    scale, offset = mean_factors(tensors[0], output)
    sums = inputs[0].astype(np.int32).sum(axis=(1, 2)).astype(np.float32)
    codes = np.rint(sums * scale + offset).astype(np.int64) - output.zero_point
    return _store(codes, output, operation).reshape(-1, *output.shape)


def mean_factors(tensor, output) -> tuple[np.float32, np.float32]:
    """(scale, offset) of a MEAN: output code = rint(sum of raw codes * scale + offset), every step in float32."""
    count = np.float32(np.prod(tensor.shape[:2]))
    scale = np.float32(tensor.scale) / np.float32(output.scale) * (np.float32(1) / count)
    return scale, np.float32(output.zero_point) - np.float32(tensor.zero_point) * count * scale


def quantize(operation, inputs, tensors, output) -> np.ndarray:
    """QUANTIZE from one INT8 grid to another, any shape: the scales' ratio has 8 fractional bits, half rounds up."""
    factor = quantize_factor(tensors[0].scale, output.scale)
    return _store(((inputs[0].astype(np.int32) - tensors[0].zero_point) * factor + 128) >> 8, output, operation)


def quantize_factor(scale_in: np.float32, scale_out: np.float32) -> int:
    """The ratio scale_in / scale_out in 256ths, as XNNPACK stores it."""
    return int(np.rint(np.float32(256) * (np.float32(scale_in) / np.float32(scale_out))))


def maximum(operation, inputs, tensors, output) -> np.ndarray:
    """MAXIMUM with one code: the lower clamp of a signed grid of fewer than 8 bits; any shape."""
    return np.maximum(inputs[0], np.int8(operation.options["code"]))


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
    return _store(np.sign(sums) * magnitude - output.zero_point, output, operation)


def reduce_max(operation, inputs, tensors, output) -> np.ndarray:
    """REDUCE_MAX over height and width: (B, H, W, C) -> (B, C), or (B, 1, 1, C) if that is the output's shape."""
    return inputs[0].max(axis=(1, 2)).reshape(-1, *output.shape)


def pad(operation, inputs, tensors, output) -> np.ndarray:
    """PAD with the code of zero; options["paddings"]: ((before, after), ...) for H, W, C."""
    paddings = ((0, 0), *operation.options["paddings"])
    return np.pad(inputs[0], paddings, constant_values=np.int8(tensors[0].zero_point))


def concatenation(operation, inputs, tensors, output) -> np.ndarray:
    """CONCATENATION of channels; all inputs are on the output's grid."""
    return np.concatenate(inputs, axis=-1)


def reshape(operation, inputs, tensors, output) -> np.ndarray:
    """RESHAPE to (B, *output shape)."""
    return inputs[0].reshape(len(inputs[0]), *output.shape)


OPERATIONS = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "ADD": add,
    "MEAN": mean,
    "QUANTIZE": quantize,
    "MAXIMUM": maximum,
    "MAX_POOL_2D": max_pool_2d,
    "AVERAGE_POOL_2D": average_pool_2d,
    "REDUCE_MAX": reduce_max,
    "PAD": pad,
    "CONCATENATION": concatenation,
    "RESHAPE": reshape,
}


def run_operation(operation, inputs, tensors, output) -> np.ndarray:
    """One operation of any kind on codes (B, ...), as many images at a time as MAX_PIECE allows."""
    compute, pieces = OPERATIONS[operation.kind], []
    step = max(MAX_PIECE // _intermediate_values(operation, tensors, output), 1)
    for start in range(0, len(inputs[0]), step):
        piece = [codes[start : start + step] for codes in inputs]
        pieces.append(compute(operation, piece, tensors, output))
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def _intermediate_values(operation, tensors, output) -> int:
    """About how many numbers an operation holds for one image: the windows of a convolution or a pooling."""
    taps = operation.weights.codes[0].size if operation.kind == "CONV_2D" else 1
    if operation.kind == "DEPTHWISE_CONV_2D":
        taps = operation.weights.codes[0, ..., 0].size
    elif "size" in operation.options:
        taps = int(np.prod(operation.options["size"]))
    places = int(np.prod(output.shape[:2])) if operation.kind == "CONV_2D" else int(np.prod(output.shape))
    return max(places * taps, int(np.prod(output.shape)), *(int(np.prod(tensor.shape)) for tensor in tensors))


def _exact_product(rows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """rows (R, I) times kernel (O, I) transposed, exact, int64 (R, O)."""
    bound = int(np.abs(kernel.astype(np.int64)).sum(axis=1).max()) * 255
    dtype = np.float32 if bound < EXACT_IN_FLOAT32 else np.float64
    return (rows.astype(dtype) @ kernel.T.astype(dtype)).astype(np.int64)


def _windows(codes, tensor, options, kernel) -> np.ndarray:
    """Codes minus zero point in windows (B, H', W', C, h, w); padding is 0."""
    return windows_of(codes.astype(np.int16) - np.int16(tensor.zero_point), kernel, options, 0)


def _requantize(sums, tensor, scales, output, operation) -> np.ndarray:
    """rint(float32(accumulator) * float32(s_in * s_w / s_out)), half to even (XNNPACK's fp32 requantization)."""
    multiplier = np.float32(tensor.scale) * scales.astype(np.float32) / np.float32(output.scale)
    return _store(np.rint(sums.astype(np.float32) * multiplier).astype(np.float64), output, operation)


def _store(codes, output, operation) -> np.ndarray:
    """Add the zero point and saturate at the limits of the fused activation."""
    lowest, highest = code_limits(operation, output)
    return np.clip(codes + output.zero_point, lowest, highest).astype(np.int8)


def code_limits(operation, output) -> tuple[int, int]:
    """The lowest and highest INT8 code: a fused ReLU saturates at the code of 0, ReLU6 at the code of 6 too."""
    activation = operation.options.get("activation")
    top = int(np.rint(np.float32(6) / output.scale)) if activation == "RELU6" else 255
    return output.zero_point if activation else -128, min(127, output.zero_point + top)
