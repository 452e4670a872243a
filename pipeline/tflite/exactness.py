"""Compare the integer model with the files, code by code: outputs on every kernel, every layer, every stored number."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.data.batches import image_batches
from pipeline.quantization.integer_model import IntegerModel, Operation, pixel_codes
from pipeline.tflite.convert import Converted
from pipeline.tflite.judges import Judge
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.write import with_outputs, write_tflite

MAX_INTEGER_MODEL_EXAMPLES = 1000
MAX_INTEGER_MODEL_MACS = 4e10  # total multiply-accumulates; large networks are compared on fewer examples


def exactness(
    converted: Converted,
    contents: dict[str, bytes],
    logits: dict[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    judge: Judge,
) -> dict:
    """The entries of verification.json for the integer files.

    images uint8 (N, H, W, C), labels (N, ...), logits (N, K) by file. The integer model runs on the first
    `affordable_examples` images, the files on all of them.
    """
    model = converted.integer_model
    some = images[: affordable_examples(model)]
    exact = model.predict(some)
    device = {"xnnpack": logits["int8"], "builtin": LiteRtModel(contents["int8"], "builtin").logits(images)}
    kernels = {name: _against(exact, values, labels, model, judge) for name, values in device.items()}
    stored = {"int8": stored_differently(contents["int8"], model, packed_int4=False)}
    if "int4" in contents:
        narrow = converted.narrow_model
        kernels["int4"] = _against(narrow.predict(some), logits["int4"], labels, narrow, judge)
        stored["int4"] = stored_differently(contents["int4"], narrow, packed_int4=True)
    mismatches = layer_mismatches(model, contents["int8"], some)
    return {
        "integer_model_examples": len(some),
        "code_mismatch": kernels["xnnpack"]["code_mismatch"],
        "max_code_difference": kernels["xnnpack"]["max_code_difference"],
        "kernels": kernels,
        "weight_bits": weight_bits(model),
        "float_tensors": float_tensors(contents["int8"]),
        "stored_differently": stored,
        "layers": layer_facts(model, converted.narrow_model, mismatches),
        "metric": judge.metric(exact, labels[: len(some)]),
    }


def affordable_examples(model: IntegerModel) -> int:
    """The number of examples for the integer model: within MAX_INTEGER_MODEL_MACS, 2 to MAX_INTEGER_MODEL_EXAMPLES."""
    cost = sum(macs(operation, model) for operation in model.operations)
    return int(np.clip(MAX_INTEGER_MODEL_MACS // max(cost, 1), 2, MAX_INTEGER_MODEL_EXAMPLES))


def _against(exact: np.ndarray, device: np.ndarray, labels: np.ndarray, model: IntegerModel, judge: Judge) -> dict:
    """Compare a kernel's logits (N, K) with the integer model's (M, K) on the first M examples; the metric is on all."""
    difference = np.abs(np.rint((exact - device[: len(exact)]) / model.tensors[model.output].scale))
    return {
        "code_mismatch": float(np.mean(difference > 0)),
        "max_code_difference": int(difference.max()),
        "decision_agreement": same_decisions(exact, device[: len(exact)], judge),
        "metric": judge.metric(device, labels),
    }


def same_decisions(first: np.ndarray, second: np.ndarray, judge: Judge) -> float:
    """The share of equal decisions of two sets of logits (N, K)."""
    return float(np.mean(judge.decide(first) == judge.decide(second)))


def layer_mismatches(
    model: IntegerModel, content: bytes, images: np.ndarray, kernels: str = "xnnpack"
) -> dict[str, float]:
    """{tensor: share of codes that differ} after every operation, integer model against LiteRT on images (N, H, W, C).

    The file runs with all activation tensors as outputs. Differences propagate, so the first layer that differs is the
    one to examine.
    """
    names = [operation.output for operation in model.operations]
    device = LiteRtModel(with_outputs(content, names), kernels)
    order = [detail["name"] for detail in device.outputs]
    wrong, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for part in image_batches(images.shape):
        batch = images[part]
        outputs = dict(zip(order, device.run(batch), strict=True))
        for operation, codes in model.trace(pixel_codes(batch)):
            wrong[operation.output] += int(np.count_nonzero(codes != outputs[operation.output]))
            total[operation.output] += codes.size
    return {name: wrong[name] / total[name] for name in names}


def float_tensors(content: bytes) -> list[str]:
    """Names of the float32 tensors of a TFLite file except inputs and outputs; [] for a pure integer graph."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    ends = {*graph.inputs, *graph.outputs}
    return [
        tensor.name.decode()
        for index, tensor in enumerate(graph.tensors)
        if tensor.type == schema.TensorType.FLOAT32 and index not in ends
    ]


def stored_differently(content: bytes, model: IntegerModel, packed_int4: bool) -> list[str]:
    """Names of the tensors and operators in a file that are not bit-identical to those of the integer model."""
    found = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = found.subgraphs[0]
    float_io = graph.tensors[graph.inputs[0]].type == schema.TensorType.FLOAT32
    written = write_tflite(model, float_io, packed_int4, "")
    there, expected = _stored(found), _stored(schema.ModelT.InitFromPackedBuf(written, 0))
    return sorted(name for name in there | expected if there.get(name) != expected.get(name))


def _stored(file) -> dict[str, tuple]:
    """Everything that determines the results of a file, by name of the tensor or number of the operator."""
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
    """The entries of "layers" in verification.json: one per operation, in order."""
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
