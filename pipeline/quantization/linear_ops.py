"""Convolutions and dense layers as XNNPACK computes them.

Accumulators are exact: products of codes are summed in float32 only where every partial sum fits into its 24-bit
integers, else in float64 (53 bits).
"""

import numpy as np

from pipeline.models.graph import padding_of, windows_of
from pipeline.quantization.saturation import store

EXACT_IN_FLOAT32 = 2**24


def conv_2d(operation, inputs, tensors, output) -> np.ndarray:
    """CONV_2D: (B, H, W, I) -> (B, H', W', O); weights (O, h, w, I / groups)."""
    weights = operation.weights
    windows = _windows(inputs[0], tensors[0], operation.options, weights.codes.shape[1:3])
    groups = inputs[0].shape[-1] // weights.codes.shape[3]
    parts = zip(np.split(windows, groups, axis=3), np.split(weights.codes, groups), strict=True)
    sums = np.concatenate([_window_sums(part, kernel) for part, kernel in parts], axis=-1)
    return _requantize(sums + weights.bias, tensors[0], weights.scales, output, operation)


def transpose_conv(operation, inputs, tensors, output) -> np.ndarray:
    """TRANSPOSE_CONV: (B, H, W, I) -> (B, *output shape), a convolution of the input with zeros between its pixels."""
    weights, strides = operation.weights, operation.options["strides"]
    spread = _spread(inputs[0].astype(np.int16) - np.int16(tensors[0].zero_point), strides)
    kernel = weights.codes.shape[1:3]
    starts = padding_of(output.shape[:2], kernel, strides, operation.options["padding"])
    edges = [_full_edges(*axis) for axis in zip(spread.shape[1:3], output.shape, kernel, starts, strict=False)]
    spread = np.pad(spread, ((0, 0), *edges, (0, 0)))
    windows = windows_of(spread, kernel, {"strides": (1, 1), "padding": "valid"}, 0)
    sums = _window_sums(windows, weights.codes[:, ::-1, ::-1])
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
    """FULLY_CONNECTED: (B, ..., I) -> (B, ..., O)."""
    weights = operation.weights
    rows = inputs[0].astype(np.int16) - tensors[0].zero_point
    sums = _exact_product(rows, weights.codes) + weights.bias
    return _requantize(sums, tensors[0], weights.scales, output, operation)


def _spread(codes: np.ndarray, strides) -> np.ndarray:
    """(B, H, W, C) with stride - 1 zeros between neighbouring pixels."""
    batch, height, width, channels = codes.shape
    spread = np.zeros((batch, (height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1, channels), codes.dtype)
    spread[:, :: strides[0], :: strides[1]] = codes
    return spread


def _full_edges(size: int, output: int, kernel: int, padding: tuple[int, int]) -> tuple[int, int]:
    """Pixels to add (before, after) so that all windows of `kernel` pixels give `output` pixels, less the padding."""
    before = kernel - 1 - padding[0]
    return before, output + kernel - 1 - before - size


def _window_sums(windows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Exact sums of windows (B, H', W', I, h, w) times a kernel (O, h, w, I), int64 (B, H', W', O)."""
    places = windows.shape[:3]
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(int(np.prod(places)), -1)
    return _exact_product(rows, kernel.reshape(len(kernel), -1)).reshape(*places, -1)


def _exact_product(rows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """rows (..., I) times kernel (O, I) transposed, exact, int64 (..., O)."""
    bound = int(np.abs(kernel.astype(np.int64)).sum(axis=1).max()) * 255
    dtype = np.float32 if bound < EXACT_IN_FLOAT32 else np.float64
    return (rows.astype(dtype) @ kernel.T.astype(dtype)).astype(np.int64)


def _windows(codes, tensor, options, kernel) -> np.ndarray:
    """Codes minus zero point in windows (B, H', W', C, h, w); padding is 0."""
    return windows_of(codes.astype(np.int16) - np.int16(tensor.zero_point), kernel, options, 0)


def _requantize(sums, tensor, scales, output, operation) -> np.ndarray:
    """rint(float32(accumulator) * float32(s_in * s_w / s_out)), half to even (XNNPACK's fp32 requantization)."""
    multiplier = np.float32(tensor.scale) * scales.astype(np.float32) / np.float32(output.scale)
    return store(np.rint(sums.astype(np.float32) * multiplier).astype(np.float64), output, operation)


LINEAR_OPERATIONS = {
    "CONV_2D": conv_2d,
    "TRANSPOSE_CONV": transpose_conv,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
}
