"""The options tables of TFLite's builtin operators."""

from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import IntegerModel, Operation


def builtin_options(operation: Operation, model: IntegerModel):
    """The options of one operation of the integer model, as the schema's object; None where it has none."""
    if operation.kind in ("MEAN", "REDUCE_MAX"):
        return _reducer(keep_dims=len(model.tensors[operation.output].shape) == 3)
    build = {
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _conv,
        "FULLY_CONNECTED": _dense,
        "ADD": _add,
        "MAX_POOL_2D": _pool,
        "AVERAGE_POOL_2D": _pool,
        "CONCATENATION": _concatenation,
    }.get(operation.kind)
    return build(operation) if build else None


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


def _dense(operation: Operation):
    return _activated(schema.FullyConnectedOptionsT(), operation)


def _add(operation: Operation):
    options = schema.AddOptionsT()
    options.potScaleInt16 = False
    return _activated(options, operation)


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
