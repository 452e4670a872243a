"""Every YAML in qat_configs/ loads, tells what it is, and goes through every stage for real."""

import re
from pathlib import Path

import pytest

from pipeline.config import SCHEMA_FILE, load_config
from tests.data.bp4d_trees import Tree, write_tree
from tests.data.data_trees import write_cifar10
from tests.processes import ROOT, python

STUDIES = ("table1_", "study_")  # checked in tests/study/test_shipped.py
CONFIGS = sorted(path for path in (ROOT / "qat_configs").glob("*.yaml") if not path.name.startswith(STUDIES))
DRY = [path for path in CONFIGS if path.stem != "smoke"]  # tests/docs/test_readme.py runs that of smoke
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


@pytest.mark.parametrize("path", DRY, ids=[path.stem for path in DRY])
def test_a_dry_run_passes_and_leaves_nothing(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = ["-m", "pipeline.run", "--config", path, "--dry-run"]
    data = load_config(path).data.name
    if data in ("bp4d", "synthetic_faces"):
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    if data == "cifar10":
        write_cifar10(tmp_path, per_batch=32)
        command += ["--set", f"data.root={tmp_path}"]
    if data == "bp4d":  # at full size for minutes; ImageNet weights need the internet
        root = write_tree(tmp_path / "bp4d", Tree(frames=1))
        command += ["--set", f"data.root={root}", "--set", "data.image_size=80", "--set", "model.weights=none"]
    done = python(*command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dry run: ") and done.stdout.endswith("passed\n")
    assert not {"runs", "tflite_out", "tfds"} & {path.name for path in tmp_path.iterdir()}
