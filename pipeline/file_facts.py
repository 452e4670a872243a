"""What a TFLite file and its integer model contain, layer by layer."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import IntegerModel, Operation
from pipeline.tflite_writer import write_tflite


def float_tensors(content: bytes) -> list[str]:
    """Names of the float32 tensors of a TFLite file, its inputs and outputs left out; [] for a pure integer graph."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    ends = {*graph.inputs, *graph.outputs}
    return [
        tensor.name.decode()
        for index, tensor in enumerate(graph.tensors)
        if tensor.type == schema.TensorType.FLOAT32 and index not in ends
    ]


def stored_differently(content: bytes, model: IntegerModel, packed_int4: bool) -> list[str]:
    """Names of a file's tensors and operators that are not, to the bit, what the writer makes of the integer model."""
    found = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = found.subgraphs[0]
    float_io = graph.tensors[graph.inputs[0]].type == schema.TensorType.FLOAT32
    written = write_tflite(model, float_io, packed_int4, "")
    there, expected = _stored(found), _stored(schema.ModelT.InitFromPackedBuf(written, 0))
    return sorted(name for name in there | expected if there.get(name) != expected.get(name))


def _stored(file) -> dict[str, tuple]:
    """Everything that the numbers of a file depend on, by name of the tensor or number of the operator."""
    graph = file.subgraphs[0]
    found = {tensor.name.decode(): _stored_tensor(tensor, file.buffers) for tensor in graph.tensors}
    for number, operator in enumerate(graph.operators):
        code = file.operatorCodes[operator.opcodeIndex]
        options = sorted(vars(operator.builtinOptions).items()) if operator.builtinOptions else []
        ends = [graph.tensors[index].name for index in (*operator.inputs, *operator.outputs)]
        found[f"operator {number}"] = (code.builtinCode, code.version, ends, options)
    return found


def _stored_tensor(tensor, buffers) -> tuple:
    grid, data = tensor.quantization, buffers[tensor.buffer].data
    numbers = [] if grid is None else [np.asarray(part).tolist() for part in (grid.scale, grid.zeroPoint)]
    axis = None if grid is None else grid.quantizedDimension
    return tensor.type, list(tensor.shape), numbers, axis, b"" if data is None else np.asarray(data, np.uint8).tobytes()


def weight_bits(model: IntegerModel) -> dict[str, int]:
    """{layer: bits of its weights}."""
    return {operation.name: operation.weights.bits for operation in model.operations if operation.weights is not None}


def layer_facts(model: IntegerModel, narrow: IntegerModel, mismatches: dict[str, float]) -> list[dict]:
    """The entries of "layers" in verification.json: one an operation, in order."""
    codes = {operation.name: operation for operation in narrow.operations}
    return [
        _facts(operation, codes[operation.name], model, mismatches[operation.output]) for operation in model.operations
    ]


def _facts(operation: Operation, narrow: Operation, model: IntegerModel, mismatch: float) -> dict:
    output = model.tensors[operation.output]
    return {
        "name": operation.name,
        "op": operation.kind,
        "activation_bits": output.bits,
        "activation_scale": float(output.scale),
        "macs": macs(operation, model),
        "code_mismatch": mismatch,
        **_weight_facts(operation, narrow),
    }


def _weight_facts(operation: Operation, narrow: Operation) -> dict:
    weights = operation.weights
    if weights is None:
        return {
            "weight_bits": None,
            "parameters": 0,
            "bytes_int8": 0,
            "bytes_int4": 0,
            "bytes_float32": 0,
            "weight_scale_min": None,
            "weight_scale_max": None,
            "weight_codes": None,
        }
    count, biases = weights.codes.size, weights.bias.size
    kernel_int4 = -(-count // 2) if weights.bits <= 4 else count
    values, counts = np.unique(narrow.weights.codes, return_counts=True)
    return {
        "weight_bits": weights.bits,
        "parameters": count + biases,
        "bytes_int8": count + 4 * biases,
        "bytes_int4": kernel_int4 + 4 * biases,
        "bytes_float32": 4 * (count + biases),
        "weight_scale_min": float(weights.scales.min()),
        "weight_scale_max": float(weights.scales.max()),
        "weight_codes": {str(value): int(number) for value, number in zip(values, counts, strict=True)},
    }


def macs(operation: Operation, model: IntegerModel) -> int:
    """Multiply-accumulates of one operation for one image."""
    if operation.weights is None:
        return 0
    kernel = operation.weights.codes
    if operation.kind == "FULLY_CONNECTED":
        return kernel.size
    height, width, channels = model.tensors[operation.output].shape
    taps = int(np.prod(kernel.shape[1:3])) if operation.kind == "DEPTHWISE_CONV_2D" else int(np.prod(kernel.shape[1:]))
    return height * width * channels * taps
