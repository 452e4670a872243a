"""Does the file compute what training evaluated? Every layer's codes, every decision, on every kernel."""

from dataclasses import dataclass

import numpy as np

from pipeline.conversion import Converted
from pipeline.evaluation import accuracy
from pipeline.file_facts import float_tensors, layer_facts, weight_bits
from pipeline.inference import compile_forward, logits_in_batches
from pipeline.latency import measure_latency
from pipeline.litert import LiteRtModel
from pipeline.quantization.device import device_arithmetic
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.integer_model import IntegerModel, pixel_codes
from pipeline.tflite_writer import with_outputs

INTEGER_MODEL_EXAMPLES = 1000
BATCH = 50


@dataclass(frozen=True)
class Examples:
    """Test images uint8 (N, H, W, C) with their clean labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


def verify(model, converted: Converted, examples: Examples, settings, weight_storage: str) -> dict:
    """The content of verification.json for a trained Keras `model` and its files.

    `settings`: config section verify (limits). "passed" and "failures" say whether the limits are kept.
    """
    contents = {kind: path.read_bytes() for kind, path in converted.files.items()}
    logits = {"keras": _evaluation_logits(model, converted.integer_model, examples.images)}
    for kind, content in contents.items():
        logits[kind] = LiteRtModel(content).logits(examples.images)
    result = _shared_facts(contents, logits, examples, settings)
    if converted.integer_model is None or "int8" not in contents:
        result |= _agreement(logits["keras"], logits.get("float32", logits["keras"]), examples.labels)
        result |= {
            "code_mismatch": None,
            "max_code_difference": None,
            "kernels": {},
            "weight_bits": {},
            "layers": [],
            "float_tensors": [],
        }
    else:
        result |= _agreement(logits["keras"], logits["int8"], examples.labels)
        result |= _exactness(converted, contents, logits, examples)
        fake_quant = _fake_quant_logits(model, examples.images, weight_storage)
        result["fake_quant_decision_agreement"] = _same_decisions(fake_quant, logits["int8"])
    failures = _failures(result, settings)
    return {**result, "limits": _limits(settings), "passed": not failures, "failures": failures}


def _evaluation_logits(model, integer_model: IntegerModel | None, images: np.ndarray) -> np.ndarray:
    """Logits (N, K) as training evaluates: in the device's arithmetic, in TensorFlow."""
    forward = DeviceNetwork(integer_model).forward if integer_model else compile_forward(model)
    return logits_in_batches(forward, images)


def _fake_quant_logits(model, images: np.ndarray, weight_storage: str) -> np.ndarray:
    """Logits (N, K) of the Keras training graph in inference mode, with the device's biases and scales."""
    with device_arithmetic(model, weight_storage):
        return logits_in_batches(compile_forward(model), images)


def _shared_facts(contents, logits, examples: Examples, settings) -> dict:
    return {
        "examples": len(examples.labels),
        "metrics": {kind: accuracy(values, examples.labels) for kind, values in logits.items()},
        "size_bytes": {kind: len(content) for kind, content in contents.items()},
        "latency_ms": measure_latency(contents, examples.images[0], settings.latency_runs),
    }


def _agreement(keras: np.ndarray, device: np.ndarray, labels: np.ndarray) -> dict:
    """Equal decisions as a share, and the difference of accuracies in points."""
    delta = 100 * abs(accuracy(keras, labels) - accuracy(device, labels))
    return {"decision_agreement": _same_decisions(keras, device), "metric_delta": delta}


def _exactness(converted: Converted, contents, logits, examples: Examples) -> dict:
    """Integer model against LiteRT: outputs on both kernels, and layer by layer on XNNPACK."""
    model = converted.integer_model
    images = examples.images[:INTEGER_MODEL_EXAMPLES]
    exact = model.predict(images)
    step = model.tensors[model.output].scale
    builtin = LiteRtModel(contents["int8"], "builtin").logits(examples.images)
    kernels = {
        "xnnpack": _against(exact, logits["int8"], examples, step),
        "builtin": _against(exact, builtin, examples, step),
    }
    if "int4" in contents:
        narrow = converted.narrow_model
        reference = exact if narrow is model else narrow.predict(images)
        kernels["int4"] = _against(reference, logits["int4"], examples, narrow.tensors[narrow.output].scale)
    mismatches = layer_mismatches(model, contents["int8"], images)
    return {
        "integer_model_examples": len(images),
        "code_mismatch": kernels["xnnpack"]["code_mismatch"],
        "max_code_difference": kernels["xnnpack"]["max_code_difference"],
        "kernels": kernels,
        "weight_bits": weight_bits(model),
        "float_tensors": float_tensors(contents["int8"]),
        "layers": layer_facts(model, converted.narrow_model, mismatches),
        "metrics": {kind: accuracy(values, examples.labels) for kind, values in logits.items()}
        | {"integer_model": accuracy(exact, examples.labels[: len(images)])},
    }


def _against(exact: np.ndarray, device: np.ndarray, examples: Examples, step: np.float32) -> dict:
    """One kernel's outputs against the integer model's (M, K) on its first M examples; accuracy on all."""
    difference = np.abs(np.rint((exact - device[: len(exact)]) / step))
    return {
        "code_mismatch": float(np.mean(difference > 0)),
        "max_code_difference": int(difference.max()),
        "decision_agreement": _same_decisions(exact, device[: len(exact)]),
        "accuracy": accuracy(device, examples.labels),
    }


def layer_mismatches(model: IntegerModel, content: bytes, images: np.ndarray) -> dict[str, float]:
    """{tensor: share of codes that differ} after every operation, integer model against LiteRT with XNNPACK.

    The file is run with all its activation tensors as outputs, so every layer sees the codes of the layer before.
    """
    names = [operation.output for operation in model.operations]
    device = LiteRtModel(with_outputs(content, names))
    order = [detail["name"] for detail in device.outputs]
    wrong = dict.fromkeys(names, 0)
    total = dict.fromkeys(names, 0)
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        outputs = dict(zip(order, device.run(batch), strict=True))
        for operation, codes in model.trace(pixel_codes(batch)):
            wrong[operation.output] += int(np.count_nonzero(codes != outputs[operation.output]))
            total[operation.output] += codes.size
    return {name: wrong[name] / total[name] for name in names}


def _same_decisions(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean(first.argmax(axis=1) == second.argmax(axis=1)))


def _limits(settings) -> dict:
    return {key: getattr(settings, key) for key in ("code_mismatch", "decision_agreement", "metric_delta")}


def _failures(result: dict, settings) -> list[str]:
    """One sentence for every limit that is missed."""
    failures = []
    if result["code_mismatch"] is not None:
        worst = max([result["code_mismatch"], *(layer["code_mismatch"] for layer in result["layers"])])
        if worst > settings.code_mismatch:
            failures.append(
                f"code_mismatch {worst:.2g} is above the limit {settings.code_mismatch:g}: the file does "
                "not compute what the integer model computes"
            )
    if result["decision_agreement"] < settings.decision_agreement:
        failures.append(
            f"decision_agreement {result['decision_agreement']:.5f} is below the limit "
            f"{settings.decision_agreement:g}: Keras and the file decide differently too often"
        )
    if result["metric_delta"] > settings.metric_delta:
        delta = result["metric_delta"]
        failures.append(f"metric_delta {delta:.3f} points is above the limit {settings.metric_delta:g}")
    if result["float_tensors"]:
        failures.append("float tensors inside the integer file: " + ", ".join(result["float_tensors"]))
    return failures
