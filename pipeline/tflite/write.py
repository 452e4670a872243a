"""Write an integer model as a TFLite file with exactly its numbers."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.models.graph import Range
from pipeline.models.names import free_name
from pipeline.quantization.integer_model import IntegerModel, Operation, Tensor
from pipeline.tflite.metadata import add_ranges
from pipeline.tflite.names import LOGITS, activation_names, inputs_of, outputs_of
from pipeline.tflite.options import builtin_options, constant_inputs, float_options
from pipeline.tflite.packing import in_packed_file, packs
from pipeline.tflite.versions import FLOAT_VERSION, VERSIONS, version_of


def write_tflite(model: IntegerModel, float_io: bool, packed_int4: bool, description: str) -> bytes:
    """The flatbuffer of a model, batch 1.

    float_io: float32 input and output instead of int8. packed_int4: store kernels of 4 bits or fewer as INT4 tensors,
    two codes per byte (their spacing must be 1), where LiteRT can run that (see `packing`).
    """
    return _Writer(model, packed_int4, float_io).write(description)


def with_outputs(content: bytes, names: list[str]) -> bytes:
    """A copy of a TFLite file whose outputs are the tensors `names`, without signatures, for inspection."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    index = {tensor.name.decode(): number for number, tensor in enumerate(graph.tensors)}
    graph.outputs = [index[name] for name in names]
    model.signatureDefs = []
    return pack(model)


def _indices(entries: list, names: list[str]) -> list[int]:
    """The tensors with these names in the inputs or outputs of a signature."""
    index = {entry.name.decode(): entry.tensorIndex for entry in entries}
    return [index[name] for name in names]


def with_ranges(content: bytes, ranges: tuple[Range, ...]) -> bytes:
    """A TFLite file that says what ranges its inputs have."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return pack(model) if add_ranges(model, ranges) else content


def in_order(content: bytes, inputs: list[str], outputs: list[str]) -> bytes:
    """A TFLite file with its inputs and outputs in the order of these names of its signature."""
    if len(inputs) == len(outputs) == 1:
        return content
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    signature, graph = model.signatureDefs[0], model.subgraphs[0]
    graph.inputs, graph.outputs = _indices(signature.inputs, inputs), _indices(signature.outputs, outputs)
    return pack(model)


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


def pack(model) -> bytes:
    """The content of a TFLite file, from the schema's object."""
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Writer:
    def __init__(self, model: IntegerModel, packed_int4: bool, float_io: bool):
        self.model, self.packed_int4, self.float_io = model, packed_int4, float_io
        self.input_names, self.output_names = inputs_of(model), outputs_of(model)
        self.names = activation_names(model, float_io)
        self.taken = {*self.input_names, *self.output_names, *self.names.values()}
        self.buffers, self.tensors, self.operators, self.codes = [schema.BufferT()], [], [], {}
        self.index: dict[str, int] = {}

    def write(self, description: str) -> bytes:
        inputs = [self._input(*pair) for pair in zip(self.input_names, self.model.inputs, strict=True)]
        for operation in self.model.operations:
            self._operation(operation)
        finals = self.model.finals or (None,) * len(self.model.outputs)
        ends = zip(self.output_names, self.model.outputs, finals, strict=True)
        outputs = [self._output(*end) if self.float_io else self.index[end[1]] for end in ends]
        return pack(self._file(inputs, outputs, description))

    def _file(self, inputs: list[int], outputs: list[int], description: str):
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self.tensors, self.operators
        graph.inputs, graph.outputs = inputs, outputs
        file = schema.ModelT()
        file.version, file.description, file.subgraphs, file.buffers = 3, description, [graph], self.buffers
        file.operatorCodes = [_operator_code(kind, version) for kind, version in self.codes]
        entries = [_entries(self.input_names, inputs), _entries(self.output_names, outputs)]
        file.signatureDefs = [_signature(*entries)]
        add_ranges(file, self.model.ranges)
        return file

    def _input(self, name: str, source: str) -> int:
        tensor = self.model.tensors[source]
        if not self.float_io:
            return self._activation(tensor)
        index = self._tensor(name, tensor.shape, schema.TensorType.FLOAT32)
        self._operator("QUANTIZE", [index], self._activation(tensor))
        return index

    def _output(self, name: str, sink: str, final: str | None) -> int:
        """The logits in float, or the probabilities that a float operation makes of them."""
        shape = self.model.tensors[sink].shape
        logits = free_name(LOGITS, self.taken) if final else name
        self.taken.add(logits)
        index = self._tensor(logits, shape, schema.TensorType.FLOAT32)
        self._operator("DEQUANTIZE", [self.index[sink]], index)
        if final is None:
            return index
        probabilities = self._tensor(name, shape, schema.TensorType.FLOAT32)
        self._operator(final, [index], probabilities, float_options(final), FLOAT_VERSION)
        return probabilities

    def _operation(self, operation: Operation) -> None:
        operation = in_packed_file(operation, self.model) if self.packed_int4 else operation
        inputs = [self.index[name] for name in operation.inputs] + self._constants(operation)
        if operation.kind == "TRANSPOSE_CONV":
            source, kernel, bias = inputs
            inputs = [self._output_shape(operation), kernel, source, bias]
        output = self._activation(self.model.tensors[operation.output])
        version = version_of(operation, self.model, self._packs(operation))
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
        values = constant_inputs(operation, self.model)
        return [self._constant_input(f"{operation.output}/{name}", operation, value) for name, value in values.items()]

    def _constant_input(self, name: str, operation: Operation, values: np.ndarray) -> int:
        """INT8 codes have the grid of the operation's input."""
        kind, quantization = schema.TensorType.INT32, None
        if values.dtype == np.int8:
            holder = self.model.tensors[operation.inputs[0]]
            kind, quantization = schema.TensorType.INT8, _quantization([holder.scale], [holder.zero_point])
        return self._constant(name, values.shape, kind, values.tobytes(), quantization)

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
        return self.packed_int4 and packs(operation, self.model)

    def _output_shape(self, operation: Operation) -> int:
        shape = np.array([1, *self.model.tensors[operation.output].shape], "<i4")
        return self._constant(f"{operation.name}/shape", shape.shape, schema.TensorType.INT32, shape.tobytes())

    def _activation(self, tensor: Tensor) -> int:
        quantization = _quantization([tensor.scale], [tensor.zero_point])
        name = self.names[tensor.name]
        self.index[tensor.name] = self._tensor(name, tensor.shape, schema.TensorType.INT8, quantization)
        return self.index[tensor.name]

    def _tensor(self, name: str, shape, kind: int, quantization=None) -> int:
        return self._add_tensor(name, (1, *shape), kind, 0, quantization)

    def _constant(self, name: str, shape, kind: int, content: bytes, quantization=None) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.buffers.append(buffer)
        name = free_name(name, self.taken)
        self.taken.add(name)
        return self._add_tensor(name, shape, kind, len(self.buffers) - 1, quantization)

    def _add_tensor(self, name, shape, kind, buffer, quantization) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        tensor.quantization = quantization
        self.tensors.append(tensor)
        return len(self.tensors) - 1


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


def _signature(inputs: list, outputs: list):
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = inputs, outputs
    return signature


def _entries(names: list[str], indices: list[int]) -> list:
    """The inputs or outputs of a signature, by name."""
    entries = []
    for name, index in zip(names, indices, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    return entries


def _pack_nibbles(codes: np.ndarray) -> bytes:
    """Two 4-bit codes per byte, low nibble first."""
    flat = codes.reshape(-1).astype(np.uint8) & 0x0F
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return (flat[0::2] | (flat[1::2] << 4)).tobytes()
