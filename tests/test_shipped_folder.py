"""python -m pipeline.deployment FOLDER: what it says of a folder that was damaged on its way."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.deployment import main
from tests.detect_samples import MODEL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "model"))


def refusal(folder: Path, capsys: pytest.CaptureFixture) -> str:
    assert main([str(folder)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "Copy the whole folder again" in message and "--fresh" not in message
    return message


@pytest.mark.parametrize("facts", ["abc", None, 3, [], {}, {"sha256": None}, {"sha256": 7}])
def test_facts_of_a_file_that_are_none(folder: Path, facts: object, capsys: pytest.CaptureFixture):
    values = json.loads((folder / "model.json").read_text())
    values["files"]["model_int8.tflite"] = facts
    (folder / "model.json").write_text(json.dumps(values))
    assert f"{folder / 'model_int8.tflite'}: model.json is damaged" in refusal(folder, capsys)


@pytest.mark.parametrize("name", ["x", "a\0b", "x" * 5000])
def test_names_of_no_file(folder: Path, name: str, capsys: pytest.CaptureFixture):
    values = json.loads((folder / "model.json").read_text())
    values["files"][name] = {"sha256": "abc"}
    (folder / "model.json").write_text(json.dumps(values))
    assert "missing, but named in model.json" in refusal(folder, capsys)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_sidecar_that_is_no_json_object(folder: Path, content: bytes, capsys: pytest.CaptureFixture):
    (folder / "model.json").write_bytes(content)
    assert "damaged, not a JSON object" in refusal(folder, capsys)


@pytest.mark.parametrize("files", [None, [], "abc"])
def test_a_sidecar_without_files(folder: Path, files: object, capsys: pytest.CaptureFixture):
    values = json.loads((folder / "model.json").read_text()) | {"files": files}
    (folder / "model.json").write_text(json.dumps(values))
    assert "it names no files" in refusal(folder, capsys)


def test_a_folder_in_place_of_the_sidecar(folder: Path, capsys: pytest.CaptureFixture):
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    assert "directory" in refusal(folder, capsys)
