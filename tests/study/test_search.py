"""A random search from the command line, over runs that are done already: chief and workers without any training."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.study.config import Study, load_study
from pipeline.study.oracle import cells_of, make_oracle
from tests.study.folder import SEARCH, finish, write_study
from tests.study.running import everything, study


@pytest.fixture
def searched(tmp_path: Path) -> Study:
    """A search whose first trial has no score, and all of whose runs look done."""
    found = load_study(write_study(tmp_path, SEARCH))
    oracle = make_oracle(found, tmp_path / "drawn")
    for number in range(found.search.trials):
        trial = oracle.create_trial(f"w{number}")
        for cell in cells_of(found, trial.hyperparameters.values):
            finish(cell, tmp_path / "studies" / "tiny", None if number == 0 else 0.1 * number)
    return found


def test_a_random_search_is_five_trials_of_two_seeds(searched: Study, tmp_path: Path):
    made = tmp_path / "studies" / "tiny"
    first = study(tmp_path, "--workers", "2")
    assert first.returncode == 1
    assert "val_accuracy is undefined for one of its runs" in first.stderr
    trials = [json.loads(path.read_text()) for path in sorted(made.glob("trials/*.json"))]
    assert [trial["trial"] for trial in trials] == ["0", "1", "2", "3", "4"]
    with (made / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["done"] * 10
    states = [json.loads(path.read_text()) for path in sorted(made.glob("tuner/*/trial_*/trial.json"))]
    assert [state["status"] for state in states] == ["FAILED", *["COMPLETED"] * 4]
    assert [state["score"] for state in states[1:]] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert everything(tmp_path) == []

    for path in made.glob("runs/*/seed*/scores.json"):
        scores = json.loads(path.read_text())
        path.write_text(json.dumps({**scores, "val_accuracy": scores["val_accuracy"] or 0.9}))
    second = study(tmp_path)
    assert second.returncode == 0, second.stderr
    best = states[0]["hyperparameters"]["values"]["dropout/dropout.rate"]
    assert f"rate: {best}" in (made / "best.yaml").read_text()

    third = study(tmp_path)
    assert (third.returncode, third.stderr) == (0, "")
