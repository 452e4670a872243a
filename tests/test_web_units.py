"""The web page's TypeScript: types, unit tests, and that both languages were compared with the same numbers."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.web_golden import GOLDEN, golden
from tests.web_page import MODEL, WEB, npm


@pytest.mark.parametrize("script", ["check", "test"])
def test_types_and_unit_tests(script: str):
    done = npm("run", script)
    assert done.returncode == 0, done.stdout[-8000:]


def test_golden_numbers_are_what_python_computes():
    expected, found = json.loads(GOLDEN.read_text(encoding="utf-8")), json.loads(json.dumps(golden()))
    assert found.keys() == expected.keys()
    for part in expected:
        assert rounded(found[part]) == rounded(expected[part]), f"{part}: run python -m tests.web_golden"


def test_a_model_that_is_missing_or_damaged_is_not_built(tmp_path: Path):
    damaged = shutil.copytree(MODEL, tmp_path / "damaged")
    content = (damaged / "model_int8.tflite").read_bytes()
    (damaged / "model_int8.tflite").write_bytes(content[:1000] + b"?" + content[1001:])
    for folder, problem in ((tmp_path, "no model.json"), (damaged, "not the file that model.json describes")):
        done = npm("run", "build", "--", "--outDir", str(tmp_path / "site"), NIBBLE_MODEL=str(folder))
        assert done.returncode == 2, done.stdout
        assert "error: " in done.stdout and problem in done.stdout and "    at " not in done.stdout
    assert not (tmp_path / "site").exists()


def test_versions_are_pinned_and_come_from_no_machine_of_ours():
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values()), versions
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    addresses = [entry["resolved"] for entry in lock["packages"].values() if "resolved" in entry]
    assert all(address.startswith("https://registry.npmjs.org/") for address in addresses)
    assert all("integrity" in entry for name, entry in lock["packages"].items() if name)


def rounded(value: object) -> object:
    """Floating-point numbers with nine digits, in lists and dictionaries of any depth."""
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value
