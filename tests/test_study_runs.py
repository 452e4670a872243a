"""A real study: its runs are processes of their own, it can be stopped, resumed, and one run may fail."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.html_check import HtmlCheck

ROOT = Path(__file__).resolve().parents[1]
BASE = """\
data: {name: fashion_mnist, train_examples: 320, test_examples: 60}
noise: {kind: uniform, rate: 0.4}
model: {name: resnet20, depth: 8, width: 4}
train: {epochs: 2, batch_size: 32, statistics_batches: 2}
verify: {latency_runs: 5, decision_agreement: 0.5, fake_quant_agreement: 0.0, metric_delta: 100}
"""
STUDY = """\
base: base.yaml
variants:
  baseline: []
  W4/A4: [{name: quantization}]
  no layer: [{name: quantization, overrides: [{layers: nowhere, weight_bits: 8}]}]
"""
DEADLINE_SECONDS = 240


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "tiny.yaml").write_text(STUDY)
    return tmp_path


def command(folder: Path, *options: str) -> list[str]:
    arguments = ["--config", str(folder / "tiny.yaml"), "--output-dir", str(folder), *options]
    return [sys.executable, "-m", "pipeline.study", *arguments]


def study(folder: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(folder, *options), cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS)


def wait_for(pattern: str, folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"{pattern} did not appear"
        time.sleep(0.1)


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return {row["variant"]: row for row in csv.DictReader(file)}


def running(folder: Path) -> list[str]:
    """The runs of a study whose lock names a living process."""
    alive = []
    for lock in folder.glob("runs/*/.lock"):
        try:
            os.kill(int(lock.read_text()), 0)
            alive.append(lock.parent.name)
        except (ProcessLookupError, ValueError):
            continue
    return alive


def test_a_study_stops_resumes_and_survives_a_run_that_fails(folder: Path):
    made = folder / "studies" / "tiny"
    first = subprocess.Popen(command(folder, "--workers", "2"), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_for("runs/baseline-*/seed1/metrics.jsonl", made)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=DEADLINE_SECONDS)
    assert first.returncode == 130, said
    assert "The same command goes on from here:\n  python -m pipeline.study --config" in said
    assert running(made) == []
    assert json.loads((made / "status.json").read_text())["state"] == "stopped"

    second = study(folder, "--workers", "2")
    assert second.returncode == 1
    assert "no layer, seed 1 (exit 2, see " in second.stderr and "nowhere" in second.stderr
    table = rows(made)
    assert {name: row["state"] for name, row in table.items()} == {
        "baseline": "done",
        "W4/A4": "done",
        "no layer": "failed",
    }
    for name in ("baseline", "W4/A4"):
        scores = json.loads((made / table[name]["run"] / "seed1" / "scores.json").read_text())
        assert float(table[name]["accuracy"]) == scores["metrics"]["accuracy"]
        assert float(table[name]["train_noisy_fit"]) == scores["train_noisy_fit"]
    size = (made / table["W4/A4"]["run"] / "seed1" / "model_int8.tflite").stat().st_size
    assert int(table["W4/A4"]["int8_bytes"]) == size
    assert HtmlCheck((made / "report.html").read_text()).problems == []
    assert "1 of 3 runs are missing, 1 of them failed" in (made / "report.md").read_text()

    (folder / "tiny.yaml").write_text(STUDY.partition("  no layer")[0])
    before = {path: path.stat().st_mtime_ns for path in made.glob("runs/*/seed1/*")}
    third = study(folder)
    assert (third.returncode, third.stderr) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in made.glob("runs/*/seed1/*")} == before
    assert list(rows(made)) == ["baseline", "W4/A4"]
    assert "missing" not in (made / "report.md").read_text()


def test_dry_run_goes_through_every_stage_and_keeps_nothing(folder: Path):
    (folder / "tiny.yaml").write_text(STUDY.replace("  W4/A4: [{name: quantization}]\n", ""))
    done = study(folder, "--dry-run", "--workers", "2")
    assert done.returncode == 1
    assert "no layer, seed 1 (exit 2)" in done.stderr
    assert "baseline, seed 1: done" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["base.yaml", "tiny.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["--config", "qat_configs/table1_synthetic.yaml", "--workers", "0"], "--workers 0: give 1 or more"),
    ],
)
def test_wrong_input_exits_2_without_traceback(arguments: list[str], message: str):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.study", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and message in done.stderr and "Traceback" not in done.stderr
