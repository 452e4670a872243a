"""Verify that the files compute what training evaluated: codes of every layer, decisions, kernels; and latency."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from pipeline.data.batches import image_batches
from pipeline.errors import UserError
from pipeline.models.canonical import like
from pipeline.models.final import finals_of, without_final
from pipeline.models.graph import UNIT_RANGE, names_of_outputs
from pipeline.models.inference import check_network
from pipeline.models.inputs import Examples, Intake
from pipeline.quantization.device import device_arithmetic, rounded_network
from pipeline.quantization.device_network import DeviceNetwork
from pipeline.quantization.feed import values_of
from pipeline.quantization.integer_model import Arrays, first, largest, listed, unlisted
from pipeline.quantization.model_access import ranges_of, recipe_of
from pipeline.settings import checked_settings
from pipeline.tflite.convert import Converted
from pipeline.tflite.exactness import exactness
from pipeline.tflite.judges import Judge, Panel, judge_of
from pipeline.tflite.labels import labels_by_output
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.probabilities import LARGEST_DIFFERENCE, logits_file, probability_difference
from pipeline.tflite.settings import VerifySettings
from pipeline.tflite.ship import facts_of_bytes

Labels = np.ndarray | Sequence[np.ndarray | None] | Mapping[str, np.ndarray] | None

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
    images: Examples,
    labels: Labels = None,
    settings: VerifySettings | None = None,
    judge: Judge | None = None,
    **limits: object,
) -> dict:
    """The content of verification.json for a trained `model` and the files that `convert` made of it.

    images: examples (N, ...) of the network's input, uint8, whose 0 to 255 stand for its range, or floats as `model.fit`
    takes them; for several inputs a tuple, or a dict by input name. labels, the true ones where they are known: classes
    (N,), or (N, H, W) for maps of K outputs in each place; (N, A) action units (0, 1, 9 unknown); floats of the output's
    shape (regression); None for no metric; for several outputs a list, or a dict by output name. `settings`, or its fields
    as `limits`, set the limits; "passed" and "failures" in the result say whether they are met. `judge` defines decisions
    and metric (default: by the labels). Raises UserError for invalid arguments.
    """
    settings = checked_settings(VerifySettings, settings, limits, "verify")
    _check_files(model, converted)
    arrays = _checked_examples(model, images)
    panel = _panel(model, labels, len(arrays[0]), judge)
    examples = first(unlisted(arrays), settings.examples)
    contents = {kind: path.read_bytes() for kind, path in converted.files.items()}
    logits = {"keras": _evaluation_logits(model, converted, examples)}
    for kind, content in contents.items():
        file = LiteRtModel(logits_file(content) if converted.finals else content)
        logits[kind] = listed(file.logits(examples))
    result = _shared_facts(contents, logits, examples, settings.latency_runs, panel)
    if "int8" in contents:
        found = exactness(converted, contents, logits, examples, panel)
        result["metrics"]["integer_model"] = found.pop("metric")
        fake_quant = _fake_quant_logits(model, converted, examples)
        result |= found | {"fake_quant_decision_agreement": panel.agreement(fake_quant, logits["int8"])}
    else:
        result |= NO_INTEGER_FILE
    result |= _outputs(converted, contents, examples)
    failures = _failures(result, settings)
    kept = {key: getattr(settings, key) for key in LIMITS}
    files = {path.name: facts_of_bytes(contents[kind]) for kind, path in converted.files.items()}
    return {**result, "limits": kept, "passed": not failures, "failures": failures, "files": files}


def _check_files(model: tf_keras.Model, converted: Converted) -> None:
    check_network(model, "verify")
    if not isinstance(converted, Converted):
        raise UserError(f"verify: pass what convert returned, not {type(converted).__name__}")
    if (recipe_of(model) is None) != (converted.integer_model is None):
        raise UserError("verify: these files were not made of this model. Convert it again")
    if missing := [str(path) for path in converted.files.values() if not path.is_file()]:
        raise UserError(f"verify: {', '.join(missing)}: no such file. Convert the model again")


def _checked_examples(model: tf_keras.Model, images: Examples) -> tuple[np.ndarray, ...]:
    """The array (N, ...) of every input; UserError unless the network takes them."""
    intake = Intake(model, "verify", ranges_of(model) if recipe_of(model) else None)
    arrays = intake.arrays(images)
    if wrong := [array for array in arrays if array.dtype != np.uint8 and array.dtype.kind != "f"]:
        raise UserError(
            f"verify: images must be uint8 (0 to 255 stand for the range of the input) or floats, not {wrong[0].dtype}"
        )
    intake.check_shapes(arrays)
    intake.check_values(arrays, bytes_too=False)
    return arrays


def _panel(model: tf_keras.Model, labels: Labels, count: int, judge: Judge | None) -> Panel:
    """The labels of every output with their judges; UserError for those that do not fit."""
    if judge is not None and not (
        callable(getattr(judge, "decide", None)) and callable(getattr(judge, "metric", None))
    ):
        raise UserError(f"verify: judge needs the methods decide and metric; {type(judge).__name__} has not both")
    shapes = [tuple(tensor.shape)[1:] for tensor in model.outputs]
    known = labels_by_output(labels, names_of_outputs(model), shapes, count)
    cases = zip(known, shapes, finals_of(model), strict=True)
    return Panel([judge or judge_of(*case) for case in cases], known)


def _evaluation_logits(model: tf_keras.Model, converted: Converted, examples: Arrays) -> list[np.ndarray]:
    """Logits (N, ..., K) by output as in training: device arithmetic in TensorFlow, or float if only that is converted."""
    if any(kind in converted.files for kind in INTEGER_FILES):
        return _in_batches(DeviceNetwork(converted.integer_model).forward, examples)
    return _in_batches(_forward(without_final(rounded_network(model)), converted), examples)


def _fake_quant_logits(model: tf_keras.Model, converted: Converted, examples: Arrays) -> list[np.ndarray]:
    """Logits (N, ..., K) by output of the Keras training graph in inference mode, with the device's biases and scales."""
    with device_arithmetic(model, converted.weight_storage):
        return _in_batches(_forward(without_final(model), converted), examples)


