"""Real studies: several machines, killed processes, Ctrl-C, runs that fail; what they end with is the same."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.study.machines import place
from tests.reports.html_check import HtmlCheck
from tests.study.folder import BASE, write_study
from tests.study.running import (
    DEADLINE_SECONDS,
    ROOT,
    begin,
    everything,
    kill_one,
    study,
    wait_for,
)

THREE = """\
base: base.yaml
variants:
  baseline: []
  dropout: [{name: dropout}]
  label smoothing: [{name: label_smoothing}]
"""
DIVERGES = """\
base: base.yaml
variants:
  baseline: []
  diverges: {methods: [], set: {train.learning_rate: 1.0e+30}}
"""
NO_LAYER = """\
base: base.yaml
variants:
  baseline: []
  no layer: [{name: quantization, overrides: [{layers: nowhere, weight_bits: 8}]}]
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of three runs that nobody disturbed; one worker: all cores for every run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_study(folder, THREE)
    done = study(folder)
    assert done.returncode == 0, done.stderr
    return folder


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "studies" / "tiny" / "results.csv").open(newline="") as file:
        return {row["variant"]: row for row in csv.DictReader(file)}


def test_a_study_leaves_its_table_its_report_and_its_best_setting(undisturbed: Path):
    made, table = undisturbed / "studies" / "tiny", rows(undisturbed)
    assert {name: row["state"] for name, row in table.items()} == dict.fromkeys(
        ("baseline", "dropout", "label smoothing"), "done"
    )
    for row in table.values():
        scores = json.loads((made / row["run"] / "seed1" / "scores.json").read_text())
        assert float(row["accuracy"]) == scores["metrics"]["accuracy"]
    assert HtmlCheck((made / "report.html").read_text()).problems == []
    assert "name: tiny-best" in (made / "best.yaml").read_text()
    assert everything(undisturbed) == []


def test_a_finished_study_returns_at_once_and_a_changed_one_is_refused(undisturbed: Path, tmp_path: Path):
    folder = shutil.copytree(undisturbed, tmp_path / "copy")
    made = folder / "studies" / "tiny"
    before = {path: path.stat().st_mtime_ns for path in made.glob("runs/*/seed1/*")}
    logs = {path: path.stat().st_mtime_ns for path in made.glob("tuner/*/logs/*")}
    again = study(folder)
    assert (again.returncode, again.stderr) == (0, "")

    write_study(folder, THREE.partition("  dropout")[0])
    refused = study(folder)
    assert refused.returncode == 2
    assert "gone: variant dropout, variant label smoothing" in refused.stderr and "--extend" in refused.stderr
    extended = study(folder, "--extend")
    assert (extended.returncode, extended.stderr) == (0, "")
    assert list(rows(folder)) == ["baseline"]
    assert {path: path.stat().st_mtime_ns for path in made.glob("runs/*/seed1/*")} == before
    assert {path: path.stat().st_mtime_ns for path in made.glob("tuner/*/logs/*")} == logs


def test_killed_processes_on_two_machines_lose_nothing(undisturbed: Path, tmp_path: Path):
    made = tmp_path / "studies" / "tiny"
    write_study(tmp_path, THREE)
    address = place(1).environment("chief")
    first = begin(tmp_path, environment=address)
    wait_for(lambda: (made / "study.json").exists(), "the study's start")
    second = begin(tmp_path, environment={**address, "KERASTUNER_TUNER_ID": "other"})
    wait_for(lambda: len(list(made.glob("runs/*/seed1/metrics.jsonl"))) == 2, "two trainings")
    for module in ("pipeline.run", "pipeline.study.chief", "pipeline.study.worker"):
        kill_one(module, made)
    _, said = first.communicate(timeout=DEADLINE_SECONDS)
    assert first.returncode == 0, said
    _, other = second.communicate(timeout=DEADLINE_SECONDS)
    assert second.returncode == 0, other
    assert "the chief died and has been started again" in said
    assert "-1 died and has been started again" in said + other
    assert everything(tmp_path) == []

    table = made / "results.csv"
    assert table.read_bytes() == (undisturbed / "studies" / "tiny" / "results.csv").read_bytes()
    events = [json.loads(line) for path in made.glob("tuner/*/reports/*") for line in path.read_text().splitlines()]
    done = [event["run"] for event in events if event["event"] == "done"]
    assert len(done) == len(set(done)) == 3


def test_a_study_stops_when_asked_goes_on_and_names_what_failed(tmp_path: Path):
    made = tmp_path / "studies" / "tiny"
    write_study(tmp_path, DIVERGES)
    first = begin(tmp_path)
    wait_for(lambda: list(made.glob("runs/baseline-*/seed1/metrics.jsonl")), "the first epoch")
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=DEADLINE_SECONDS)
    assert first.returncode == 130, said
    assert "To resume, run the same command again:\n  python -m pipeline.study --config" in said
    assert everything(tmp_path) == []
    assert json.loads((made / "status.json").read_text())["state"] == "stopped"

    second = study(tmp_path)
    assert second.returncode == 1
    assert "1 of the runs did not finish" in second.stderr
    assert "diverges, seed 1, see " in second.stderr and "not finite" in second.stderr
    assert {name: row["state"] for name, row in rows(tmp_path).items()} == {"baseline": "done", "diverges": "failed"}
    assert everything(tmp_path) == []


def test_a_wrong_configuration_stops_the_study_at_once(tmp_path: Path):
    made = tmp_path / "studies" / "tiny"
    write_study(tmp_path, NO_LAYER, base=BASE.replace("epochs: 2", "epochs: 1000"))
    done = study(tmp_path, "--workers", "2")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: no layer, seed 1: ") and "nowhere" in done.stderr
    assert json.loads((made / "status.json").read_text())["state"] == "failed"
    assert everything(tmp_path) == []


def test_dry_run_goes_through_every_stage_and_keeps_nothing(tmp_path: Path):
    write_study(tmp_path, NO_LAYER)
    done = study(tmp_path, "--dry-run", "--workers", "2")
    assert done.returncode == 1
    assert "no layer, seed 1 (exit 2)" in done.stderr
    assert "baseline, seed 1: passed" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.yaml", "tiny.yaml"]


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
