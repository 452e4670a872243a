"""Verification with real files: whole ones pass, damaged ones are caught and the damage is named."""

from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema

from pipeline.quantization.lowering import lower
from pipeline.tflite.convert import Converted, convert
from pipeline.tflite.exactness import float_tensors, layer_facts, macs, stored_differently
from pipeline.tflite.settings import ConvertSettings, VerifySettings
from pipeline.tflite.verify import verify
from pipeline.tflite.write import write_tflite
from pipeline.training.tasks import Multiclass
from tests.quantization.quantization_samples import NETWORKS, images, network, quantized, residual

COUNT = 60
TASK = Multiclass(5)


def limits(**fields) -> VerifySettings:
    """Config section verify, without limits on decisions unless a test sets them."""
    return VerifySettings(
        **{"decision_agreement": 0.0, "fake_quant_agreement": 0.0, "metric_delta": 100.0, "latency_runs": 10, **fields}
    )


def conversion(**fields) -> ConvertSettings:
    """Config section convert."""
    return ConvertSettings(**fields)


def examples() -> tuple[np.ndarray, np.ndarray]:
    return images(COUNT, seed=3), np.arange(COUNT) % 5


@pytest.fixture(scope="module")
def model() -> tf_keras.Model:
    return quantized(residual)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory) -> tuple[Converted, dict]:
    """The files of the model and what verification says of them."""
    converted = convert(model, tmp_path_factory.mktemp("whole"), conversion())
    return converted, verify(model, converted, *examples(), limits(decision_agreement=1, metric_delta=0), TASK)


def test_whole_files_pass(whole):
    _, result = whole
    assert result["passed"] and result["failures"] == []
    assert result["code_mismatch"] == 0 and result["max_code_difference"] == 0
    assert result["decision_agreement"] == 1 and result["metric_delta"] == 0
    assert result["float_tensors"] == [] and result["stored_differently"] == {"int8": [], "int4": []}
    assert result["examples"] == result["integer_model_examples"] == COUNT
    assert set(result["size_bytes"]) == set(result["latency_ms"]) == {"int8", "int4", "float32"}
    assert set(result["metrics"]) == {"keras", "integer_model", "int8", "int4", "float32"}
    assert result["metrics"]["keras"] == result["metrics"]["int8"] == result["metrics"]["integer_model"]
    assert set(result["kernels"]) == {"xnnpack", "builtin", "int4"}
    assert result["fake_quant_decision_agreement"] >= 0.95
    assert result["limits"].items() >= {"code_mismatch": 0.0, "decision_agreement": 1, "metric_delta": 0}.items()


def test_builtin_kernels_round_differently_and_that_is_recorded(whole):
    kernels = whole[1]["kernels"]
    assert kernels["builtin"]["code_mismatch"] > 0 and kernels["int4"]["code_mismatch"] > 0
    assert kernels["xnnpack"] == {**kernels["xnnpack"], "code_mismatch": 0.0, "decision_agreement": 1.0}


def test_every_layer_is_described(whole):
    converted, result = whole
    operations = converted.integer_model.operations
    assert [layer["name"] for layer in result["layers"]] == [operation.name for operation in operations]
    weighted = [layer for layer in result["layers"] if layer["weight_bits"]]
    assert result["weight_bits"] == {layer["name"]: layer["weight_bits"] for layer in weighted}
    for layer in weighted:
        biases = (layer["bytes_int8"] - layer["parameters"]) // 3
        assert biases > 0 and sum(layer["weight_codes"].values()) == layer["parameters"] - biases
        top = 2 ** (layer["weight_bits"] - 1) - 1
        assert all(-top <= int(code) <= top for code in layer["weight_codes"])
        packed = layer["weight_bits"] <= 4
        assert (layer["bytes_int4"] < layer["bytes_int8"] < layer["bytes_float32"]) or not packed
    assert all(layer["code_mismatch"] == 0 for layer in result["layers"])


