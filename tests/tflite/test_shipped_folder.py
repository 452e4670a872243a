"""The model that comes with the project, and what `pipeline.tflite.ship` says of a folder damaged on its way."""

import json
from pathlib import Path

import pytest

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.action_units.thresholds import towards_default
from pipeline.config import config_hash, load_config
from pipeline.runs.files import read_json
from pipeline.tflite.ship import check_shipped, main
from tests.detect.detect_samples import MODEL, change, copied
from tests.processes import ROOT

FILES = json.loads((MODEL / "model.json").read_text())["files"]


def test_the_shipped_files_belong_together_and_to_the_configuration():
    sidecar = check_shipped(MODEL)
    assert sidecar["config_hash"] == config_hash(load_config(ROOT / "qat_configs" / "synthetic_faces.yaml"))
    assert sidecar["labels"] == [f"AU{number}" for number in AU_NUMBERS]
    assert set(sidecar["thresholds"]) == set(sidecar["labels"])
    farthest = towards_default(1.0, 4) - 0.5  # chosen on 4 subjects
    assert all(0 < abs(threshold - 0.5) < farthest for threshold in sidecar["thresholds"].values())
    assert {"model_int8.tflite", "model_int4.tflite", "model_float32.tflite"} <= set(sidecar["files"])


def test_the_shipped_model_is_exact_and_small():
    verification = read_json(MODEL / "verification.json")
    assert verification["passed"] and verification["code_mismatch"] == 0
    assert verification["decision_agreement"] >= 0.999
    assert verification["size_bytes"]["int8"] <= 300_000


def test_its_card_states_the_limits():
    card = (MODEL / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "RENDERED faces, not on people" in card and "not certified" in card


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def refusal(folder: Path, capsys: pytest.CaptureFixture) -> str:
    assert main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "Copy the whole folder again" in message and "--fresh" not in message
    return message


@pytest.mark.parametrize("facts", ["abc", None, 3, [], {}, {"sha256": None}, {"sha256": 7}])
def test_damaged_facts_of_a_file(folder: Path, facts: object, capsys: pytest.CaptureFixture):
    change(folder, files=FILES | {"model_int8.tflite": facts})
    assert f"{folder / 'model_int8.tflite'}: model.json is damaged" in refusal(folder, capsys)


@pytest.mark.parametrize("name", ["x", "a\0b", "x" * 5000])
def test_names_without_a_file(folder: Path, name: str, capsys: pytest.CaptureFixture):
    change(folder, files=FILES | {name: {"sha256": "abc"}})
    assert "missing, but listed in model.json" in refusal(folder, capsys)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_sidecar_that_is_no_json_object(folder: Path, content: bytes, capsys: pytest.CaptureFixture):
    (folder / "model.json").write_bytes(content)
    assert "damaged, not a JSON object" in refusal(folder, capsys)


@pytest.mark.parametrize("files", [None, [], "abc"])
def test_a_sidecar_without_files(folder: Path, files: object, capsys: pytest.CaptureFixture):
    change(folder, files=files)
    assert "it lists no files" in refusal(folder, capsys)


def test_a_folder_in_place_of_the_sidecar(folder: Path, capsys: pytest.CaptureFixture):
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    assert "directory" in refusal(folder, capsys)
