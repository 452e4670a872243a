"""The builtin options and the constant inputs of each operation of a TFLite file, other than weights."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import IntegerModel, Operation
from pipeline.quantization.integer_ops import reduced_axes
from pipeline.quantization.moving_ops import slice_ends
from pipeline.tflite.versions import keeps_axes

REDUCTIONS = {"MEAN", "REDUCE_MAX"}
RESIZES = {"RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"}


def constant_inputs(operation: Operation, model: IntegerModel) -> dict[str, np.ndarray]:
    """The constant inputs of an operation without weights by name: int8 codes or int32 numbers."""
    output = model.tensors[operation.output]
    if operation.kind in ("SLICE", "STRIDED_SLICE"):
        return _slice(operation, output)
    values = _constant(operation, output.shape)
    return {} if values is None else {"constant": values if values.dtype == np.int8 else values.astype(np.int32)}


def _constant(operation: Operation, shape: tuple[int, ...]) -> np.ndarray | None:
    """The only constant input of an operation with an output (1, *shape)."""
    kind, options = operation.kind, operation.options
    if kind in ("MAXIMUM", "MINIMUM") and "code" in options:
        return np.full((1,) * (1 + len(shape)), options["code"], np.int8)
    if kind == "PAD":
        return np.array([(0, 0), *options["paddings"]])
    if kind in REDUCTIONS:
        return np.array(reduced_axes(operation))
    if kind == "RESHAPE":
        return np.array([1, *shape])
    if kind == "TRANSPOSE":
        return np.array([0, *options["permutation"]])
    if kind in RESIZES:
        return np.array(shape[:2])
    return None


def _slice(operation: Operation, output) -> dict[str, np.ndarray]:
    begin = np.array([0, *operation.options["begin"]], np.int32)
    if operation.kind == "SLICE":
        return {"begin": begin, "size": np.array([1, *output.shape], np.int32)}
    ends, strides = slice_ends(operation, output), operation.options["strides"]
    return {"begin": begin, "end": np.array([1, *ends], np.int32), "strides": np.array([1, *strides], np.int32)}


def builtin_options(operation: Operation, model: IntegerModel):
    """The options of one operation of the integer model, as the schema's object; None where it has none."""
    if operation.kind in REDUCTIONS:
        ranks = [len(model.tensors[name].shape) for name in (operation.inputs[0], operation.output)]
        return _reducer(keep_dims=ranks[0] == ranks[1])
    if operation.kind == "FULLY_CONNECTED":
        return _dense(operation, keeps_axes(operation, model))
    build = {
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _conv,
        "TRANSPOSE_CONV": _transpose_conv,
        "ADD": _add,
        "SUB": _subtract,
        "MUL": _multiply,
        "RESIZE_NEAREST_NEIGHBOR": _resize,
        "RESIZE_BILINEAR": _resize,
        "STRIDED_SLICE": _strided_slice,
        "MAX_POOL_2D": _pool,
        "AVERAGE_POOL_2D": _pool,
        "CONCATENATION": _concatenation,
        "GELU": _gelu,
        "LEAKY_RELU": _leaky_relu,
    }.get(operation.kind)
    return build(operation) if build else None


def float_options(kind: str):
    """The options of a SOFTMAX or LOGISTIC of floats, the last operation of a file whose output is probabilities."""
    if kind != "SOFTMAX":
        return None
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return options


def _conv(operation: Operation):
    depthwise = operation.kind == "DEPTHWISE_CONV_2D"
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    if depthwise:
        options.depthMultiplier = operation.options["depth_multiplier"]
    _window(options, operation)
    options.dilationHFactor, options.dilationWFactor = operation.options.get("dilation", (1, 1))
    return _activated(options, operation)


def _pool(operation: Operation):
    options = schema.Pool2DOptionsT()
    _window(options, operation)
    options.filterHeight, options.filterWidth = operation.options["size"]
    return options


def _window(options, operation: Operation) -> None:
    options.padding = getattr(schema.Padding, operation.options["padding"].upper())
    options.strideH, options.strideW = operation.options["strides"]


def _transpose_conv(operation: Operation):
    options = schema.TransposeConvOptionsT()
    _window(options, operation)
    return _activated(options, operation)


def _dense(operation: Operation, keep_num_dims: bool):
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = keep_num_dims
    return _activated(options, operation)


def _add(operation: Operation):
    options = schema.AddOptionsT()
    options.potScaleInt16 = False
    return _activated(options, operation)


def _subtract(operation: Operation):
    options = schema.SubOptionsT()
    options.potScaleInt16 = False
    return _activated(options, operation)


def _multiply(operation: Operation):
    return _activated(schema.MulOptionsT(), operation)


def _gelu(operation: Operation):
    options = schema.GeluOptionsT()
    options.approximate = operation.options["approximate"]
    return options


def _leaky_relu(operation: Operation):
    options = schema.LeakyReluOptionsT()
    options.alpha = operation.options["alpha"]
    return options


def _resize(operation: Operation):
    nearest = operation.kind == "RESIZE_NEAREST_NEIGHBOR"
    options = schema.ResizeNearestNeighborOptionsT() if nearest else schema.ResizeBilinearOptionsT()
    options.halfPixelCenters = True
    return options


def _strided_slice(operation: Operation):
    return schema.StridedSliceOptionsT()


def _activated(options, operation: Operation):
    activation = operation.options.get("activation", "NONE")
    options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
    return options


def _concatenation(operation: Operation):
    options = schema.ConcatenationOptionsT()
    options.axis = operation.options["axis"]
    return options


def _reducer(keep_dims: bool):
    options = schema.ReducerOptionsT()
    options.keepDims = keep_dims
    return options
