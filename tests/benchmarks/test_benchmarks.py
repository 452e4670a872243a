"""The benchmarks run and write what they promise, at a size of no meaning; what they measure is never asserted."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import inference, input_pipeline, training_step

ROOT = Path(__file__).resolve().parents[2]
NUMBER = r"\d+\.\d{3}"
BENCHMARKS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name != "__init__.py")


def read(path: Path) -> dict:
    """A result file, with what all of them hold checked."""
    result = json.loads(path.read_text())
    assert result["machine"]["packages"]["tensorflow"] and result["machine"]["cores"]
    return result


def test_training_step(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    for variant in ("W8/A8", "W2/A4", "W4/A4, residual same"):  # the same code with other numbers
        monkeypatch.delitem(training_step.VARIANTS, variant)
    path = tmp_path / "result.json"
    training_step.main(f"--rounds 1 --steps 1 --depth 8 --width 2 --output {path}".split())
    result = read(path)
    command = "python -m benchmarks.training_step --network resnet --rounds 1 --steps 1 --depth 8 --width 2"
    assert result["machine"]["command"] == command
    assert set(result["networks"]) == set(training_step.VARIANTS)
    for row in result["networks"].values():
        assert row["median_ms"] > 0 and row["p10"] <= row["over_float"] <= row["p90"]
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(rf"qat_over_float={NUMBER} tfmot8_over_float={NUMBER}", last_line)


def test_inference(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "result.json"
    inference.main(f"--runs 10 --depth 8 --width 4 --output {path}".split())
    result = read(path)
    assert set(result["size_bytes"]) == set(result["latency_ms"]) == {"int8", "int4", "float32"}
    assert result["size_bytes"]["int4"] < result["size_bytes"]["int8"]
    keys = ("int8_latency_over_float", "int8_size_over_float", "int4_size_over_float")
    line = " ".join(f"{key}={NUMBER}" for key in keys)
    assert re.fullmatch(line, capsys.readouterr().out.splitlines()[-1])
    assert set(keys) <= set(result["ratios"])


def test_input_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "")  # put back afterwards
    path = tmp_path / "result.json"
    input_pipeline.main(f"--frames 328 --batch-size 32 --folder {tmp_path} --output {path}".split())
    result = read(path)
    assert result["machine"]["command"] == "python -m benchmarks.input_pipeline --frames 328 --batch-size 32"
    assert result["index"]["frames"] == 328 and result["epoch"]["images"] == 320
    assert all(result[stage]["peak_gigabytes"] > 0.05 for stage in ("index", "prepare", "epoch"))
    line = f"index_seconds={NUMBER} peak_gigabytes={NUMBER} rate_over_decode={NUMBER}"
    assert re.fullmatch(line, capsys.readouterr().out.splitlines()[-1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_ratios_are_taken_round_by_round():
    times = {"float": np.array([[1, 2], [1, 2], [10, 20]]), "other": np.array([[3, 2], [1, 4], [20, 80]])}
    row = training_step.summary(times)["other"]
    assert (row["median_ms"], row["over_float"]) == (3, 2)  # the ratio of the medians would be 3
    assert row["processor_time_over_float"] == 2


def test_networks_take_turns_in_changing_order():
    calls = []
    steps = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    times = training_step.measure(steps, rounds=3, repeats=2)
    assert "".join(calls) == "aabbcc" + "bbccaa" + "ccaabb"
    assert {name: values.shape for name, values in times.items()} == dict.fromkeys("abc", (3, 2))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_each_says_how_to_run_it(path: Path):
    description = ast.get_docstring(ast.parse(path.read_text()))
    assert re.search(rf"^    python -m benchmarks\.{path.stem}( |$)", description, re.MULTILINE)
