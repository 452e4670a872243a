"""What README.md, CONTRIBUTING.md and docs/ say works: commands are run, configurations loaded, tables and links compared."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import load_config
from pipeline.data.synthetic_faces.sequences import TASKS
from pipeline.methods import Dropout, EarlyStopping, LabelSmoothing, Pruning, Quantization, WeightDecay
from pipeline.models.resnet import resnet
from pipeline.study.config import load_study
from tests.config.config_samples import load_text

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"
MAX_README_LINES = 170
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
METHODS = (Dropout, EarlyStopping, LabelSmoothing, Pruning, Quantization, WeightDecay)
LONG = tuple(f"qat_configs/{name}.yaml" for name in ("synthetic_faces", "bp4d", "fashion_mnist", "cifar10"))


def blocks(language: str, text: str = README) -> list[str]:
    """The contents of the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    """Every line of the shell blocks of a page, split as a shell does."""
    lines = "".join(blocks("sh", path.read_text(encoding="utf-8"))).splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def everything() -> list[list[str]]:
    """The commands of all pages in their order, each once."""
    return [list(words) for words in dict.fromkeys(tuple(command) for path in PAGES for command in commands(path))]


MAKE = [command for command in everything() if command[0] == "make"]
PYTHON = [command for command in everything() if command[:2] == ["python", "-m"]]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    """A command in a folder outside the checkout, with this interpreter as its `python`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    outer = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    environment = {**outer, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


def shortened(command: list[str]) -> list[str]:
    """The command itself, or, where it would run for minutes, one that checks its arguments."""
    if command[2].startswith(("benchmarks.", "pipeline.study", "pipeline.au_bits_search", "pipeline.detect")):
        return [*command, "--help"]
    return [*command, "--print-config"] if any(word in LONG for word in command) else command


def test_the_two_commands_come_first():
    assert [command[:2] for command in commands(ROOT / "README.md")[:2]] == [["make", "run"], ["make", "test"]]


def test_every_command_is_of_a_kind_that_is_tested_here():
    assert len(MAKE) + len(PYTHON) == len(everything())


@pytest.mark.parametrize("command", MAKE, ids=" ".join)
def test_make_has_the_target(command: list[str]):
    done = run([*command, "--dry-run", "--always-make", "--directory", str(ROOT)], ROOT)
    assert done.returncode == 0, done.stderr
    makes = ["npm ci", "npm run build"] if "web" in command else ["-m venv .venv", "-m pip install"]
    assert all(part in done.stdout for part in makes)


def test_make_run_leaves_the_tracked_model_alone():
    """It ships to a folder that git ignores, under no other name than the file's with another configuration."""
    dry_run = ["make", "--dry-run", "run"]
    assert "synthetic_faces.yaml --name demo" in run(dry_run, ROOT).stdout
    assert "--name other" in run([*dry_run, "NAME=other"], ROOT).stdout
    assert (
        "--name demo"
        in run(["env", "NAME=computer", *dry_run, "CONFIG=./qat_configs/synthetic_faces.yaml"], ROOT).stdout
    )
    assert "--name" not in run([*dry_run, "CONFIG=qat_configs/smoke.yaml"], ROOT).stdout
    written = ["tflite_out/demo/model.json", "tflite_out/.demo.lock", "tflite_out/.synthetic_faces.lock", "runs/demo-0"]
    ignored = subprocess.run(["git", "check-ignore", *written], cwd=ROOT, capture_output=True, text=True, check=False)
    if ignored.returncode != 128:  # 128: not a checkout
        assert ignored.stdout.split() == written


def test_make_run_trains_on_rendered_faces_and_make_test_brings_its_data():
    assert "-m pipeline.run --config qat_configs/synthetic_faces.yaml" in run(["make", "--dry-run", "run"], ROOT).stdout
    test = run(["make", "--dry-run", "test"], ROOT).stdout
    assert test.index("-m pipeline.data.fetch fashion_mnist") < test.index("-m pytest")


