"""`ship` for networks of other ranges, inputs and outputs: what the sidecar says, and golden vectors that check themselves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from pipeline import UserError, convert, quantize, ship, verify
from pipeline.quantization.feed import values_of
from pipeline.tflite.ship import check_shipped
from tests.processes import ROOT
from tests.tflite.test_verify_outputs import COUNT, NETWORKS, PIXELS, QUICK, SHAPE, VALUES, outputs


def quantized(name: str, declared: tuple = (-1, 1)) -> tf_keras.Model:
    """One of the networks with random weights, for this range."""
    tf_keras.utils.set_random_seed(4)
    model = quantize(NETWORKS[name](), input_range=declared)
    values = values_of(PIXELS, declared)
    model([values, values[::-1]] if name == "two" else values, training=True)
    return model


def check_golden(folder: Path) -> str:
    """What the script for devices says of a shipped folder; it must be content."""
    script = ROOT / "tflite_out" / "check_golden.py"
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=120, check=True)
    assert "DIFFERS" not in done.stdout
    return done.stdout


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_a_regression_network_of_another_range(tmp_path: Path, io: str):
    model = quantized("numbers")
    files = convert(model, tmp_path / "files", io=io)
    truth = outputs(model).astype(np.float64)
    report = verify(model, files, VALUES, truth, **QUICK)
    ship(files, tmp_path / "net", report=report, task="regression", classes=["x", "y"])
    sidecar = check_shipped(tmp_path / "net")
    assert sidecar["input"] == {
        "height_width_channels": list(SHAPE), "type": io, "value": "pixel / 127.5 - 1", "range": [-1, 1],
        "scale": float(np.float32(1 / 127)), "zero_point": 0,
    }  # fmt: skip
    assert (
        sidecar["task"] == "regression" and sidecar["labels"] == ["x", "y"] and "numbers" in sidecar["output"]["value"]
    )
    card = (tmp_path / "net" / "MODEL_CARD.md").read_text()
    assert "R^2" in card and f"{COUNT} test images" in card and "2 numbers (x, y)" in card
    assert "model_int8.tflite: as verified; 0.00 %" in check_golden(tmp_path / "net")


def test_the_kind_of_a_network_follows_from_its_labels(tmp_path: Path):
    model = quantized("numbers", (0, 1))
    ship(model, tmp_path / "numbers", PIXELS, model(values_of(PIXELS)).numpy())
    assert check_shipped(tmp_path / "numbers")["task"] == "regression"
    model = quantized("map", (0, 255))
    ship(model, tmp_path / "map", PIXELS, np.zeros((COUNT, 8, 8), int))
    sidecar = check_shipped(tmp_path / "map")
    assert sidecar["task"] == "map" and sidecar["labels"] == ["0", "1", "2", "3"]
    assert (sidecar["input"]["value"], sidecar["input"]["scale"]) == ("pixel", 1)
    check_golden(tmp_path / "map")


def test_a_single_yes_or_no_has_a_threshold(tmp_path: Path):
    model = quantized("share")
    report = ship(model, tmp_path / "net", PIXELS, np.arange(COUNT) % 2, classes=["smile"])
    sidecar = check_shipped(tmp_path / "net")
    assert sidecar["task"] == "multilabel" and sidecar["thresholds"] == {"smile": 0.5}
    card = (tmp_path / "net" / "MODEL_CARD.md").read_text()
    assert "A multilabel network with 1 label (smile)." in card and "Accuracy on" in card
    assert report["metrics"]["int8"] is not None


def test_several_inputs_and_outputs_without_labels(tmp_path: Path):
    model = quantized("two")
    ship(model, tmp_path / "net", {"left": PIXELS, "right": PIXELS[::-1]})
    sidecar = check_shipped(tmp_path / "net")
    assert [entry["name"] for entry in sidecar["input"]] == ["left", "right"]
    assert sidecar["task"] == "several" and sidecar["labels"] == ["age", "kind"]
    golden = json.loads((tmp_path / "net" / "golden_vectors.json").read_text())
    facts = golden["files"]["model_int8.tflite"]
    assert facts["names"] == ["age", "kind"] and [np.shape(each) for each in facts["outputs"]] == [(8, 1), (8, 3)]
    assert len(golden["images"][0]) == 2 and golden["images"][0][0] != golden["images"][0][1]
    assert "model_int8.tflite: as verified; 0.00 % of 32 outputs differ" in check_golden(tmp_path / "net")
    card = (tmp_path / "net" / "MODEL_CARD.md").read_text()
    assert "undefined" in card and "A network with 2 outputs (age, kind)." in card
    with pytest.raises(UserError, match="one output; this one has age, kind"):
        ship(model, tmp_path / "other", {"left": PIXELS, "right": PIXELS}, classes=["a", "b"])


def test_the_checker_sees_a_wrong_range(tmp_path: Path):
    model = quantized("numbers")
    ship(model, tmp_path / "net", VALUES)
    path = tmp_path / "net" / "golden_vectors.json"
    golden = json.loads(path.read_text())
    golden["input"]["range"] = [0, 1]
    path.write_text(json.dumps(golden))
    with pytest.raises(subprocess.CalledProcessError):
        check_golden(tmp_path / "net")


def test_vectors(tmp_path: Path):
    """A network of dense layers alone, on measurements of any size."""
    tf_keras.utils.set_random_seed(5)
    network = tf_keras.Sequential([layers.Input((7,)), layers.Dense(12, activation="relu"), layers.Dense(1)])
    data = np.random.default_rng(6).uniform(-20, 35, (COUNT, 7)).astype(np.float32)
    model = quantize(network, input_range=(-20, 35))
    model(data, training=True)
    report = ship(model, tmp_path / "net", data, model(data).numpy())
    assert report["passed"] and report["code_mismatch"] == 0 and report["metrics"]["int8"] > 0.9
    entry = check_shipped(tmp_path / "net")["input"]
    assert (entry["shape"], entry["range"], entry["value"]) == ([7], [-20, 35], "values from -20 to 35")
    assert f"{COUNT} test examples" in (tmp_path / "net" / "MODEL_CARD.md").read_text()
    assert "as verified" in check_golden(tmp_path / "net")