def _forward(model: tf_keras.Model, converted: Converted) -> Callable:
    """The forward pass of a Keras model on examples as files take them, compiled once for all batch sizes."""
    specs = [tf.TensorSpec((None, *tensor.shape[1:]), tf.float32) for tensor in model.inputs]
    inputs = tf.function(lambda *values: model(like(model.input, list(values)), training=False), specs, autograph=False)
    ranges = converted.ranges or (UNIT_RANGE,) * len(specs)
    return lambda examples: inputs(*map(values_of, listed(examples), ranges))


def _in_batches(forward: Callable, examples: Arrays) -> list[np.ndarray]:
    """The outputs (N, ...) of a network for all examples."""
    arrays = listed(examples)
    batches = (unlisted([array[part] for array in arrays]) for part in image_batches(largest(arrays).shape))
    parts = [[output.numpy() for output in tf.nest.flatten(forward(batch))] for batch in batches]
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _shared_facts(
    contents: dict[str, bytes],
    logits: dict[str, list[np.ndarray]],
    examples: Arrays,
    latency_runs: int,
    panel: Panel,
) -> dict:
    """The entries for all models; decisions are compared with the first integer file, else with the float file."""
    device = next((logits[kind] for kind in (*INTEGER_FILES, "float32") if kind in logits), logits["keras"])
    metrics = {kind: panel.metric(values) for kind, values in logits.items()}
    reached = panel.metric(device)
    return {
        "examples": len(listed(examples)[0]),
        "metrics": metrics,
        "size_bytes": {kind: len(content) for kind, content in contents.items()},
        "latency_ms": measure_latency(contents, _example(examples), latency_runs),
        "decision_agreement": panel.agreement(logits["keras"], device),
        "metric_delta": None if reached is None else 100 * abs(metrics["keras"] - reached),
    }


def _example(examples: Arrays) -> Arrays:
    """The first example, without batch axis."""
    return unlisted([array[0] for array in listed(examples)])


def _outputs(converted: Converted, contents: dict[str, bytes], examples: Arrays) -> dict:
    """What the files return; for probabilities also the largest difference from those of their logits."""
    if not converted.finals:
        return {"outputs": "logits"}
    differences = [probability_difference(content, examples, converted.finals) for content in contents.values()]
    return {"outputs": "probabilities", "probability_difference": max(differences)}


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
    if result.get("probability_difference", 0) > LARGEST_DIFFERENCE:
        failures.append(f"probabilities differ by {result['probability_difference']:.2g} from those of their logits")
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


def measure_latency(contents: dict[str, bytes], example: Arrays, runs: int) -> dict[str, dict]:
    """{kind: {"median", "p10", "p90" in ms, "runs"}} of one invocation; the files take turns after a warm-up."""
    models = {kind: LiteRtModel(content) for kind, content in contents.items()}
    times = {kind: [] for kind in models}
    for model in models.values():
        model.latency_ms(example, 5)
    for _ in range(LATENCY_ROUNDS):
        for kind, model in models.items():
            times[kind].append(model.latency_ms(example, max(runs // LATENCY_ROUNDS, 1)))
    return {kind: _percentiles(np.concatenate(parts)) for kind, parts in times.items()}


def _percentiles(times: np.ndarray) -> dict:
    p10, median, p90 = np.percentile(times, [10, 50, 90])
    return {"median": float(median), "p10": float(p10), "p90": float(p90), "runs": len(times)}
