"""What imports what: light modules stay free of TensorFlow, every module stands alone, every package is declared."""

import ast
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"tensorflow", "tf_keras", "keras", "tensorflow_datasets", "tensorflow_model_optimization"}
LIGHT = (
    "config", "run", "evaluation", "report", "run_folder", "run_files", "data.label_noise", "data.fetch", "deployment",
    "au_metrics", "au_thresholds", "au_intervals", "data.annotators", "data.au_noise", "data.au_set", "data.augmentation",
    "data.batches", "data.prefetch", "data.synthetic_faces", "data.synthetic_faces.writer",
    "data.bp4d", "data.record_images", "faces.crop",
    "faces.blazeface", "study", "study.config", "study.report", "study.runner", "study.best",
    "study.supervisor", "study.cell_run", "study.machines",
    "study.identity", "au_bits", "au_bits_search", "image_batches",
    "models.head_names", "quantization.layer_bits",
    "errors", "litert",
    "detect.detector", "detect.command", "faces.search", "faces.tracking", "latency", "quantization.integer_model", "tflite_writer",
)  # fmt: skip
ALONE = """
import os, sys, importlib
import pipeline, tensorflow, tf_keras, tensorflow_model_optimization  # the slow part, once
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        status = 1
        try:
            importlib.import_module(name)
            status = 0
        finally:
            if status: print("cannot import", name, sys.exc_info()[1], flush=True)
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def modules() -> list[str]:
    """Every module of the package by its full name."""
    return [found.name for found in pkgutil.walk_packages(pipeline.__path__, "pipeline.")]


def python(*arguments: str) -> subprocess.CompletedProcess:
    """A new interpreter in the root of the checkout."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)


def imported(importtime: str) -> set[str]:
    """The top-level packages in what `-X importtime` says."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in importtime.splitlines() if "|" in line}


def test_importtime_shows_what_it_should():
    assert imported(python("-X", "importtime", "-c", "import numpy.linalg").stderr) >= {"numpy", "importlib"}


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_do_not_import_tensorflow(module: str):
    done = python("-X", "importtime", "-c", f"import pipeline.{module}")
    assert done.returncode == 0, done.stderr
    assert "pipeline" in imported(done.stderr)
    assert not imported(done.stderr) & HEAVY


@pytest.mark.parametrize("arguments", [
    ["pipeline.run", "--help"],
    ["pipeline.run", "--config", "qat_configs/smoke.yaml", "--print-config"],
    ["pipeline.data.fetch", "--help"],
    ["pipeline.study", "--help"],
    ["pipeline.au_bits_search", "--help"],
    ["pipeline.data.synthetic_faces", "--help"],
    ["pipeline.deployment", "--help"],
    ["pipeline.detect", "--help"],
])  # fmt: skip
def test_quick_commands_do_not_import_tensorflow(arguments: list[str]):
    done = python("-X", "importtime", "-m", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not imported(done.stderr) & HEAVY


def test_every_module_can_be_the_first_one_imported():
    done = python("-W", "ignore", "-c", ALONE, *modules())
    assert done.returncode == 0, done.stdout


def top_level_imports(path: Path) -> set[str]:
    """The packages that a file imports anywhere, by the first part of their names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"pipeline", "benchmarks", "tests"}


def declared(*extras: str) -> set[str]:
    """The distributions that the installed package asks for, with those of some extras."""
    marks = [f'extra == "{extra}"' for extra in extras]
    lines = metadata.requires("nibble")
    wanted = [line for line in lines if "extra ==" not in line or any(mark in line for mark in marks)]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in wanted}


def normal(distribution: str) -> str:
    """A distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("pipeline", ("train",)), ("benchmarks", ("train",)), ("tests", ("train", "test")), ("pipeline/detect", ())],
)
def test_every_imported_package_is_declared(folder: str, extras: tuple[str, ...]):
    providers = metadata.packages_distributions()
    names = set().union(*(top_level_imports(path) for path in (ROOT / folder).rglob("*.py")))
    assert "numpy" in names
    undeclared = {
        name for name in names if not {normal(found) for found in providers.get(name, [])} & declared(*extras)
    }
    assert not undeclared, "add them to install_requires or extras_require in setup.py"


def test_an_installed_package_has_every_file(tmp_path: Path):
    done = python("setup.py", "-q", "build_py", "--build-lib", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "pipeline") == files_of(ROOT / "pipeline") > {"__init__.py", "reporting/report.css"}


def files_of(folder: Path) -> set[str]:
    """The files below a folder, without what Python caches."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}