def test_layer_facts_of_a_known_layer(whole):
    _, result = whole
    first = next(layer for layer in result["layers"] if layer["name"] == "conv2d")
    kernel = 3 * 3 * 3 * 8
    assert (first["op"], first["weight_bits"], first["parameters"]) == ("CONV_2D", 8, kernel + 8)
    assert first["macs"] == 12 * 12 * kernel
    assert (first["bytes_int8"], first["bytes_float32"]) == (kernel + 4 * 8, 4 * (kernel + 8))
    depthwise = lower(quantized(NETWORKS["inverted"])).integer_model
    operation = next(op for op in depthwise.operations if op.name == "depthwise_conv2d_1")
    assert macs(operation, depthwise) == 6 * 6 * 24 * 9
    dense = next(op for op in depthwise.operations if op.kind == "FULLY_CONNECTED")
    assert macs(dense, depthwise) == 6 * 5
    assert macs(next(op for op in depthwise.operations if op.kind == "ADD"), depthwise) == 0


def damaged(path: Path, damage: Callable) -> None:
    """The file, changed by `damage(file, tensors by name)`."""
    file = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    damage(file, {tensor.name.decode(): tensor for tensor in file.subgraphs[0].tensors})
    builder = flatbuffers.Builder()
    builder.Finish(file.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def change_weight(file, tensors) -> None:
    """One weight code more or less, where the layer has no dead inputs."""
    buffer = file.buffers[tensors["conv2d_1/kernel"].buffer]
    data = np.array(buffer.data, np.uint8).view(np.int8)
    data[4] += 3 if data[4] <= 0 else -3
    buffer.data = data.view(np.uint8)


def change_bias(file, tensors) -> None:
    buffer = file.buffers[tensors["conv2d_2/bias"].buffer]
    data = np.array(buffer.data, np.uint8).view(np.int32)
    buffer.data = (data + 40).view(np.uint8)


def change_scale(file, tensors) -> None:
    grid = tensors["conv2d_3/kernel"].quantization
    grid.scale = np.array(grid.scale) * np.float32([1] * 5 + [1.3] + [1] * (len(grid.scale) - 6))


def change_hair(file, tensors) -> None:
    """A scale moved by less than any code can show."""
    grid = tensors["conv2d_3/kernel"].quantization
    grid.scale = np.nextafter(np.array(grid.scale, np.float32), np.float32(1))


@pytest.mark.parametrize(("damage", "tensor", "layer"), [
    (change_weight, "conv2d_1/kernel", "conv2d_1"),
    (change_bias, "conv2d_2/bias", "conv2d_2"),
    (change_scale, "conv2d_3/kernel", "conv2d_3"),
    (change_hair, "conv2d_3/kernel", None),
])  # fmt: skip
def test_a_damaged_file_is_caught_and_named(model, tmp_path, damage: Callable, tensor: str, layer: str | None):
    converted = convert(model, tmp_path, conversion(int4=False, float32=False))
    damaged(converted.files["int8"], damage)
    result = verify(model, converted, *examples(), limits(), TASK)
    assert not result["passed"]
    assert f"model_int8.tflite does not hold the integer model's numbers in: {tensor}" in result["failures"]
    codes = [failure for failure in result["failures"] if failure.startswith("code_mismatch")]
    assert all(f"first in layer '{layer}' (CONV_2D), is above the limit 0:" in failure for failure in codes)
    assert len(codes) == (layer is not None)


def test_a_damaged_packed_file_is_caught(model, tmp_path):
    """Its kernels round differently, so the codes cannot tell; the stored numbers do."""
    converted = convert(model, tmp_path, conversion(float32=False))
    damaged(converted.files["int4"], change_bias)
    result = verify(model, converted, *examples(), limits(), TASK)
    expected = "model_int4.tflite does not hold the integer model's numbers in: conv2d_2/bias"
    assert result["failures"] == [expected]


def test_limits_are_respected(model, whole):
    converted, _ = whole
    half = lower(quantized(residual, seed=5)).integer_model
    other = Converted(converted.files, half, half, "narrow")
    result = verify(model, other, *examples(), limits(decision_agreement=1, metric_delta=0), TASK)
    text = " ".join(result["failures"])
    assert not result["passed"]
    assert "code_mismatch" in text and "decision_agreement" in text and "is below the limit 1:" in text
    agreement, delta = result["decision_agreement"], result["metric_delta"]
    kept = limits(code_mismatch=1.0, decision_agreement=agreement, metric_delta=delta)
    again = verify(model, other, *examples(), kept, TASK)
    assert [failure for failure in again["failures"] if not failure.startswith("model_")] == []


def test_files_of_another_network_than_the_trained_one(model, whole):
    """What training's own graph decides shares no number with the file, so it witnesses for the integer model too."""
    other = quantized(residual, seed=5)
    result = verify(other, whole[0], *examples(), limits(fake_quant_agreement=0.99), TASK)
    assert len(result["failures"]) == 1
    assert result["failures"][0].startswith("fake_quant_decision_agreement 0.")


def test_float_tensors_are_found():
    integer_model = lower(quantized(NETWORKS["padded_stride"])).integer_model
    content = write_tflite(integer_model, True, False, "test")
    assert float_tensors(content) == []
    file = schema.ModelT.InitFromPackedBuf(content, 0)
    file.subgraphs[0].tensors[3].type = schema.TensorType.FLOAT32
    builder = flatbuffers.Builder()
    builder.Finish(file.Pack(builder), file_identifier=b"TFL3")
    assert float_tensors(bytes(builder.Output())) == [file.subgraphs[0].tensors[3].name.decode()]


@pytest.mark.parametrize("io", ["float32", "int8"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_whole_file_holds_the_models_numbers(whole, io: str, packed: bool):
    model = whole[0].narrow_model
    assert stored_differently(write_tflite(model, io == "float32", packed, "any words"), model, packed) == []


def test_spread_codes_are_verified_too(model, tmp_path):
    converted = convert(model, tmp_path, conversion(weight_storage="scaled", float32=False))
    result = verify(model, converted, *examples(), limits(decision_agreement=1), TASK)
    assert result["passed"] and set(result["kernels"]) == {"xnnpack", "builtin", "int4"}
    codes = {int(code) for layer in result["layers"] if layer["weight_bits"] == 4 for code in layer["weight_codes"]}
    assert codes <= set(range(-7, 8)), "the table shows the codes, not how they are stored"


def test_a_float_network(tmp_path):
    model = network(residual)
    converted = convert(model, tmp_path, conversion())
    result = verify(model, converted, *examples(), limits(decision_agreement=1), TASK)
    assert result["passed"] and result["code_mismatch"] is None
    assert result["layers"] == [] and result["weight_bits"] == {} and set(result["metrics"]) == {"keras", "float32"}


def test_eight_bits_have_no_packed_file(tmp_path):
    model = quantized(residual, weight_bits=8, activation_bits=8)
    result = verify(model, convert(model, tmp_path, conversion()), *examples(), limits(), TASK)
    assert result["passed"] and set(result["kernels"]) == {"xnnpack", "builtin"}
    assert set(result["size_bytes"]) == {"int8", "float32"} and set(result["stored_differently"]) == {"int8"}


@pytest.mark.parametrize(("only", "agreement"), [("float32", 1.0), ("int4", 0.9)])
def test_without_the_int8_file(model, tmp_path, only: str, agreement: float):
    """The float file is compared with the float network of the same kernels, the packed one with the integer model."""
    wanted = {kind: kind == only for kind in ("int8", "int4", "float32")}
    converted = convert(model, tmp_path, conversion(**wanted))
    result = verify(model, converted, *examples(), limits(decision_agreement=agreement), TASK)
    assert result["passed"] and result["code_mismatch"] is None and set(result["size_bytes"]) == {only}


def test_layer_facts_know_which_tensor_differs(whole):
    model = whole[0].integer_model
    mismatches = {operation.output: 0.0 for operation in model.operations}
    mismatches[model.operations[3].output] = 0.25
    facts = layer_facts(model, model, mismatches)
    assert [fact["code_mismatch"] for fact in facts].index(0.25) == 3
