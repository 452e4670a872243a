"""Kernels of transposed convolutions in the layout and size that XNNPACK computes (NumPy only)."""

import numpy as np


def transposed_kernel(kernel: np.ndarray, strides: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Keras's kernel (h, w, O, I) as TRANSPOSE_CONV's (O, h', w', I).

    A dilation, which TRANSPOSE_CONV does not have, becomes zeros between the weights. A side shorter than the stride,
    with which XNNPACK leaves the operation to kernels that round differently, gets zeros at its end. Neither changes
    a result.
    """
    extent = [(size - 1) * step + 1 for size, step in zip(kernel.shape, dilation, strict=False)]
    sides = [max(pair) for pair in zip(extent, strides, strict=True)]
    spread = np.zeros((*sides, *kernel.shape[2:]), kernel.dtype)
    spread[: extent[0] : dilation[0], : extent[1] : dilation[1]] = kernel
    return spread.transpose(2, 0, 1, 3)
