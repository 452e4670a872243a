"""The web page's TypeScript: types, unit tests, and that both languages were compared with the same numbers."""

import base64
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.web.web_golden import GOLDEN, golden, test_image
from tests.web.web_page import MODEL, WEB, npm


@pytest.mark.parametrize("script", ["check", "test"])
def test_types_and_unit_tests(script: str):
    done = npm("run", script)
    assert done.returncode == 0, done.stdout[-8000:]


def test_golden_numbers_are_what_python_computes():
    expected, found = json.loads(GOLDEN.read_text(encoding="utf-8")), json.loads(json.dumps(golden()))
    assert found.keys() == expected.keys()
    for part in expected:
        assert rounded(found[part]) == rounded(expected[part]), f"{part}: run python -m tests.web.web_golden"


def test_golden_numbers_hold_the_picture_that_they_come_from():
    picture = json.loads(GOLDEN.read_text(encoding="utf-8"))["picture"]
    pixels = np.frombuffer(base64.b64decode(picture["rgb"]), np.uint8)
    np.testing.assert_array_equal(pixels.reshape(picture["height"], picture["width"], 3), test_image())


def test_a_model_that_is_missing_or_damaged_is_not_built(tmp_path: Path):
    damaged = shutil.copytree(MODEL, tmp_path / "damaged")
    content = (damaged / "model_int8.tflite").read_bytes()
    (damaged / "model_int8.tflite").write_bytes(content[:1000] + b"?" + content[1001:])
    (tmp_path / "empty").mkdir()
    refused_to_build(tmp_path / "empty", "no model.json")
    refused_to_build(damaged, "not the file that model.json describes")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda text: text[:500], "no JSON"),
        (lambda text: '{"format": 1}', "task undefined"),
        (lambda text: text.replace('"multilabel"', '"multiclass"'), "task multiclass"),
        (lambda text: text.replace('"type": "float32"', '"type": "int8"'), "input of type int8"),
    ],
)
def test_a_page_that_could_not_run_is_not_built(tmp_path: Path, content: Callable[[str], str], problem: str):
    folder = shutil.copytree(MODEL, tmp_path / "model")
    (folder / "model.json").write_text(content((MODEL / "model.json").read_text(encoding="utf-8")), encoding="utf-8")
    refused_to_build(folder, problem)


def test_a_model_without_its_card_is_not_built(tmp_path: Path):
    folder = shutil.copytree(MODEL, tmp_path / "model")
    (folder / "MODEL_CARD.md").unlink()
    refused_to_build(folder, "MODEL_CARD.md: missing")


def test_a_port_in_use_or_without_sense_is_named(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        refused(
            npm("run", "serve", "--", "--outDir", str(tmp_path), "--host", "127.0.0.1", NIBBLE_PORT=port),
            f"port {port} is in use",
        )
    refused(npm("run", "serve", "--", "--outDir", str(tmp_path), NIBBLE_PORT="web"), "NIBBLE_PORT=web is no port")
    refused(npm("run", "serve", "--", "--outDir", str(tmp_path / "none")), "no page has been built")


def test_versions_are_pinned_and_come_from_no_machine_of_ours():
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values()), versions
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    addresses = [entry["resolved"] for entry in lock["packages"].values() if "resolved" in entry]
    assert all(address.startswith("https://registry.npmjs.org/") for address in addresses)
    assert all("integrity" in entry for name, entry in lock["packages"].items() if name)


def refused_to_build(model: Path, problem: str) -> None:
    """The build of a model's page ends with a line that names the problem, and leaves nothing."""
    site = model.parent / "site"
    refused(npm("exec", "vite", "build", "--", "--outDir", str(site), NIBBLE_MODEL=str(model)), problem)
    assert not site.exists()


def refused(done: subprocess.CompletedProcess, problem: str) -> None:
    """The command ended with exit code 2 and a line that names the problem."""
    assert done.returncode == 2, done.stdout
    assert "error: " in done.stdout and problem in done.stdout and "    at " not in done.stdout


def rounded(value: object) -> object:
    """Floating-point numbers with nine digits, in lists and dictionaries of any depth."""
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value
