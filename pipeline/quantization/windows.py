"""Where the windows of convolutions and poolings lie (NumPy only)."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Pair = Sequence[int]
"""One number along the height, one along the width."""


def padding_of(shape: Pair, kernel: Pair, strides: Pair, padding: str) -> list[tuple[int, int]]:
    """[(before, after) along height, along width] in pixels of TensorFlow's "same" or "valid" padding."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    return [_same(*axis) for axis in zip(shape, kernel, strides, strict=True)]


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def windows_of(values: np.ndarray, kernel: Pair, options: dict, fill: int) -> np.ndarray:
    """Windows (B, H', W', C, h, w) of values (B, H, W, C); `fill` stands in the padding.

    options: "strides", "padding" and, if not (1, 1), "dilation".
    """
    stride, dilation = options["strides"], options.get("dilation", (1, 1))
    extent = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    edges = padding_of(values.shape[1:3], extent, stride, options["padding"])
    values = np.pad(values, ((0, 0), *edges, (0, 0)), constant_values=values.dtype.type(fill))
    windows = sliding_window_view(values, extent, axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
