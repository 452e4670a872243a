"""The version of every TFLite operator that the writer uses; a runtime refuses a file with a version it does not know."""

from pipeline.quantization.integer_model import IntegerModel, Operation

VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "TRANSPOSE_CONV": 3,
    "ADD": 2,
    "SUB": 2,
    "MUL": 2,
    "MEAN": 2,
    "QUANTIZE": 2,
    "DEQUANTIZE": 2,
    "MAXIMUM": 2,
    "MINIMUM": 2,
    "MAX_POOL_2D": 2,
    "AVERAGE_POOL_2D": 2,
    "REDUCE_MAX": 2,
    "PAD": 2,
    "CONCATENATION": 2,
    "RESHAPE": 1,
    "TRANSPOSE": 2,
    "SLICE": 2,
    "STRIDED_SLICE": 2,
    "RESIZE_NEAREST_NEIGHBOR": 3,
    "RESIZE_BILINEAR": 3,
    "LOGISTIC": 2,
    "TANH": 2,
    "ELU": 1,
    "GELU": 2,
    "LEAKY_RELU": 2,
}
INT4_VERSIONS = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 7}  # with an INT4 kernel
FLOAT_VERSION = 1  # of SOFTMAX and LOGISTIC of floats


def version_of(operation: Operation, model: IntegerModel, packed: bool) -> int:
    """The version of an operation; `packed`: its kernel is an INT4 tensor."""
    versions = [INT4_VERSIONS[operation.kind] if packed else VERSIONS[operation.kind]]
    if operation.kind == "CONV_2D" and _is_grouped(operation, model):
        versions.append(6)
    if operation.kind == "FULLY_CONNECTED" and keeps_axes(operation, model):
        versions.append(5)
    if operation.kind == "TRANSPOSE_CONV" and "activation" in operation.options:
        versions.append(4)
    return max(versions)


def keeps_axes(operation: Operation, model: IntegerModel) -> bool:
    """Whether the output of a FULLY_CONNECTED has more axes than batch and channels."""
    return len(model.tensors[operation.output].shape) > 1


def _is_grouped(operation: Operation, model: IntegerModel) -> bool:
    return operation.weights.codes.shape[3] < model.tensors[operation.inputs[0]].shape[-1]
