"""Every YAML in qat_configs/ loads, tells what it is, and goes through every stage for real."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import SCHEMA_FILE, load_config
from tests.bp4d_trees import Tree, write_tree
from tests.data_trees import write_cifar10

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ("table1_", "study_")  # checked in test_shipped_studies.py
CONFIGS = sorted(path for path in (ROOT / "qat_configs").glob("*.yaml") if not path.name.startswith(STUDIES))
LINES = 30

shipped = pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])


def header(path: Path) -> str:
    """The comment lines at the top of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))])


def test_the_promised_configurations_are_there():
    assert {path.stem for path in CONFIGS} >= {"bp4d", "cifar10", "fashion_mnist", "smoke", "synthetic_faces"}


@shipped
def test_it_loads_under_its_own_name(path: Path):
    assert load_config(path).name == path.stem


@shipped
def test_it_is_short(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES


@shipped
def test_its_header_gives_command_time_and_result(path: Path):
    found = dict(re.findall(r"^# (Command|Time|Result) +(.+)$", header(path), re.MULTILINE))
    assert found["Command"] == f"python -m pipeline.run --config qat_configs/{path.name}"
    assert re.search(r"\d+(\.\d+)? (seconds|minutes|hours|days)", found["Time"])
    assert found["Result"]


@shipped
def test_editors_are_pointed_at_the_schema(path: Path):
    assert header(path).startswith(f"# yaml-language-server: $schema={SCHEMA_FILE.name}\n")


def test_cifar10_is_the_papers_setting():
    experiment = load_config(ROOT / "qat_configs" / "cifar10.yaml")
    (method,) = experiment.methods
    assert (experiment.model.depth, experiment.train.epochs, experiment.train.optimizer) == (20, 200, "adam")
    assert (experiment.noise.kind, experiment.noise.rate, experiment.seeds) == ("uniform", 0.4, [1, 2, 3, 4, 5])
    assert (method.weight_bits, method.activation_bits, method.first_last_bits) == (4, 4, 8)
    assert experiment.baseline


@shipped
def test_a_dry_run_passes(path: Path, tmp_path: Path):
    command = [sys.executable, "-m", "pipeline.run", "--config", str(path), "--dry-run"]
    data = load_config(path).data.name
    if data == "cifar10":
        write_cifar10(tmp_path, per_batch=32)
        command += ["--set", f"data.root={tmp_path}"]
    if data == "bp4d":  # at full size for minutes; ImageNet weights need the internet
        root = write_tree(tmp_path / "bp4d", Tree(tasks=[f"T{number}" for number in range(1, 9)], frames=1))
        command += ["--set", f"data.root={root}", "--set", "data.image_size=80", "--set", "model.weights=none"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dry run: ") and done.stdout.endswith("passed\n")
    assert not (tmp_path / "runs").exists() and not (tmp_path / "tflite_out").exists()
