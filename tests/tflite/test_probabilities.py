"""Networks that end in softmax or sigmoid: logits or probabilities by choice, the same from all files."""

from pathlib import Path

import numpy as np
import pytest
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers as kl

from pipeline import load_config, run
from pipeline.errors import UserError
from pipeline.models.final import finals_of, without_final
from pipeline.quantization.scheme import quantize
from pipeline.tflite.convert import convert
from pipeline.tflite.described_inputs import Input
from pipeline.tflite.golden_vectors import golden_vectors
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.probabilities import logits_file, probabilities
from pipeline.tflite.ship import Shipment, sidecar
from pipeline.tflite.verify import verify
from pipeline.tflite.write import pack
from tests.processes import ROOT
from tests.tflite.test_deployment import SHIPMENT

ENDS = {
    "inline softmax": (lambda x: kl.Dense(3, activation="softmax", name="logits")(x), "softmax"),
    "a Softmax layer": (lambda x: kl.Softmax()(kl.Dense(3)(x)), "softmax"),
    "an Activation called probabilities": (
        lambda x: kl.Activation("sigmoid", name="probabilities")(kl.Dense(3)(x)), "sigmoid",
    ),
    "a nested network": (
        lambda x: tf_keras.Sequential([kl.Input((4,)), kl.Dense(3, activation="sigmoid")])(x), "sigmoid",
    ),
}  # fmt: skip


def network(end) -> tf_keras.Model:
    """A small network of images 8 x 8 that ends in `end`."""
    tf_keras.utils.set_random_seed(3)
    image = tf_keras.Input((8, 8, 1))
    x = kl.ReLU()(kl.Conv2D(4, 3)(kl.ReLU()(kl.Conv2D(4, 3)(image))))
    return tf_keras.Model(image, end(kl.GlobalAveragePooling2D()(x)))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)


def trained(end) -> tf_keras.Model:
    model = quantize(network(end))
    model(images(32) / np.float32(255), training=True)
    return model


def verified(model, converted, kind: str) -> dict:
    labels = np.arange(40) % 3
    labels = labels if kind == "softmax" else np.eye(3, dtype=int)[labels]
    return verify(model, converted, images(40), labels, latency_runs=10, metric_delta=100)


@pytest.mark.parametrize(("end", "kind"), ENDS.values(), ids=ENDS)
def test_all_files_return_what_was_asked_for(end, kind: str, tmp_path: Path):
    model, batch = trained(end), images(40)
    logits, shares = (convert(model, tmp_path / name, outputs=name) for name in ("logits", "probabilities"))
    for file in ("int8", "int4", "float32"):
        contents = [converted.files[file].read_bytes() for converted in (logits, shares)]
        signatures = [Interpreter(model_content=content).get_signature_list() for content in contents]
        assert [each["serving_default"]["outputs"] for each in signatures] == [["output"], ["probabilities"]]
        values, found = (LiteRtModel(content).run(batch)[0] for content in contents)
        assert (values < 0).any()
        np.testing.assert_allclose(found, probabilities(values, kind), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(LiteRtModel(logits_file(contents[1])).run(batch)[0], values)
    for converted in (logits, shares):
        report = verified(model, converted, kind)
        assert report["failures"] == [] and report["code_mismatch"] == 0
    assert report["outputs"] == "probabilities" and report["probability_difference"] < 1e-6


def test_wrong_probabilities_fail_the_verification(tmp_path: Path):
    model = trained(ENDS["inline softmax"][0])
    converted = convert(model, tmp_path, outputs="probabilities")
    file = schema.ModelT.InitFromPackedBuf(converted.files["int8"].read_bytes(), 0)
    file.subgraphs[0].operators[-1].builtinOptions.beta = 1.5
    converted.files["int8"].write_bytes(pack(file))
    failures = verified(model, converted, "softmax")["failures"]
    assert any("probabilities differ" in failure for failure in failures)


def test_a_float_network_has_the_same_choice(tmp_path: Path):
    model = network(ENDS["inline softmax"][0])
    for name in ("logits", "probabilities"):
        converted = convert(model, tmp_path, outputs=name)
        found = LiteRtModel(converted.files["float32"].read_bytes()).run(images(40))[0]
        sums = found.sum(axis=-1)
        assert np.allclose(sums, 1, atol=1e-5) == (name == "probabilities")
        assert verified(model, converted, "softmax")["decision_agreement"] == 1


def test_probabilities_need_a_last_softmax_or_sigmoid_and_float_outputs(tmp_path: Path):
    with pytest.raises(UserError, match="does not end in softmax or sigmoid"):
        convert(trained(lambda x: kl.Dense(3)(x)), tmp_path, outputs="probabilities")
    with pytest.raises(UserError, match="io: float32"):
        convert(trained(ENDS["inline softmax"][0]), tmp_path, outputs="probabilities", io="int8")


def test_a_run_whose_network_returns_logits_says_so_before_it_trains(tmp_path: Path):
    sets = ("data.train_examples=128", "data.test_examples=40", "convert.outputs=probabilities")
    with pytest.raises(UserError, match="does not end in softmax or sigmoid"):
        run(load_config(ROOT / "qat_configs" / "smoke.yaml", sets), tmp_path)
    assert list(tmp_path.rglob("status.json")) and not list(tmp_path.rglob("metrics.jsonl"))


@pytest.mark.parametrize(("end", "kind"), ENDS.values(), ids=ENDS)
def test_the_network_without_its_end(end, kind: str):
    model, batch = network(end), images(5) / np.float32(255)
    assert finals_of(model) == (kind,) and finals_of(without_final(model)) == (None,)
    np.testing.assert_allclose(model(batch), probabilities(without_final(model)(batch).numpy(), kind), atol=1e-6)


OTHER_ENDS = {
    "over another axis": lambda x: kl.Softmax(axis=1)(kl.Reshape((3, 1))(kl.Dense(3)(x))),
    "inside of a recurrent layer": lambda x: kl.LSTM(3, activation="sigmoid")(kl.Reshape((2, 2))(x)),
    "a layer as activation": lambda x: kl.Dense(3, activation=kl.Softmax())(x),
    "a function": lambda x: kl.Dense(3, activation=lambda y: y * 2)(x),
    "nothing": lambda x: kl.Dense(3)(x),
}


@pytest.mark.parametrize("end", OTHER_ENDS.values(), ids=OTHER_ENDS)
def test_another_end_is_left_alone(end):
    model = network(end)
    assert finals_of(model) == (None,) and without_final(model) is model


def test_sidecar_and_golden_vectors_say_which(tmp_path: Path):
    model = trained(ENDS["inline softmax"][0])
    for name, tolerance in (("logits", 0), ("probabilities", 1e-5)):
        shipment = Shipment(**{**vars(SHIPMENT), "outputs": name})
        assert sidecar(shipment, {}, {})["output"]["value"].startswith(name)
        content = convert(model, tmp_path, outputs=name).files["int8"].read_bytes()
        facts = golden_vectors({"model_int8.tflite": content}, [Input("image", (8, 8, 1))])["files"][
            "model_int8.tflite"
        ]
        assert facts["tolerance"] == tolerance and ("scale" in facts) == (name == "logits")
