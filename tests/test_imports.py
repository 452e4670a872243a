"""What imports what: light modules stay free of TensorFlow, every module stands alone, every package is declared."""

import ast
import json
import pkgutil
import re
import sys
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

import pytest

import pipeline
from tests.processes import ROOT, imported, python

HEAVY = {"tensorflow", "tf_keras", "keras", "tensorflow_datasets", "tensorflow_model_optimization"}
LIGHT = {  # what must not import TensorFlow, by the reason
    "commands answer --help at once": ["run", "au_bits.search", "tflite.ship", "data.fetch", "data.synthetic_faces"],
    "a mistake is reported before TensorFlow is loaded": [
        "config.*", "runs.*", "methods.*", "study.best", "study.cell_run", "study.config", "study.machines", "study.manifest",
        "study.runner", "study.supervisor",
    ],
    "chief and workers train nothing": ["study.chief", "study.worker", "study.oracle"],
    "reports read files": ["reports.*", "training.selection"],
    "a device has no TensorFlow": ["detect.*", "faces.*", "action_units.*"],
    "data are arrays": [
        "data.label_noise", "data.batches", "data.augmentation", "data.bp4d", "data.records",
        "data.synthetic_faces.writer", "data.synthetic_faces.workers",
    ],
    "the integer model is NumPy": [
        "quantization.integer_model", "quantization.plan", "quantization.settings", "tflite.write", "tflite.litert",
        "tflite.settings",
    ],
}  # fmt: skip
ALONE = """
import os, sys, importlib
import pipeline, tensorflow, tf_keras, pipeline.quantization.tfmot  # the slow part, once: libraries
if "keras" in sys.modules: sys.exit("a training imports Keras 3")
import cv2, jinja2, keras_tuner, matplotlib.figure, numba, pandas, pydantic, rich.progress, scipy.stats, sklearn.metrics
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

COMMANDS = [
    ["pipeline.run", "--help"],
    ["pipeline.run", "--config", "qat_configs/smoke.yaml", "--print-config"],
    *([name, "--help"] for name in (
        "pipeline.data.fetch", "pipeline.study", "pipeline.au_bits_search", "pipeline.data.synthetic_faces",
        "pipeline.deployment", "pipeline.detect",
    )),
]  # fmt: skip
QUICK = """
import io, json, os, runpy, sys
from contextlib import redirect_stdout
import numpy, pydantic, yaml, rich
HEAVY = set(sys.argv[2].split(","))
for command in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        said, code = io.StringIO(), None
        sys.argv = command
        try:
            with redirect_stdout(said):
                runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
        heavy = {name.partition(".")[0] for name in sys.modules} & HEAVY
        good = not code and said.getvalue() and not heavy
        if not good: print(*command, "exit code", code, "imports", heavy, flush=True)
        os._exit(not good)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


def modules() -> list[str]:
    """Every module of the package by its full name."""
    return [found.name for found in pkgutil.walk_packages(pipeline.__path__, "pipeline.")]


def test_importtime_shows_what_it_should():
    assert imported(python("-X", "importtime", "-c", "import numpy.linalg").stderr) >= {"numpy", "importlib"}


def test_light_modules_do_not_import_tensorflow():
    """All in one interpreter, which costs a second; a failure names the chain of imports."""
    patterns = [f"pipeline.{name}" for names in LIGHT.values() for name in names]
    wanted = [module for module in modules() if any(fnmatchcase(module, pattern) for pattern in patterns)]
    assert all(any(fnmatchcase(module, pattern) for module in wanted) for pattern in patterns)
    done = python("-X", "importtime", "-c", "".join(f"import {module}\n" for module in wanted))
    assert done.returncode == 0, done.stderr
    assert "pipeline" in imported(done.stderr)
    assert not imported(done.stderr) & HEAVY, chain(done.stderr)


def chain(importtime: str) -> list[str]:
    """The first heavy package and the modules that import it, the innermost first."""
    found, outer = [], 10**6
    for line in importtime.splitlines():
        _, bar, name = line.rpartition("|")
        indent = len(name) - len(name.lstrip())
        if bar and indent < outer and (found or name.strip().partition(".")[0] in HEAVY):
            found.append(name.strip())
            outer = indent
    return found


def test_quick_commands_do_not_import_tensorflow():
    """Forks of one interpreter that has imported the light libraries."""
    done = python("-c", QUICK, json.dumps(COMMANDS), ",".join(HEAVY))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_can_be_the_first_one_imported():
    done = python("-W", "ignore", "-c", ALONE, *modules())
    assert done.returncode == 0, done.stdout + done.stderr


def top_level_imports(path: Path) -> set[str]:
    """The packages that a file imports anywhere, by the first part of their names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"pipeline", "benchmarks", "tests"}


@pytest.fixture(scope="module")
def distribution(tmp_path_factory) -> metadata.Distribution:
    """What setup.py declares, under whatever name it is installed."""
    folder = tmp_path_factory.mktemp("metadata")
    done = python("setup.py", "-q", "egg_info", "--egg-base", folder)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.egg-info")
    return metadata.PathDistribution(path)


def declared(distribution: metadata.Distribution, *extras: str) -> set[str]:
    """The distributions that setup.py asks for, with those of some extras."""
    marks = [f'extra == "{extra}"' for extra in extras]
    wanted = [line for line in distribution.requires if "extra ==" not in line or any(mark in line for mark in marks)]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in wanted}


def normal(distribution: str) -> str:
    """A distribution's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("pipeline", ("train", "heif")),
        ("benchmarks", ("train",)),
        ("tests", ("train", "test")),
        ("pipeline/detect", ()),
    ],
)
def test_every_imported_package_is_declared(folder: str, extras: tuple[str, ...], distribution):
    providers = metadata.packages_distributions()
    names = set().union(*(top_level_imports(path) for path in (ROOT / folder).rglob("*.py")))
    assert "numpy" in names
    undeclared = {
        name
        for name in names
        if not {normal(found) for found in providers.get(name, [])} & declared(distribution, *extras)
    }
    assert not undeclared, "add them to install_requires or extras_require in setup.py"


@pytest.mark.parametrize("name", ["nibble-run", "nibble-study", "nibble-detect"])
def test_the_short_commands_start_the_modules(name: str, distribution, tmp_path: Path):
    """As pip writes them into bin/."""
    found = distribution.entry_points.select(group="console_scripts")[name]
    (tmp_path / name).write_text(f"import sys\nfrom {found.module} import {found.attr}\nsys.exit({found.attr}())\n")
    done = python(tmp_path / name, "--help", folder=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {name} "), done.stderr
    wrong = python(tmp_path / name, "--nothing", folder=tmp_path)
    assert wrong.returncode == 2 and f"usage: {name} " in wrong.stderr


def test_an_installed_package_has_every_file(tmp_path: Path):
    done = python("setup.py", "-q", "build_py", "--build-lib", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "pipeline") == files_of(ROOT / "pipeline") > {"__init__.py", "reports/report.css"}


def files_of(folder: Path) -> set[str]:
    """The files below a folder, without what Python caches."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}
