"""Which kernels the packed file stores as INT4, two codes a byte, and in which operations."""

from dataclasses import replace

import numpy as np

from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor
from pipeline.tflite.versions import INT4_VERSIONS

MAX_PACKED_DENSE_SUM = 2**27 - 1  # FULLY_CONNECTED with INT4 weights: XNNPACK's 32-bit sums are 16 times larger


def packs(operation: Operation, model: IntegerModel) -> bool:
    """Whether the packed file stores the kernel of an operation as an INT4 tensor.

    LiteRT refuses an INT4 TRANSPOSE_CONV. A FULLY_CONNECTED is packed if XNNPACK runs it, and then without an error.
    """
    weights = operation.weights
    if weights is None or weights.bits > 4 or operation.kind not in INT4_VERSIONS:
        return False
    return operation.kind != "FULLY_CONNECTED" or _is_delegated(operation, model)


def in_packed_file(operation: Operation, model: IntegerModel) -> Operation:
    """The operation as the packed file has it: a 1 x 1 convolution becomes a dense layer on every pixel, where that is exact.

    XNNPACK runs FULLY_CONNECTED with INT4 kernels as fast as with INT8 ones, but has no CONV_2D for them: the kernels of
    LiteRT that run it instead are several times slower and round twice.
    """
    if not packs(operation, model) or not _is_pointwise(operation, model):
        return operation
    codes = operation.weights.codes
    activation = {key: value for key, value in operation.options.items() if key == "activation"}
    weights = replace(operation.weights, codes=codes.reshape(len(codes), -1))
    dense = replace(operation, kind="FULLY_CONNECTED", options=activation, weights=weights)
    return dense if _is_delegated(dense, model) else operation


def _is_pointwise(operation: Operation, model: IntegerModel) -> bool:
    """Whether a convolution reads each pixel on its own, and all channels of it."""
    channels = model.tensors[operation.inputs[0]].shape[-1]
    is_plain = operation.kind == "CONV_2D" and tuple(operation.options["strides"]) == (1, 1)
    return is_plain and operation.weights.codes.shape[1:] == (1, 1, channels)


def _is_delegated(dense: Operation, model: IntegerModel) -> bool:
    """Whether XNNPACK runs an INT4 FULLY_CONNECTED: rows of whole bytes; and whether all sums fit into its integers."""
    sums = largest_sums(dense, model.tensors[dense.inputs[0]])
    return dense.weights.codes.shape[1] % 2 == 0 and sums.max() <= MAX_PACKED_DENSE_SUM


def largest_sums(dense: Operation, source: Tensor) -> np.ndarray:
    """The largest magnitude, products and bias, that any codes of the tensor `source` can give, int64 (O,)."""
    codes = np.abs(dense.weights.codes.astype(np.int64))
    farthest = max(127 - source.zero_point, 128 + source.zero_point)
    return codes.reshape(len(codes), -1).sum(axis=1) * farthest + np.abs(dense.weights.bias.astype(np.int64))
