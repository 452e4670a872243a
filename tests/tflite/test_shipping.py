"""`ship` for a network of no run: the folder is whole and checks itself; nothing is written where something is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

from pipeline import RunFailed, UserError, calibrate, convert, quantize, ship, verify
from pipeline.tflite.ship import check_shipped

CLASSES = ["left", "right", "up"]
LABELS = np.arange(60) % len(CLASSES)
IMAGES = np.random.default_rng(3).integers(0, 256, (60, 8, 8, 2), np.uint8)
INPUTS = IMAGES / 255


def network() -> tf_keras.Model:
    """A small float network."""
    tf_keras.utils.set_random_seed(4)
    return tf_keras.Sequential([
        kl.Input((8, 8, 2)), kl.Conv2D(4, 3), kl.ReLU(), kl.Conv2D(6, 3), kl.ReLU(), kl.Flatten(), kl.Dense(len(CLASSES)),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def model() -> tf_keras.Model:
    """The network, quantized and calibrated."""
    quantized = quantize(network())
    calibrate(quantized, INPUTS)
    return quantized


@pytest.fixture(scope="module")
def converted(model, tmp_path_factory):
    """(files with int8 input, their report)."""
    files = convert(model, tmp_path_factory.mktemp("files"), io="int8", float32=False)
    return files, verify(model, files, IMAGES, LABELS, latency_runs=10)


def test_a_model_is_converted_verified_and_described(model, tmp_path: Path):
    folder = tmp_path / "arrows"
    about = {"classes": CLASSES, "data": "drawn by hand", "data_license": "CC0", "limits": "circles"}
    report = ship(model, folder, IMAGES, LABELS, **about)
    sidecar = check_shipped(folder)
    assert report["passed"] and json.loads((folder / "verification.json").read_text())["code_mismatch"] == 0
    models = {"model_int8.tflite", "model_int4.tflite", "model_float32.tflite"}
    assert set(sidecar["files"]) == models | {"verification.json", "MODEL_CARD.md", "golden_vectors.json"}
    assert (sidecar["name"], sidecar["task"], sidecar["labels"]) == ("arrows", "multiclass", CLASSES)
    assert sidecar["input"]["height_width_channels"] == [8, 8, 2] and sidecar["input"]["type"] == "float32"
    golden = json.loads((folder / "golden_vectors.json").read_text())
    assert set(golden["files"]) == models
    assert np.shape(golden["files"]["model_int8.tflite"]["outputs"]) == (8, len(CLASSES))
    card = (folder / "MODEL_CARD.md").read_text()
    for text in ("# arrows", "drawn by hand; CC0", "Limits: circles", "4 bits in 1 layer, 8 bits in 2 layers"):
        assert text in card
    assert "0 of the output codes differ" in card and "None" not in card and "Seed" not in card


def test_converted_files_are_shipped_with_their_report_and_replace_older_ones(model, converted, tmp_path: Path):
    files, report = converted
    ship(model, tmp_path / "net", IMAGES, LABELS)
    assert ship(files, tmp_path / "net", report=report) is report
    sidecar = check_shipped(tmp_path / "net")  # also: no model file that is not listed
    assert sidecar["input"]["type"] == "int8" and sidecar["labels"] == ["0", "1", "2"]
    assert not (tmp_path / "net" / "model_float32.tflite").exists()


def test_files_may_be_converted_into_the_folder_itself(model, tmp_path: Path):
    files = convert(model, tmp_path / "net")
    ship(files, tmp_path / "net", report=verify(model, files, IMAGES, LABELS, latency_runs=10))
    check_shipped(tmp_path / "net")


def test_a_float_network_of_several_labels(tmp_path: Path):
    ship(network(), tmp_path / "net", IMAGES, np.eye(3, dtype=int)[LABELS])
    sidecar = check_shipped(tmp_path / "net")
    assert sidecar["task"] == "multilabel" and sidecar["thresholds"] == {"0": 0.5, "1": 0.5, "2": 0.5}
    assert "Weights: float" in (tmp_path / "net" / "MODEL_CARD.md").read_text()


def test_files_that_miss_their_limits_are_not_shipped(model, converted, tmp_path: Path):
    files, report = converted
    failed = {**report, "passed": False, "failures": ["metric_delta 3"]}
    with pytest.raises(RunFailed, match=r"NOT SHIPPED(.|\n)*metric_delta 3"):
        ship(files, tmp_path / "net", report=failed)
    assert not (tmp_path / "net").exists()


def test_the_network_of_a_run_or_of_another_name_is_not_replaced(model, tmp_path: Path):
    for name, content in (("run", {"name": "run", "config_hash": "01234567"}), ("old", {"name": "other"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(json.dumps(content))
        with pytest.raises(UserError, match=f"holds the network '{content['name']}'"):
            ship(model, tmp_path / name, IMAGES, LABELS)
        assert [path.name for path in (tmp_path / name).iterdir()] == ["model.json"]


WRONG = {
    "a model without images": (lambda model, files, report, to: ship(model, to), "images and labels to verify"),
    "a model with a report": (lambda model, files, report, to: ship(model, to, IMAGES, LABELS, report=report), "verify it"),
    "files without a report": (lambda model, files, report, to: ship(files, to), "report=report"),
    "files with images": (lambda model, files, report, to: ship(files, to, IMAGES, LABELS), "report=report"),
    "the report of other files": (
        lambda model, files, report, to: ship(files, to, report={**report, "files": {}}), "not of these files",
    ),
    "a folder that is none": (lambda model, files, report, to: ship(files, 5, report=report), "folder must be a path"),
    "a folder that is a file": (lambda model, files, report, to: ship(files, __file__, report=report), "not a folder"),
    "too few classes": (lambda model, files, report, to: ship(files, to, report=report, classes=["a"]), "3 different"),
    "a class twice": (lambda model, files, report, to: ship(files, to, report=report, classes=["a", "a", "b"]), "3 diff"),
    "an unknown field": (lambda model, files, report, to: ship(files, to, report=report, license="MIT"), "license"),
    "a task of another kind": (lambda model, files, report, to: ship(files, to, report=report, task="boxes"), "task"),
    "no network": (lambda model, files, report, to: ship("net.keras", to, IMAGES, LABELS), "not builtins.str"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_mistakes_are_user_errors_and_write_nothing(model, converted, tmp_path: Path, call, message: str):
    with pytest.raises(UserError, match=message):
        call(model, *converted, tmp_path / "net")
    assert not list(tmp_path.iterdir())
