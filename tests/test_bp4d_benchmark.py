"""The benchmark of the input pipeline runs and writes what it promises, at a size of no meaning."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import input_pipeline


def test_input_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "")  # put back afterwards
    path = tmp_path / "result.json"
    input_pipeline.main(f"--frames 328 --batch-size 32 --folder {tmp_path} --output {path}".split())
    result = json.loads(path.read_text())
    assert result["machine"]["command"] == "python -m benchmarks.input_pipeline --frames 328 --batch-size 32"
    assert result["index"]["frames"] == 328 and result["epoch"]["images"] == 320
    assert all(result[stage]["peak_gigabytes"] > 0.05 for stage in ("index", "prepare", "epoch"))
    number = r"\d+\.\d{3}"
    line = f"index_seconds={number} peak_gigabytes={number} rate_over_decode={number}"
    assert re.fullmatch(line, capsys.readouterr().out.splitlines()[-1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]
