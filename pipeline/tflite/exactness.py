"""Compare the integer model with the files, code by code: outputs on every kernel, every layer, every stored number."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.data.batches import image_batches
from pipeline.quantization.integer_model import Arrays, IntegerModel, Operation, first, largest, listed, unlisted
from pipeline.tflite.convert import Converted
from pipeline.tflite.judges import Panel
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.names import activation_names
from pipeline.tflite.packing import packs
from pipeline.tflite.probabilities import logits_file
from pipeline.tflite.write import with_outputs, write_tflite

MAX_INTEGER_MODEL_EXAMPLES = 1000
MAX_INTEGER_MODEL_MACS = 4e10  # total multiply-accumulates; large networks are compared on fewer examples


def exactness(
    converted: Converted,
    contents: dict[str, bytes],
    logits: dict[str, list[np.ndarray]],
    examples: Arrays,
    panel: Panel,
) -> dict:
    """The entries of verification.json for the integer files.

    examples (N, ...), logits by file: (N, ..., K) of every output. The integer model runs on the first
    `affordable_examples`, the files on all of them.
    """
    model = converted.integer_model
    some = first(examples, affordable_examples(model))
    exact = listed(model.predict(some))
    int8 = logits_file(contents["int8"])
    device = {"xnnpack": logits["int8"], "builtin": listed(LiteRtModel(int8, "builtin").logits(examples))}
    kernels = {name: _against(exact, values, model, panel) for name, values in device.items()}
    stored = {"int8": stored_differently(contents["int8"], model, packed_int4=False)}
    if "int4" in contents:
        narrow = converted.narrow_model
        kernels["int4"] = _against(listed(narrow.predict(some)), logits["int4"], narrow, panel)
        stored["int4"] = stored_differently(contents["int4"], narrow, packed_int4=True)
    mismatches = layer_mismatches(model, int8, some)
    return {
        "integer_model_examples": len(listed(some)[0]),
        "code_mismatch": kernels["xnnpack"]["code_mismatch"],
        "max_code_difference": kernels["xnnpack"]["max_code_difference"],
        "kernels": kernels,
        "weight_bits": weight_bits(model),
        "float_tensors": float_tensors(int8),
        "stored_differently": stored,
        "layers": layer_facts(model, converted.narrow_model, mismatches),
        "metric": panel.metric(exact),
    }


def affordable_examples(model: IntegerModel) -> int:
    """The number of examples for the integer model: within MAX_INTEGER_MODEL_MACS, 2 to MAX_INTEGER_MODEL_EXAMPLES."""
    cost = sum(macs(operation, model) for operation in model.operations)
    return int(np.clip(MAX_INTEGER_MODEL_MACS // max(cost, 1), 2, MAX_INTEGER_MODEL_EXAMPLES))


def _against(exact: list[np.ndarray], device: list[np.ndarray], model: IntegerModel, panel: Panel) -> dict:
    """Compare a kernel's logits with the integer model's, both by output, on the latter's examples; the metric is on all."""
    same = [values[: len(codes)] for values, codes in zip(device, exact, strict=True)]
    steps = [model.tensors[name].scale for name in model.outputs]
    differences = [
        np.abs(np.rint((wanted - found) / step)).ravel() for wanted, found, step in zip(exact, same, steps, strict=True)
    ]
    difference = np.concatenate(differences)
    return {
        "code_mismatch": float(np.mean(difference > 0)),
        "max_code_difference": int(difference.max()),
        "decision_agreement": panel.agreement(exact, same),
        "metric": panel.metric(device),
    }


def layer_mismatches(
    model: IntegerModel, content: bytes, examples: Arrays, kernels: str = "xnnpack"
) -> dict[str, float]:
    """{tensor: share of codes that differ} after every operation, integer model against LiteRT on examples (N, ...).

    The file runs with all activation tensors as outputs. Differences propagate, so the first layer that differs is the
    one to examine.
    """
    names = [operation.output for operation in model.operations]
    in_file = activation_names(model, _has_float_io(content))
    device = LiteRtModel(with_outputs(content, [in_file[name] for name in names]), kernels)
    order = [detail["name"] for detail in device.outputs]
    wrong, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for part in image_batches(largest(listed(examples)).shape):
        batch = [array[part] for array in listed(examples)]
        outputs = dict(zip(order, device.run(unlisted(batch)), strict=True))
        for operation, codes in model.trace(model.codes(unlisted(batch))):
            wrong[operation.output] += int(np.count_nonzero(codes != outputs[in_file[operation.output]]))
            total[operation.output] += codes.size
    return {name: wrong[name] / total[name] for name in names}


def float_tensors(content: bytes) -> list[str]:
    """Names of the float32 tensors that operations of a TFLite file use, except inputs and outputs; [] for pure integers."""
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    used = {index for operator in graph.operators for index in (*operator.inputs, *operator.outputs)}
    return [
        graph.tensors[index].name.decode()
        for index in sorted(used - {*graph.inputs, *graph.outputs})
        if graph.tensors[index].type == schema.TensorType.FLOAT32
    ]


def stored_differently(content: bytes, model: IntegerModel, packed_int4: bool) -> list[str]:
    """Names of the tensors and operators in a file that are not bit-identical to those of the integer model."""
    found = schema.ModelT.InitFromPackedBuf(content, 0)
    written = write_tflite(model, _has_float_io(content), packed_int4, "")
    there, expected = _stored(found), _stored(schema.ModelT.InitFromPackedBuf(written, 0))
    return sorted(name for name in there | expected if there.get(name) != expected.get(name))


def _has_float_io(content: bytes) -> bool:
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    return graph.tensors[graph.inputs[0]].type == schema.TensorType.FLOAT32


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
    pairs = zip(model.operations, narrow.operations, strict=True)
    facts = [_facts(operation, model, mismatches[operation.output]) for operation in model.operations]
    return [fact | _weight_facts(*pair, packs(pair[1], narrow)) for fact, pair in zip(facts, pairs, strict=True)]


def _facts(operation: Operation, model: IntegerModel, mismatch: float) -> dict:
    output = model.tensors[operation.output]
    return {
        "name": operation.name,
        "op": operation.kind,
        "activation_bits": output.bits,
        "activation_scale": float(output.scale),
        "macs": macs(operation, model),
        "code_mismatch": mismatch,
    }


def _weight_facts(operation: Operation, narrow: Operation, packed: bool) -> dict:
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
    kernel_int4 = -(-count // 2) if packed else count
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
    """Multiply-accumulates of one operation for one example."""
    if operation.weights is None:
        return 0
    kernel = operation.weights.codes
    if operation.kind == "FULLY_CONNECTED":
        return kernel.size * int(np.prod(model.tensors[operation.output].shape[:-1]))
    if operation.kind == "TRANSPOSE_CONV":
        return kernel.size * int(np.prod(model.tensors[operation.inputs[0]].shape[:2]))
    height, width, channels = model.tensors[operation.output].shape
    taps = int(np.prod(kernel.shape[1:3])) if operation.kind == "DEPTHWISE_CONV_2D" else int(np.prod(kernel.shape[1:]))
    return height * width * channels * taps
