"""What a TFLite file and its integer model contain, layer by layer."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.integer_model import IntegerModel, Operation


def float_tensors(content: bytes) -> list[str]:
    """Names of the float32 tensors of a TFLite file, its inputs and outputs left out; [] for a pure integer graph."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    ends = {*graph.inputs, *graph.outputs}
    return [
        tensor.name.decode()
        for index, tensor in enumerate(graph.tensors)
        if tensor.type == schema.TensorType.FLOAT32 and index not in ends
    ]


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
