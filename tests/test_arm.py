"""The shipped files on an emulated ARM processor: bit-identical codes (make verify-arm compares more faces)."""

import re
import subprocess
from pathlib import Path

import pytest

from benchmarks import arm, arm_root, runtimes
from pipeline.run_files import read_json
from tests.test_golden_vectors import CHECKER, FOLDER


def test_golden_vectors_on_arm():
    command, environment = arm_root.arm_command(arm_root.make_root(), str(CHECKER), str(FOLDER))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("as verified") == 3, done.stdout  # also the int4 file, unlike on x86


def test_faces_on_arm(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert arm.main(["--faces", "3", "--output", str(tmp_path / "arm.json")]) == 0
    files = read_json(tmp_path / "arm.json")["models"]["synthetic_faces"]
    assert files["model_int8.tflite"]["outputs"] == 36 and files["model_int8.tflite"]["differing"] == 0
    assert files["model_int4.tflite"]["differing_from_int8_on_arm"] == 0
    assert files["model_float32.tflite"]["largest"] < 1e-4
    assert "synthetic_faces/model_int8.tflite: 0 of 36 outputs differ" in capsys.readouterr().out


def test_other_codes_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def elsewhere(folder, images):
        found = arm.on_this_machine(folder, images)
        found["model_int8.tflite"]["outputs"] = found["model_int8.tflite"]["outputs"] + 1
        return found

    monkeypatch.setattr(arm, "on_arm", elsewhere)
    assert arm.main(["--faces", "1", "--output", str(tmp_path / "arm.json")]) == 1


def test_a_machine_without_debians_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get is missing: the ARM emulation takes"):
        arm_root.make_root(tmp_path / "root")
    assert not (tmp_path / "root").exists()


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
