"""The shipped files on an emulated ARM processor: bit-identical codes (make verify-arm compares more faces)."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import arm, arm_root, runtimes
from pipeline.runs.files import read_json, write_json
from tests.tflite.test_golden_vectors import CHECKER, FOLDER

emulated = pytest.mark.skipif(bool(arm_root.unavailable()), reason=arm_root.unavailable())


@emulated
def test_golden_vectors_on_arm():
    command, environment = arm_root.arm_command(arm_root.make_root(), str(CHECKER), str(FOLDER))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("as verified") == 3, done.stdout  # also the int4 file, unlike on x86


@emulated
def test_faces_on_arm(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = shutil.copytree(FOLDER, tmp_path / "synthetic_faces")  # without the float file: each costs some seconds
    (folder / "model_float32.tflite").unlink()
    sidecar = read_json(folder / "model.json")
    del sidecar["files"]["model_float32.tflite"]
    write_json(folder / "model.json", sidecar)
    assert arm.main(["--faces", "3", "--models", str(folder), "--output", str(tmp_path / "arm.json")]) == 0
    files = read_json(tmp_path / "arm.json")["models"]["synthetic_faces"]
    assert files["model_int8.tflite"]["outputs"] == 36 and files["model_int8.tflite"]["differing"] == 0
    assert files["model_int4.tflite"]["differing_from_int8_on_arm"] == 0
    assert "synthetic_faces/model_int8.tflite: 0 of 36 outputs differ" in capsys.readouterr().out


def test_other_codes_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def elsewhere(folder, images):
        found = arm.on_this_machine(folder, images)
        found["model_int8.tflite"]["outputs"] = found["model_int8.tflite"]["outputs"] + 1
        return found

    monkeypatch.setattr(arm, "on_arm", elsewhere)
    assert arm.main(["--faces", "1", "--output", str(tmp_path / "arm.json")]) == 1


def test_a_system_without_debians_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"error: the ARM emulation takes .* of Debian 12, which this system is not"):
        arm_root.make_root(tmp_path / "root")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were filled, each with one file only, and nothing run in them."""
    filled = []

    def fill(whole: Path) -> None:
        filled.append(whole)
        (whole / "emulator").write_text("")

    monkeypatch.setattr(arm_root, "unavailable", lambda: "")
    monkeypatch.setattr(arm_root, "_fill", fill)
    monkeypatch.setattr(arm_root, "_call", lambda *command, **options: "")
    return filled


def test_a_root_is_made_once_and_again_when_its_recipe_changes(bare: list[Path], tmp_path: Path):
    (tmp_path / "root-killed").mkdir()
    root = arm_root.make_root(tmp_path / "root")
    assert arm_root.make_root(root) == root and len(bare) == 1
    (root / arm_root.READY).write_text("another recipe")
    assert arm_root.make_root(root) == root and len(bare) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"root", "root.lock"}


def test_a_folder_with_other_files_is_left_alone(bare: list[Path], tmp_path: Path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "thesis.txt").write_text("all of it")
    with pytest.raises(SystemExit, match="was not made by this program"):
        arm_root.make_root(tmp_path / "root")
    assert (tmp_path / "root" / "thesis.txt").read_text() == "all of it"


def test_a_root_that_cannot_be_filled_leaves_the_old_one(
    bare: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = arm_root.make_root(tmp_path / "root")
    (root / arm_root.READY).write_text("another recipe")

    def fail(whole: Path) -> None:
        raise SystemExit("error: apt-get failed: no network")

    monkeypatch.setattr(arm_root, "_fill", fail)
    with pytest.raises(SystemExit, match="no network"):
        arm_root.make_root(root)
    assert (root / "emulator").exists() and {path.name for path in tmp_path.iterdir()} == {"root", "root.lock"}


@pytest.mark.parametrize(("arguments", "message"), [
    (["--models", "nowhere"], "nowhere: no model.json"),
    (["--faces", "0"], "--faces 0"),
    (["--output", "nowhere/arm.json"], "nowhere: no such folder"),
    (["--models", str(FOLDER), str(FOLDER)], "same name"),
])  # fmt: skip
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture):
    for program in (arm, runtimes):
        with pytest.raises(SystemExit) as ended:
            program.main(arguments)
        assert ended.value.code == 2 and message in capsys.readouterr().err


def test_a_model_without_an_int8_file_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = shutil.copytree(FOLDER, tmp_path / "float")
    for name in ("model_int8.tflite", "model_int4.tflite"):
        (folder / name).unlink()
    sidecar = read_json(folder / "model.json")
    sidecar["files"] = {key: facts for key, facts in sidecar["files"].items() if "_int" not in key}
    write_json(folder / "model.json", sidecar)
    with pytest.raises(SystemExit):
        arm.main(["--models", str(folder)])
    assert "no model_int8.tflite to compare" in capsys.readouterr().err


def test_the_table_of_three_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def browser(crops, spec, model):
        measured = arm.on_this_machine(model, crops)
        measured["model_int4.tflite"]["outputs"] = measured["model_int8.tflite"]["outputs"]
        return {name: {key: values.tolist() for key, values in facts.items()} for name, facts in measured.items()}

    monkeypatch.setattr(runtimes, "in_browser", browser)
    monkeypatch.setattr(runtimes, "on_arm", arm.on_this_machine)
    assert runtimes.main(["--faces", "2", "--output", str(tmp_path / "runtimes.json")]) == 0
    table = (tmp_path / "runtimes.md").read_text()
    assert table.count("| synthetic_faces |") == 9 and table in capsys.readouterr().out
    assert re.search(r"\| synthetic_faces \| int4 \| 164,792 \| x86 \| [12]\d of 24 \| \d", table)
    assert re.search(r"\| synthetic_faces \| int4 \| 164,792 \| Chromium \| 0 of 24 \| 0 \| \d+\.\d\d \| \d", table)
    assert "| int8 | 250,768 | ARM cortex-a76, emulated | 0 of 24 | 0 | – | – |" in table
