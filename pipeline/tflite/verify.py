"""Verify that the files compute what training evaluated: codes of every layer, decisions, kernels; and latency."""

import numpy as np
import tf_keras

from pipeline.action_units.labels import UNKNOWN
from pipeline.errors import UserError
from pipeline.models.inference import check_image_network, compile_forward, logits_in_batches
from pipeline.quantization.device import device_arithmetic, rounded_network
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.model_access import recipe_of
from pipeline.settings import checked_settings
from pipeline.tflite.convert import Converted
from pipeline.tflite.exactness import exactness, same_decisions
from pipeline.tflite.judges import Judge, judge_of
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.settings import VerifySettings

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
LATENCY_ROUNDS = 10
LIMITS = ("code_mismatch", "decision_agreement", "fake_quant_agreement", "metric_delta")


def verify(
    model: tf_keras.Model,
    converted: Converted,
    images: np.ndarray,
    labels: np.ndarray,
    settings: VerifySettings | None = None,
    judge: Judge | None = None,
    **limits: object,
) -> dict:
    """The content of verification.json for a trained `model` and the files that `convert` made of it.

    images uint8 (N, H, W, C); labels (N,) classes or (N, A) action units (0, 1, 9 unknown), the true ones where they are
    known. `settings`, or its fields as `limits`, set the limits; "passed" and "failures" in the result say whether they
    are met. `judge` defines decisions and metric (default: by the labels). Raises UserError for invalid arguments.
    """
    settings = checked_settings(VerifySettings, settings, limits, "verify")
    _check_files(model, converted)
    _check_images(model, images)
    _check_labels(model, labels, len(images))
    if judge is not None and not (
        callable(getattr(judge, "decide", None)) and callable(getattr(judge, "metric", None))
    ):
        raise UserError(f"verify: judge needs the methods decide and metric; {type(judge).__name__} has not both")
    images, labels = images[: settings.examples], labels[: settings.examples]
    judge = judge or judge_of(labels)
    contents = {kind: path.read_bytes() for kind, path in converted.files.items()}
    logits = {"keras": _evaluation_logits(model, converted, images)}
    for kind, content in contents.items():
        logits[kind] = LiteRtModel(content).logits(images)
    result = _shared_facts(contents, logits, images[0], labels, settings.latency_runs, judge)
    if "int8" in contents:
        found = exactness(converted, contents, logits, images, labels, judge)
        result["metrics"]["integer_model"] = found.pop("metric")
        fake_quant = _fake_quant_logits(model, images, converted.weight_storage)
        result |= found | {"fake_quant_decision_agreement": same_decisions(fake_quant, logits["int8"], judge)}
    else:
        result |= NO_INTEGER_FILE
    failures = _failures(result, settings)
    kept = {key: getattr(settings, key) for key in LIMITS}
    return {**result, "limits": kept, "passed": not failures, "failures": failures}


def _check_files(model: tf_keras.Model, converted: Converted) -> None:
    check_image_network(model, "verify")
    if not isinstance(converted, Converted):
        raise UserError(f"verify: pass what convert returned, not {type(converted).__name__}")
    if (recipe_of(model) is None) != (converted.integer_model is None):
        raise UserError("verify: these files were not made of this model. Convert it again")
    if missing := [str(path) for path in converted.files.values() if not path.is_file()]:
        raise UserError(f"verify: {', '.join(missing)}: no such file. Convert the model again")


def _check_images(model: tf_keras.Model, images: np.ndarray) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        found = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise UserError(f"verify: images must be a uint8 array (N, H, W, C) of pixels, not {found}")
    if images.shape[1:] != model.input_shape[1:]:
        raise UserError(f"verify: images are {images.shape[1:]}, the network takes {model.input_shape[1:]}")


def _check_labels(model: tf_keras.Model, labels: np.ndarray, count: int) -> None:
    outputs = model.output_shape[-1]
    shapes = ((count,), (count, outputs))
    if not isinstance(labels, np.ndarray) or labels.shape not in shapes or labels.dtype.kind not in "iub":
        found = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise UserError(f"verify: labels must be integers of shape {shapes[0]} or {shapes[1]}, not {found}")
    allowed = range(outputs) if labels.ndim == 1 else (0, 1, UNKNOWN)
    if wrong := sorted(set(np.unique(labels).tolist()) - set(allowed)):
        known = f"0 to {outputs - 1}" if labels.ndim == 1 else f"0, 1 or {UNKNOWN} (unknown)"
        raise UserError(f"verify: labels must be {known}, but there is {wrong[0]}")


def _evaluation_logits(model: tf_keras.Model, converted: Converted, images: np.ndarray) -> np.ndarray:
    """Logits (N, K) as in training: device arithmetic in TensorFlow, or float if only that is converted."""
    if any(kind in converted.files for kind in INTEGER_FILES):
        return logits_in_batches(DeviceNetwork(converted.integer_model).forward, images)
    return logits_in_batches(compile_forward(rounded_network(model)), images)


def _fake_quant_logits(model: tf_keras.Model, images: np.ndarray, weight_storage: str) -> np.ndarray:
    """Logits (N, K) of the Keras training graph in inference mode, with the device's biases and scales."""
    with device_arithmetic(model, weight_storage):
        return logits_in_batches(compile_forward(model), images)


def _shared_facts(
    contents: dict[str, bytes],
    logits: dict[str, np.ndarray],
    image: np.ndarray,
    labels: np.ndarray,
    latency_runs: int,
    judge: Judge,
) -> dict:
    """The entries for all models; decisions are compared with the first integer file, else with the float file."""
    device = next((logits[kind] for kind in (*INTEGER_FILES, "float32") if kind in logits), logits["keras"])
    metrics = {kind: judge.metric(values, labels) for kind, values in logits.items()}
    reached = judge.metric(device, labels)
    return {
        "examples": len(labels),
        "metrics": metrics,
        "size_bytes": {kind: len(content) for kind, content in contents.items()},
        "latency_ms": measure_latency(contents, image, latency_runs),
        "decision_agreement": same_decisions(logits["keras"], device, judge),
        "metric_delta": None if reached is None else 100 * abs(metrics["keras"] - reached),
    }


def _failures(result: dict, settings: VerifySettings) -> list[str]:
    """A sentence for every limit that is not met."""
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
    """A sentence for the first layer whose codes differ too often, or the output."""
    layers = [(f"in layer '{layer['name']}' ({layer['op']})", layer["code_mismatch"]) for layer in result["layers"]]
    for where, mismatch in [*layers, ("at the output", result["code_mismatch"] or 0.0)]:
        if mismatch > limit:
            return [
                f"code_mismatch {mismatch:.2g}, first {where}, is above the limit {limit:g}: the file does not compute "
                "what the integer model computes"
            ]
    return []


def measure_latency(contents: dict[str, bytes], image: np.ndarray, runs: int) -> dict[str, dict]:
    """{kind: {"median", "p10", "p90" in ms, "runs"}} of one invocation; the files take turns after a warm-up."""
    models = {kind: LiteRtModel(content) for kind, content in contents.items()}
    times = {kind: [] for kind in models}
    for model in models.values():
        model.latency_ms(image, 5)
    for _ in range(LATENCY_ROUNDS):
        for kind, model in models.items():
            times[kind].append(model.latency_ms(image, max(runs // LATENCY_ROUNDS, 1)))
    return {kind: _percentiles(np.concatenate(parts)) for kind, parts in times.items()}


def _percentiles(times: np.ndarray) -> dict:
    p10, median, p90 = np.percentile(times, [10, 50, 90])
    return {"median": float(median), "p10": float(p10), "p90": float(p90), "runs": len(times)}
