"""Write an integer model as a TFLite file with exactly its numbers."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor

VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "ADD": 2,
    "MEAN": 2,
    "QUANTIZE": 2,
    "DEQUANTIZE": 2,
    "MAXIMUM": 2,
    "MAX_POOL_2D": 2,
    "AVERAGE_POOL_2D": 2,
    "REDUCE_MAX": 2,
    "PAD": 2,
    "CONCATENATION": 2,
    "RESHAPE": 1,
}
INT4_VERSIONS = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 7}


def write_tflite(model: IntegerModel, float_io: bool, packed_int4: bool, description: str) -> bytes:
    """The flatbuffer of a model, batch 1.

    float_io: float32 input and output instead of int8. packed_int4: store kernels of 4 bits or fewer as INT4 tensors,
    two codes per byte (their spacing must be 1).
    """
    return _Writer(model, packed_int4).write(float_io, description)


def with_outputs(content: bytes, names: list[str]) -> bytes:
    """A copy of a TFLite file whose outputs are the tensors `names`, without signatures, for inspection."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    index = {tensor.name.decode(): number for number, tensor in enumerate(graph.tensors)}
    graph.outputs = [index[name] for name in names]
    model.signatureDefs = []
    return _pack(model)


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors only once: a network has hundreds of zero points, all of them 0."""

    def __init__(self):
        super().__init__(1 << 20)
        self.written: dict[tuple, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, the name is flatbuffers'
        key = (x.dtype.str, x.tobytes())
        if key not in self.written:
            self.written[key] = super().CreateNumpyVector(x)
        return self.written[key]


def _pack(model) -> bytes:
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Writer:
    def __init__(self, model: IntegerModel, packed_int4: bool):
        self.model, self.packed_int4 = model, packed_int4
        self.buffers, self.tensors, self.operators, self.codes = [schema.BufferT()], [], [], {}
        self.index: dict[str, int] = {}

    def write(self, float_io: bool, description: str) -> bytes:
        source, sink = self.model.tensors[self.model.input], self.model.tensors[self.model.output]
        inputs = self._float_input(source) if float_io else self._activation(source)
        for operation in self.model.operations:
            self._operation(operation)
        outputs = self._float_output(sink) if float_io else self.index[sink.name]
        return _pack(self._file(inputs, outputs, description))

    def _file(self, inputs: int, outputs: int, description: str):
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self.tensors, self.operators
        graph.inputs, graph.outputs = [inputs], [outputs]
        file = schema.ModelT()
        file.version, file.description, file.subgraphs, file.buffers = 3, description, [graph], self.buffers
        file.operatorCodes = [_operator_code(kind, version) for kind, version in self.codes]
        file.signatureDefs = [_signature(inputs, outputs)]
        return file

    def _float_input(self, source: Tensor) -> int:
        index = self._tensor("image", source.shape, schema.TensorType.FLOAT32)
        self._operator("QUANTIZE", [index], self._activation(source))
        return index

    def _float_output(self, sink: Tensor) -> int:
        index = self._tensor("output", sink.shape, schema.TensorType.FLOAT32)
        self._operator("DEQUANTIZE", [self.index[sink.name]], index)
        return index

    def _operation(self, operation: Operation) -> None:
        inputs = [self.index[name] for name in operation.inputs] + self._constants(operation)
        output = self._activation(self.model.tensors[operation.output])
        packed = operation.weights is not None and self._packs(operation)
        version = INT4_VERSIONS[operation.kind] if packed else VERSIONS[operation.kind]
        self._operator(operation.kind, inputs, output, builtin_options(operation, self.model), version)

    def _operator(self, kind: str, inputs: list[int], output: int, options=None, version: int | None = None) -> None:
        operator = schema.OperatorT()
        key = (kind, version or VERSIONS[kind])
        operator.opcodeIndex = self.codes.setdefault(key, len(self.codes))
        operator.inputs, operator.outputs = inputs, [output]
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
            operator.builtinOptions = options
        self.operators.append(operator)

    def _constants(self, operation: Operation) -> list[int]:
        if operation.weights is not None:
            return self._weights(operation)
        values = _constant(operation, self.model)
        if values is None:
            return []
        tensor = self.model.tensors[operation.inputs[0]]
        quantization = _quantization([tensor.scale], [tensor.zero_point]) if values.dtype == np.int8 else None
        kind = schema.TensorType.INT8 if values.dtype == np.int8 else schema.TensorType.INT32
        return [self._constant(f"{operation.output}/constant", values.shape, kind, values.tobytes(), quantization)]

    def _weights(self, operation: Operation) -> list[int]:
        weights, source = operation.weights, self.model.tensors[operation.inputs[0]]
        axis = 3 if operation.kind == "DEPTHWISE_CONV_2D" else 0
        count = len(weights.scales)
        packed = self._packs(operation)
        kind = schema.TensorType.INT4 if packed else schema.TensorType.INT8
        content = _pack_nibbles(weights.codes) if packed else weights.codes.tobytes()
        kernel = self._constant(
            f"{operation.name}/kernel",
            weights.codes.shape,
            kind,
            content,
            _quantization(weights.scales, [0] * count, axis),
        )
        steps = np.float32(source.scale) * weights.scales
        bias = self._constant(
            f"{operation.name}/bias",
            (len(weights.bias),),
            schema.TensorType.INT32,
            weights.bias.astype("<i4").tobytes(),
            _quantization(steps, [0] * count),
        )
        return [kernel, bias]

    def _packs(self, operation: Operation) -> bool:
        return self.packed_int4 and operation.weights.bits <= 4

    def _activation(self, tensor: Tensor) -> int:
        quantization = _quantization([tensor.scale], [tensor.zero_point])
        return self._tensor(tensor.name, tensor.shape, schema.TensorType.INT8, quantization)

    def _tensor(self, name: str, shape, kind: int, quantization=None) -> int:
        return self._add_tensor(name, (1, *shape), kind, 0, quantization)

    def _constant(self, name: str, shape, kind: int, content: bytes, quantization=None) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.buffers.append(buffer)
        return self._add_tensor(name, shape, kind, len(self.buffers) - 1, quantization)

    def _add_tensor(self, name, shape, kind, buffer, quantization) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        tensor.quantization = quantization
        self.tensors.append(tensor)
        self.index[name] = len(self.tensors) - 1
        return self.index[name]


def _quantization(scales, zero_points, axis: int = 0):
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.asarray(scales, np.float32)
    parameters.zeroPoint = np.asarray(zero_points, np.int64)
    parameters.quantizedDimension = axis
    return parameters


def _operator_code(kind: str, version: int):
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    return code


def _signature(inputs: int, outputs: int):
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    for entries, name, index in (("inputs", "image", inputs), ("outputs", "output", outputs)):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        setattr(signature, entries, [entry])
    return signature


def _pack_nibbles(codes: np.ndarray) -> bytes:
    """Two 4-bit codes per byte, low nibble first."""
    flat = codes.reshape(-1).astype(np.uint8) & 0x0F
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return (flat[0::2] | (flat[1::2] << 4)).tobytes()


def _constant(operation: Operation, model: IntegerModel) -> np.ndarray | None:
    """The constant second input of an operation without weights."""
    if operation.kind == "MAXIMUM":
        return np.full((1,) * (1 + len(model.tensors[operation.output].shape)), operation.options["code"], np.int8)
    if operation.kind == "PAD":
        return np.array([(0, 0), *operation.options["paddings"]], np.int32)
    if operation.kind in ("MEAN", "REDUCE_MAX"):
        return np.array([1, 2], np.int32)
    if operation.kind == "RESHAPE":
        return np.array([1, *model.tensors[operation.output].shape], np.int32)
    return None


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
