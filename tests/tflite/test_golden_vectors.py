"""Golden vectors: what a device must compute, and the script that compares."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.runs.files import read_json
from pipeline.tflite.described_inputs import Input
from pipeline.tflite.golden_vectors import COUNT, golden_images, golden_vectors, output_grid
from tests.detect.test_model import mean_network

FOLDER = Path(__file__).resolve().parents[2] / "tflite_out" / "synthetic_faces"
INPUTS = [Input("image", (64, 64, 3))]
CHECKER = FOLDER.parent / "check_golden.py"


def check(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, CHECKER, folder], capture_output=True, text=True, timeout=120)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "copy")


def test_the_shipped_vectors_are_what_is_written_today():
    contents = {path.name: path.read_bytes() for path in FOLDER.glob("model_*.tflite")}
    found = golden_vectors(contents, INPUTS)
    shipped = read_json(FOLDER / "golden_vectors.json")
    for name, expected in shipped["files"].items():
        np.testing.assert_allclose(found["files"][name].pop("outputs"), expected.pop("outputs"), rtol=0, atol=1e-4)
    assert found == shipped


@pytest.mark.parametrize("shape", [(64, 64, 3), (28, 28, 1), (33, 47, 3)])
def test_images_are_always_the_same_and_unlike_each_other(shape: tuple[int, int, int]):
    images = golden_images(COUNT, shape)
    assert images.shape == (COUNT, *shape) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, golden_images(COUNT, shape))
    assert len({image.tobytes() for image in images}) == COUNT and np.ptp(images) > 200


def test_outputs_are_codes_on_their_grid_that_differ_between_images():
    facts = read_json(FOLDER / "golden_vectors.json")["files"]["model_int8.tflite"]
    outputs = np.array(facts["outputs"])
    codes = outputs / facts["scale"] + facts["zero_point"]
    np.testing.assert_allclose(codes, codes.round(), atol=1e-4)
    assert codes.min() >= -128 and codes.max() <= 127
    assert (np.ptp(codes, axis=0) > 0).all() and facts["tolerance"] == 0
    assert output_grid((FOLDER / "model_float32.tflite").read_bytes()) is None


def test_the_checker_accepts_what_was_verified():
    done = check(FOLDER)
    assert done.returncode == 0, done.stderr
    assert "model_int8.tflite: as verified; 0.00 % of 96 outputs differ, by 0 at most" in done.stdout
    assert "model_float32.tflite: as verified" in done.stdout


def test_the_checker_sees_a_single_other_code(copy: Path):
    golden = read_json(copy / "golden_vectors.json")
    facts = golden["files"]["model_int8.tflite"]
    facts["outputs"][3][5] += facts["scale"]
    (copy / "golden_vectors.json").write_text(json.dumps(golden))
    done = check(copy)
    assert done.returncode == 1 and "model_int8.tflite: DIFFERS; 1.04 % of 96" in done.stdout


def test_the_checker_sees_another_network_and_a_damaged_one_and_goes_on(copy: Path):
    shutil.copyfile(copy / "model_float32.tflite", copy / "model_int8.tflite")
    (copy / "model_float32.tflite").write_bytes(b"TFL3" * 100)
    done = check(copy)
    assert done.returncode == 1
    assert done.stdout.count("is not the file that these golden vectors belong to") == 2
    assert "model_int4.tflite: other codes" in done.stdout


def test_an_app_ships_one_file(copy: Path):
    (copy / "model_float32.tflite").unlink()
    (copy / "model_int4.tflite").unlink()
    done = check(copy)
    assert done.returncode == 0 and "model_float32.tflite: not here" in done.stdout
    (copy / "model_int8.tflite").unlink()
    assert check(copy).returncode == 1


def test_a_file_that_does_not_run(copy: Path):
    broken = b"TFL3" * 100
    (copy / "model_float32.tflite").write_bytes(broken)
    golden = read_json(copy / "golden_vectors.json")
    golden["files"]["model_float32.tflite"]["sha256"] = hashlib.sha256(broken).hexdigest()
    (copy / "golden_vectors.json").write_text(json.dumps(golden))
    done = check(copy)
    assert done.returncode == 1 and "model_float32.tflite: does not run here" in done.stdout
    assert "model_int8.tflite: as verified" in done.stdout


def test_a_folder_without_golden_vectors(tmp_path: Path):
    done = check(tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("usage: ")


@pytest.mark.parametrize("float_io", [True, False])
def test_outputs_are_in_the_files_own_type(float_io: bool):
    facts = golden_vectors({"model_int8.tflite": mean_network(float_io)}, INPUTS)["files"]["model_int8.tflite"]
    outputs = np.array(facts["outputs"])
    codes = outputs / facts["scale"] + facts["zero_point"] if float_io else outputs
    expected = {"type": "float32" if float_io else "int8", "scale": 1 / 16, "zero_point": 10}
    assert facts.items() >= expected.items()
    np.testing.assert_array_equal(codes, codes.round())
    assert np.ptp(codes) > 0
