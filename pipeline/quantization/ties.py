"""Output steps at which a MUL gives the same codes on every processor.

XNNPACK rounds halves to even on x86 and in WebAssembly, upward on ARM.
"""

from dataclasses import replace

import numpy as np

from pipeline.quantization.pair_ops import multiply_factor


def without_ties(operands: list, output):
    """`output` with the nearest larger step at which no product of codes of two tensors is rounded differently on ARM."""
    products = np.unique(np.multiply.outer(*(_values(operand) for operand in operands)))
    while ties(products, multiply_factor(operands, output)):
        output = replace(output, scale=np.nextafter(np.float32(output.scale), np.float32(np.inf)))
    return output


def ties(products: np.ndarray, factor: np.float32) -> int:
    """The number of integers (N,) below 2^24 that times `factor` round differently on ARM; saturated results too."""
    even = np.rint(products.astype(np.float32) * factor)
    up = np.floor(products * np.float64(factor) + 0.5)
    return int(np.count_nonzero(even != up))


def _values(operand) -> np.ndarray:
    """All 256 codes that a tensor can have, minus its zero point."""
    return np.arange(-128, 128) - operand.zero_point