def test_make_alone_lists_the_targets():
    done = run(["make"], ROOT)
    assert {"run", "test", "web", "lint", "docs", "clean"} <= set(re.findall(r"make ([\w-]+)", done.stdout))


def test_make_names_a_python_that_it_cannot_use(tmp_path: Path):
    done = run(["make", "lint", "PYTHON=python0", f"VENV={tmp_path / 'venv'}"], ROOT)
    assert done.returncode == 2
    assert "'python0' is missing" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_ci_checks_style_documentation_and_code():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-3:] == ["make lint", "make docs", "make test"]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= MAX_README_LINES


def test_every_configuration_of_a_command_exists():
    named = {word for command in PYTHON for word in command if word.endswith(".yaml")}
    assert len(named) > 2 and all((ROOT / name).is_file() for name in named)


def test_the_python_commands_run_in_their_order(tmp_path: Path):
    (tmp_path / "qat_configs").symlink_to(ROOT / "qat_configs")
    assert PYTHON
    for command in PYTHON:
        done = run(shortened(command), tmp_path)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
    assert any({"qat_configs/smoke.yaml", "--dry-run"} <= set(command) for command in PYTHON)
    assert (tmp_path / "tflite_out" / "smoke" / "model_int4.tflite").exists()


def test_the_example_configurations_load(tmp_path: Path):
    (experiment, *_), studies = blocks("yaml"), (DOCS / "studies.md").read_text(encoding="utf-8")
    load_text(tmp_path, experiment)
    whole, search = blocks("yaml", studies)
    head = "base: fashion_mnist.yaml\n"
    for text, kind in ((blocks("yaml")[1], "grid"), (whole, "grid"), (head + search, "bayesian")):
        (tmp_path / "study.yaml").write_text(text.replace("base: ", f"base: {ROOT}/qat_configs/"))
        assert load_study(tmp_path / "study.yaml").search.kind == kind


def test_the_python_example_gives_a_verified_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (text,) = blocks("python")
    assert len(text.splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    resnet((8, 8, 1), 3, depth=8, width=2).save("float.keras")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (64, 8, 8, 1), np.uint8), rng.integers(0, 3, 64)
    names = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    exec(compile(text, "README.md", "exec"), names)
    assert {path.name for path in Path("folder").iterdir()} >= {"model_int8.tflite", "model_int4.tflite"}
    assert names["report"]["code_mismatch"] == 0 and names["report"]["examples"] == len(images)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_the_method_table_has_the_defaults(method: type):
    name = method.model_fields["name"].default
    assert f"`{name}`" in README
    (row,) = re.findall(rf"^\| `{name}` \| (.+) \|$", (DOCS / "label_noise.md").read_text("utf-8"), re.MULTILINE)
    shown = dict(re.findall(r"`(\w+)` \(([^)]+)\)", row))
    assert shown
    assert shown == {field: str(method.model_fields[field].default).removesuffix(".0") for field in shown}


def test_the_option_table_of_studies_has_every_option():
    done = run(["python", "-m", "pipeline.study", "--help"], ROOT)
    options = set(re.findall(r"--[a-z-]+", done.stdout)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", (DOCS / "studies.md").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "qat_configs").glob("*.yaml"))], ids=lambda page: page.name)
def test_no_number_is_missing(page: Path):
    assert not re.findall(
        r"\b(?:MEASURED|RESULTS)_\w+|TIME_ESTIMATE|@[A-Z_]+@|TO BE MEASURED", page.read_text(encoding="utf-8")
    )


def test_the_readme_shows_the_kind_of_the_default_run(tmp_path: Path):
    shown, shipped = load_text(tmp_path, blocks("yaml")[0]), load_config(ROOT / LONG[0])
    assert (shown.data.name, shown.noise.kind) == (shipped.data.name, shipped.noise.kind)
    assert (shown.model.name, shown.model.encoder) == (shipped.model.name, shipped.model.encoder)
    faces = shipped.data.subjects * len(TASKS) * shipped.data.frames
    assert f"`make run` renders {faces:,} faces of {shipped.data.subjects} subjects" in README
