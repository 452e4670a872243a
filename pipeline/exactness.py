"""The integer model against the files, code by code: outputs on every kernel, every layer, every stored number."""

import numpy as np

from pipeline.conversion import Converted
from pipeline.file_facts import float_tensors, layer_facts, macs, stored_differently, weight_bits
from pipeline.image_batches import image_batches
from pipeline.litert import LiteRtModel
from pipeline.quantization.integer_model import IntegerModel, pixel_codes
from pipeline.tasks import Task
from pipeline.tflite_writer import with_outputs

INTEGER_MODEL_EXAMPLES = 1000  # at most
INTEGER_MODEL_MACS = 4e10  # multiply-accumulates in all, so that large networks are compared on fewer examples


def exactness(
    converted: Converted,
    contents: dict[str, bytes],
    logits: dict[str, np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    task: Task,
) -> dict:
    """What verification.json says of the integer files; images uint8 (N, H, W, C), labels (N, ...), logits (N, K) by file.

    The integer model sees the first images, as many as `affordable_examples` says, the files see all of them.
    """
    model = converted.integer_model
    some = images[: affordable_examples(model)]
    exact = model.predict(some)
    device = {"xnnpack": logits["int8"], "builtin": LiteRtModel(contents["int8"], "builtin").logits(images)}
    kernels = {name: _against(exact, values, labels, model, task) for name, values in device.items()}
    stored = {"int8": stored_differently(contents["int8"], model, packed_int4=False)}
    if "int4" in contents:
        narrow = converted.narrow_model
        kernels["int4"] = _against(narrow.predict(some), logits["int4"], labels, narrow, task)
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
        "metric": task.metric(exact, labels[: len(some)]),
    }


def affordable_examples(model: IntegerModel) -> int:
    """How many examples the integer model is run on: INTEGER_MODEL_MACS' worth, 2 to INTEGER_MODEL_EXAMPLES."""
    cost = sum(macs(operation, model) for operation in model.operations)
    return int(np.clip(INTEGER_MODEL_MACS // max(cost, 1), 2, INTEGER_MODEL_EXAMPLES))


def _against(exact: np.ndarray, device: np.ndarray, labels: np.ndarray, model: IntegerModel, task: Task) -> dict:
    """One kernel's logits (N, K) against the integer model's (M, K) on its first M examples; the metric on all."""
    difference = np.abs(np.rint((exact - device[: len(exact)]) / model.tensors[model.output].scale))
    return {
        "code_mismatch": float(np.mean(difference > 0)),
        "max_code_difference": int(difference.max()),
        "decision_agreement": same_decisions(exact, device[: len(exact)], task),
        "metric": task.metric(device, labels),
    }


def same_decisions(first: np.ndarray, second: np.ndarray, task: Task) -> float:
    """The share of decisions that are equal for logits (N, K) each."""
    return float(np.mean(task.decide(first) == task.decide(second)))


def layer_mismatches(
    model: IntegerModel, content: bytes, images: np.ndarray, kernels: str = "xnnpack"
) -> dict[str, float]:
    """{tensor: share of codes that differ} after every operation, integer model against LiteRT on images (N, H, W, C).

    The file runs with all its activation tensors as outputs. Both go on from their own codes, so the first layer that
    differs is the one to look at.
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
