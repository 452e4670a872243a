"""What a network is fed: uint8 arrays, or float32 values as `model.fit` takes them (NumPy only).

0 to 255 in a uint8 array stand for the range of the input, from low to high: for (0, 1) that is pixel / 255, for (-1, 1)
pixel / 127.5 - 1, for (0, 255) the pixel itself.
"""

import numpy as np

from pipeline.models.graph import UNIT_RANGE, Range
from pipeline.quantization.grid import Grid


def grid_of(declared: Range) -> tuple[np.float32, int]:
    """Step and zero point of an input: 255 steps from 0 up, or 127 to either side."""
    grid = Grid.of(8, signed=declared[0] < 0, unsigned_range=True)
    return np.float32(max(map(abs, declared)) / grid.top), grid.zero_point


def values_of(array: np.ndarray, declared: Range = UNIT_RANGE) -> np.ndarray:
    """The float32 values of an array of any shape for an input of this range."""
    if array.dtype != np.uint8:
        return array.astype(np.float32, copy=False)
    low, high = declared
    return array.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)


def codes_of(array: np.ndarray, scale: np.float32, zero_point: int, declared: Range = UNIT_RANGE) -> np.ndarray:
    """The int8 codes of an array of any shape on the grid of an input of this range."""
    if array.dtype != np.uint8:
        return quantized(values_of(array), scale, zero_point)
    return quantized(values_of(np.arange(256, dtype=np.uint8), declared), scale, zero_point)[array]


def quantized(values: np.ndarray, scale: np.float32, zero_point: int) -> np.ndarray:
    """The int8 codes that XNNPACK's QUANTIZE makes of float32 values: half to even, then saturated."""
    codes = np.rint(values * (np.float32(1) / np.float32(scale))) + zero_point
    return np.clip(codes, -128, 127).astype(np.int8)
