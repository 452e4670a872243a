"""LEAKY_RELU as XNNPACK computes it, in exact NumPy arithmetic."""

import numpy as np

from pipeline.quantization.saturation import store


def leaky_relu(operation, inputs, tensors, output) -> np.ndarray:
    """LEAKY_RELU, options["alpha"]: both slopes have 8 fractional bits, half rounds up; any shape.

    XNNPACK takes slopes of 1/256 to 128; LiteRT's own kernel, which runs beyond, rounds differently.
    """
    positive, negative = leaky_relu_factors(operation.options["alpha"], tensors[0].scale, output.scale)
    numbers = inputs[0].astype(np.int64) - tensors[0].zero_point
    return store((numbers * np.where(numbers >= 0, positive, negative) + 128) >> 8, output, operation)


def leaky_relu_factors(alpha: float, scale_in: np.float32, scale_out: np.float32) -> tuple[int, int]:
    """The slopes of the positive and the negative side in 256ths, as XNNPACK stores them."""
    ratio = np.float32(scale_in) / np.float32(scale_out)
    return int(np.rint(np.float32(256) * ratio)), int(np.rint(np.float32(256) * (ratio * np.float32(alpha))))
