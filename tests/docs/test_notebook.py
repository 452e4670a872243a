"""The notebook beside the page for own networks: its cells run in their order and say what they should."""

import json
from pathlib import Path

import pytest

from tests.docs.test_readme import DOCS

CONTENT = json.loads((DOCS / "your_network.ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in CONTENT["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for number, text in enumerate(CODE, 1):
        exec(compile(text, f"cell {number}", "exec"), names)
    said = capsys.readouterr().out
    assert said.count("codes that differ: 0.0") == 2
    assert names["float_accuracy"] > 0.85 and names["report"]["metrics"]["int8"] > 0.85  # chance: 0.1
    validated = names["history"].history["val_accuracy"][-1]
    assert names["report"]["metrics"]["int8"] == pytest.approx(validated, abs=1e-6)
    assert names["decision"] == names["test_labels"][0]


def test_the_notebook_is_stored_without_outputs():
    assert CODE and not any(cell.get("outputs") or cell.get("execution_count") for cell in CONTENT["cells"])
