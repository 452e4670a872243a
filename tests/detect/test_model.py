"""A model is loaded only if it matches its sidecar, and computes what pipeline.tflite.litert computes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.detect import Detector
from pipeline.detect.network import AuNetwork, load_shipped
from pipeline.errors import UserError
from pipeline.quantization.integer_model import IntegerModel, Operation
from pipeline.tflite.litert import LiteRtModel
from pipeline.tflite.write import write_tflite
from tests.detect.detect_samples import MODEL, change, copied, write_model
from tests.quantization.integer_samples import tensor

KINDS = ("int8", "int4", "float32")
THREE = {"labels": ["AU1", "AU2", "AU12"], "thresholds": {"AU1": 0.5, "AU2": None, "AU12": 0.25}}


def crops(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def mean_network(float_io: bool) -> bytes:
    """A network whose logits are the means of the three colours, in sixteenths, shifted."""
    source, sink = tensor("in", (64, 64, 3), 1 / 255, -128), tensor("out", (3,), 1 / 16, 10)
    mean = Operation("MEAN", "mean", ("in",), "out", {"axes": (1, 2)})
    return write_tflite(IntegerModel({"in": source, "out": sink}, [mean], ("in",), ("out",)), float_io, False, "test")


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_the_verified_runner(kind: str):
    path = MODEL / f"model_{kind}.tflite"
    network, images = AuNetwork(load_shipped(path)), crops(5)
    expected = LiteRtModel(path.read_bytes()).logits(images)
    np.testing.assert_array_equal([network.logits(image) for image in images], expected)
    np.testing.assert_allclose(
        network.probabilities(images[0]), 1 / (1 + np.exp(-expected[0].astype(float))), rtol=1e-12
    )


@pytest.mark.parametrize("float_io", [True, False])
def test_quantized_and_float_inputs(tmp_path: Path, float_io: bool):
    content = mean_network(float_io)
    entry = {"height_width_channels": [64, 64, 3], "type": "float32" if float_io else "int8",
             "scale": float(np.float32(1 / 255)), "zero_point": -128}  # fmt: skip
    network = AuNetwork(load_shipped(write_model(tmp_path, content, input=entry, **THREE)))
    for image in crops(3) // 4:
        expected = np.rint(image.astype(np.int64).mean((0, 1)) / 255 * 16) / 16
        np.testing.assert_allclose(network.logits(image), expected, atol=1 / 16)


def test_a_folder_stands_for_its_int8_file():
    assert load_shipped(MODEL).path == MODEL / "model_int8.tflite"


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        Detector(path)
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_no_model(tmp_path: Path):
    assert_refused(tmp_path / "none.tflite", "no such model")
    assert_refused(tmp_path, "no such model")


def one_bit(folder: Path, place: int) -> None:
    content = bytearray((folder / "model_int8.tflite").read_bytes())
    content[place] ^= 1
    (folder / "model_int8.tflite").write_bytes(content)


@pytest.mark.parametrize(("damage", "words"), [
    (lambda folder: (folder / "model.json").unlink(), ["model.json", "missing"]),
    (lambda folder: one_bit(folder, 0), ["another sha256"]),
    (lambda folder: one_bit(folder, 5000), ["another sha256"]),
    (lambda folder: one_bit(folder, -1), ["another sha256"]),
    (lambda folder: shutil.copy(folder / "model_float32.tflite", folder / "model_int8.tflite"), ["another sha256"]),
])  # fmt: skip
def test_a_folder_whose_sidecar_does_not_vouch_for_the_file(tmp_path: Path, damage, words: list[str]):
    folder = copied(tmp_path)
    damage(folder)
    assert_refused(folder, *words)


def test_a_file_that_the_sidecar_does_not_name(tmp_path: Path):
    folder = copied(tmp_path)
    shutil.copy(folder / "model_int8.tflite", folder / "mine.tflite")
    assert_refused(folder / "mine.tflite", "not named in")


INPUT = json.loads((MODEL / "model.json").read_text())["input"]


@pytest.mark.parametrize(("changes", "word"), [
    ({"format": 2}, "format 2"), ({"task": "multiclass"}, "task"), ({"crop": None}, "no faces"),
    ({"crop": {"size": 48, "side": 3.2, "eye_line": 0.38, "grey": False}}, "input"),
    ({"crop": {"size": 64, "side": 3.2, "eye_line": 0.38}}, "grey"),
    ({"crop": {"size": 64, "side": -1.0, "eye_line": 0.38, "grey": False}}, "side"),
    ({"thresholds": {"AU1": 0.5}}, "AU2"), ({"thresholds": None}, "damaged"), ({"labels": []}, "labels"),
    ({"labels": ["AU1", "AU1"]}, "labels"), ({"input": {**INPUT, "height_width_channels": [64, 64, 1]}}, "input"),
    ({"files": []}, "not named"), ({"output": {"value": "probabilities in the order of labels"}}, "outputs: logits"),
])  # fmt: skip
def test_sidecars_that_are_wrong(tmp_path: Path, changes: dict, word: str):
    assert_refused(change(copied(tmp_path), **changes), word)


@pytest.mark.parametrize(("changes", "word"), [
    ({"labels": ["AU1", "AU2"], "thresholds": {"AU1": 0.5, "AU2": 0.5}}, "output is [1, 12], not [1, 2]"),
    ({"input": {**INPUT, "type": "int8"}}, "input is float32, not int8"),
    ({"input": {**INPUT, "height_width_channels": [32, 32, 3]},
      "crop": {"size": 32, "side": 3.2, "eye_line": 0.38, "grey": False}}, "input is [1, 64, 64, 3], not [1, 32, 32, 3]"),
])  # fmt: skip
def test_files_that_are_not_what_their_sidecar_says(tmp_path: Path, changes: dict, word: str):
    assert_refused(change(copied(tmp_path), **changes), "unlike its sidecar", word)


def test_another_scale_than_the_sidecar_says(tmp_path: Path):
    entry = {"height_width_channels": [64, 64, 3], "type": "int8", "scale": 0.01, "zero_point": -128}
    with pytest.raises(UserError, match=r"scale 0\.00392"):
        Detector(write_model(tmp_path, mean_network(False), input=entry, **THREE))


def test_a_file_that_is_no_network(tmp_path: Path):
    with pytest.raises(UserError, match="LiteRT cannot run it"):
        Detector(write_model(tmp_path, b"TFL3 is not enough" * 10))


def test_units_that_were_not_learned_are_left_out(tmp_path: Path):
    entry = {**INPUT, "height_width_channels": [64, 64, 3]}
    detector = Detector(write_model(tmp_path, mean_network(True), input=entry, **THREE))
    assert detector.thresholds == {"AU1": 0.5, "AU12": 0.25}
