"""Does the file compute what training evaluated? Every layer's codes, every decision, on every kernel."""

from dataclasses import dataclass

import numpy as np

from pipeline.conversion import Converted
from pipeline.exactness import exactness, same_decisions
from pipeline.inference import compile_forward, logits_in_batches
from pipeline.latency import measure_latency
from pipeline.litert import LiteRtModel
from pipeline.quantization.device import device_arithmetic, rounded_network
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.tasks import Task

INTEGER_FILES = ("int8", "int4")
NO_INTEGER_FILE = {
    "code_mismatch": None,
    "max_code_difference": None,
    "kernels": {},
    "weight_bits": {},
    "layers": [],
    "float_tensors": [],
    "stored_differently": {},
}
LIMITS = ("code_mismatch", "decision_agreement", "fake_quant_agreement", "metric_delta")


@dataclass(frozen=True)
class Examples:
    """Test images uint8 (N, H, W, C) with their labels int64 (N,) or uint8 (N, A), clean where the truth is known."""

    images: np.ndarray
    labels: np.ndarray


def verify(model, converted: Converted, examples: Examples, settings, weight_storage: str, task: Task) -> dict:
    """The content of verification.json for a trained Keras `model` and its files.

    `settings`: config section verify (limits), `task`: what a decision is, and what a metric. "passed" and "failures"
    say whether the limits are kept.
    """
    contents = {kind: path.read_bytes() for kind, path in converted.files.items()}
    logits = {"keras": _evaluation_logits(model, converted, examples.images)}
    for kind, content in contents.items():
        logits[kind] = LiteRtModel(content).logits(examples.images)
    result = _shared_facts(contents, logits, examples, settings, task)
    if "int8" in contents:
        found = exactness(converted, contents, logits, examples.images, examples.labels, task)
        result["metrics"]["integer_model"] = found.pop("metric")
        fake_quant = _fake_quant_logits(model, examples.images, weight_storage)
        result |= found | {"fake_quant_decision_agreement": same_decisions(fake_quant, logits["int8"], task)}
    else:
        result |= NO_INTEGER_FILE
    failures = _failures(result, settings)
    return {**result, "limits": _limits(settings), "passed": not failures, "failures": failures}


def _evaluation_logits(model, converted: Converted, images: np.ndarray) -> np.ndarray:
    """Logits (N, K) as training evaluates: in the device's arithmetic, in TensorFlow; in float if that is converted."""
    if any(kind in converted.files for kind in INTEGER_FILES):
        return logits_in_batches(DeviceNetwork(converted.integer_model).forward, images)
    return logits_in_batches(compile_forward(rounded_network(model)), images)


def _fake_quant_logits(model, images: np.ndarray, weight_storage: str) -> np.ndarray:
    """Logits (N, K) of the Keras training graph in inference mode, with the device's biases and scales."""
    with device_arithmetic(model, weight_storage):
        return logits_in_batches(compile_forward(model), images)


def _shared_facts(contents, logits, examples: Examples, settings, task: Task) -> dict:
    """What is known of every model; decisions are compared with the first of the integer files, else the float one."""
    device = next((logits[kind] for kind in (*INTEGER_FILES, "float32") if kind in logits), logits["keras"])
    metrics = {kind: task.metric(values, examples.labels) for kind, values in logits.items()}
    reached = task.metric(device, examples.labels)
    return {
        "examples": len(examples.labels),
        "metrics": metrics,
        "size_bytes": {kind: len(content) for kind, content in contents.items()},
        "latency_ms": measure_latency(contents, examples.images[0], settings.latency_runs),
        "decision_agreement": same_decisions(logits["keras"], device, task),
        "metric_delta": None if reached is None else 100 * abs(metrics["keras"] - reached),
    }


def _limits(settings) -> dict:
    return {key: getattr(settings, key) for key in LIMITS}


def _failures(result: dict, settings) -> list[str]:
    """One sentence for every limit that is missed."""
    failures = _code_failures(result, settings.code_mismatch)
    agreement, delta = result["decision_agreement"], result["metric_delta"]
    if agreement < settings.decision_agreement:
        failures.append(
            f"decision_agreement {agreement:.5f} is below the limit {settings.decision_agreement:g}: Keras and the file "
            "decide differently too often"
        )
    fake_quant = result.get("fake_quant_decision_agreement")
    if fake_quant is not None and fake_quant < settings.fake_quant_agreement:
        failures.append(
            f"fake_quant_decision_agreement {fake_quant:.5f} is below the limit {settings.fake_quant_agreement:g}: the "
            "file is not the network that was trained"
        )
    if delta is not None and delta > settings.metric_delta:
        failures.append(f"metric_delta {delta:.3f} points is above the limit {settings.metric_delta:g}")
    if result["float_tensors"]:
        failures.append("float tensors inside the integer file: " + ", ".join(result["float_tensors"]))
    for kind, names in result["stored_differently"].items():
        if names:
            failures.append(f"model_{kind}.tflite does not hold the integer model's numbers in: {', '.join(names)}")
    return failures


def _code_failures(result: dict, limit: float) -> list[str]:
    """The first layer whose codes differ too often, else the output."""
    layers = [(f"in layer '{layer['name']}' ({layer['op']})", layer["code_mismatch"]) for layer in result["layers"]]
    for where, mismatch in [*layers, ("at the output", result["code_mismatch"] or 0.0)]:
        if mismatch > limit:
            return [
                f"code_mismatch {mismatch:.2g}, first {where}, is above the limit {limit:g}: the file does not compute "
                "what the integer model computes"
            ]
    return []
