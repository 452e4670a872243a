"""The report of a random or bayesian search: trials by their objective, the best one, what it gains on the test set."""

import csv
import json
import shutil
import statistics
from pathlib import Path

import pytest

from tests.report_sample import edit_json
from tests.study_sample import RATES, write_search
from tests.test_study_report import report, row
from tests.test_study_report_grid import headline


@pytest.fixture
def search(tmp_path: Path) -> Path:
    return write_search(tmp_path)


def values(folder: Path, trial: str, *path: str) -> dict[tuple[float, int], float]:
    """The numbers at `path` of scores.json of a trial's runs, by noise rate and seed."""
    found = {}
    for cell in json.loads((folder / "trials" / f"{trial}.json").read_text())["cells"]:
        number = json.loads((folder / cell["run"] / f"seed{cell['seed']}" / "scores.json").read_text())
        for key in path:
            number = number[key]
        found[cell["condition"]["noise.rate"], cell["seed"]] = number
    return found


def test_trials_are_ordered_by_their_objective(search: Path):
    text = report(search)
    trials = ("0000", "0001", "0002", "0003")
    objective = {trial: statistics.mean(values(search, trial, "val_accuracy").values()) for trial in trials}
    shown = [
        line.split("|")[1].strip() for line in text.partition("## Trials")[2].splitlines() if line.startswith("| 0")
    ]
    assert shown[:4] == sorted(trials, key=objective.__getitem__, reverse=True)
    assert row(text, "Trials", "0003")[1:4] == ["dropout", "rate 0.5", f"{100 * objective['0003']:.1f} %"]


def test_the_best_by_validation_is_compared_with_the_reference_averaged_over_conditions(search: Path):
    ours, theirs = (values(search, trial, "metrics", "accuracy") for trial in ("0003", "0000"))
    by_seed = [100 * statistics.mean(ours[rate, seed] - theirs[rate, seed] for rate in RATES) for seed in (1, 2)]
    mean, half = statistics.mean(by_seed), 12.7062 * statistics.stdev(by_seed) / 2**0.5
    interval = f"{mean - half:+.1f} to {mean + half:+.1f}".replace("-", "−")
    assert row(report(search), "Trials", "0003")[5:7] == [f"{mean:+.1f} points".replace("-", "−"), interval]


def test_the_first_line_names_the_best_trial_and_its_gain(search: Path):
    for path in search.glob("runs/dropout-rate-0.35-*/seed*/scores.json"):
        edit_json(path, val_accuracy=0.97, metrics={"accuracy": 0.9})
    for seed, accuracy in ((1, 0.799), (2, 0.801)):
        for path in search.glob(f"runs/baseline-*/seed{seed}/scores.json"):
            edit_json(path, metrics={"accuracy": accuracy})
    text = report(search)
    assert headline(text) == (
        "Best of 4 random trials by validation accuracy: dropout (rate 0.35), 90.0 % on the test set: +10.0 points over "
        "baseline. Hardly chance (95 % interval +8.7 to +11.3, 2 pairs), were the pairs independent; but they share test images."
    )
    assert "Each variant stands here at its best setting by validation: dropout (rate 0.35)." in text
    assert "chosen by validation accuracy on labels as noisy as the training's, never by the test set" in text


def test_a_reference_that_is_best_says_so(search: Path):
    for path in search.glob("runs/baseline-*/seed*/scores.json"):
        edit_json(path, val_accuracy=0.97)
    assert "baseline, the reference itself" in headline(report(search))


def test_without_a_trial_of_the_reference_no_gain_is_known(search: Path):
    (search / "trials" / "0000.json").unlink()
    text = report(search)
    assert headline(text).endswith("Baseline has no trial, so the gain is unknown.")
    assert row(text, "Trials", "0003")[5:7] == ["–", "–"]


def test_a_trial_without_all_its_runs_comes_last_and_wins_nothing(search: Path):
    for path in search.glob("runs/dropout-rate-0.35-*/seed*/scores.json"):
        edit_json(path, val_accuracy=0.97)
    shutil.rmtree(search / "runs" / "dropout-rate-0.35-0.8-seed2-1a2b3c4d")
    text = report(search)
    assert headline(text).startswith("Best of 3 random trials") and "0.35" not in headline(text)
    assert row(text, "Trials", "0002")[3] == "missing" and row(text, "Trials", "0002")[-1] == "5 of 6"
    assert "3 of at most 4 trials are done." in text


def test_before_the_first_trial_there_is_no_result(search: Path):
    shutil.rmtree(search / "trials")
    assert headline(report(search)) == "No result yet: no trial has all its runs."


def test_results_name_the_trial(search: Path):
    report(search)
    with (search / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0])[:6] == ["trial", "variant", "setting", "competes", "noise.rate", "dropout.rate"]
    assert [line["trial"] for line in found] == [f"{index:04d}" for index in range(4) for _ in range(6)]
