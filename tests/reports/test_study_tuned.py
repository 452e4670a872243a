"""Variants tuned on noisy validation labels: what is chosen in every run, by an independent loop, and what it reaches."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.reports.study_load import read_results
from pipeline.reports.study_numbers import leaders, study_numbers
from pipeline.reports.study_settings import Tuned, tune
from tests.reports.study_samples import (
    PLAIN,
    RATES,
    SEEDS,
    SETTINGS,
    edit_json,
    record,
    scores,
    training,
    write_grid,
    write_search,
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture
def study(grid: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(grid, tmp_path / "study"))


def tuned(folder: Path) -> Tuned | None:
    return tune(study_numbers(read_results(folder)))


def set_validation(folder: Path, variant: str, setting: str, rate: float, *values: float | None) -> None:
    for seed, value in zip(SEEDS, values, strict=True):
        edit_json(training(folder, variant, setting, rate, seed) / "scores.json", val_accuracy=value)


def chosen_by_loop(folder: Path, variant: str, rate: float) -> tuple[list[str], np.ndarray]:
    """The setting of the best noisy validation by seed, and the test accuracy there."""
    validation = {own: scores(folder, variant, own, rate, "val_accuracy") for own in SETTINGS[variant]}
    names = [max(validation, key=lambda own: validation[own][place]) for place in range(len(SEEDS))]
    return names, np.array([scores(folder, variant, name, rate)[place] for place, name in enumerate(names)])


def assert_difference(row, ours: np.ndarray, theirs: np.ndarray) -> None:
    interval = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(((ours - theirs).mean(), *interval))
    assert row["pairs"] == len(ours)


def test_every_run_stands_at_the_setting_of_its_best_noisy_validation(study: Path):
    set_validation(study, "quantization", "W8/A8", 0.4, 0.1, 0.9, 0.1)  # one seed chooses otherwise than the mean would
    found, seen = tuned(study), set()
    numbers = study_numbers(read_results(study))
    for place, rate in enumerate(RATES):
        baseline, reached = scores(study, "baseline", "", rate), {}
        for variant in ("dropout", "quantization"):
            names, reached[variant] = chosen_by_loop(study, variant, rate)
            row = found.comparison.loc[(place, variant)]
            seen.add(tuple(names))
            assert_difference(row, reached[variant], baseline)
            assert row["mean"] == pytest.approx(reached[variant].mean())
            assert all(name in row["setting"] for name in names)
        leader = leaders(numbers, found.rows, found.comparison)[place]
        if leader.leader:
            other = next(name for name in reached if name != leader.leader)
            assert_difference(leader.margins.loc[other], reached[leader.leader], reached[other])
    assert any(len(set(names)) > 1 for names in seen)
    assert found.comparison.loc[(1, "quantization"), "setting"] == "W4/A4 in 2 runs, W8/A8 in 1"


def test_of_equal_validation_scores_the_first_setting_is_chosen(study: Path):
    for setting in SETTINGS["quantization"]:
        set_validation(study, "quantization", setting, 0.8, 0.5, 0.5, 0.5)
    assert tuned(study).comparison.loc[(2, "quantization"), "setting"] == "W4/A4"


def test_a_setting_that_failed_is_never_chosen_and_stops_nobody(study: Path):
    set_validation(study, "dropout", "rate 0.5", 0.8, 0.95, 0.95, 0.95)
    run = training(study, "dropout", "rate 0.5", 0.8, 2).parent
    edit_json(run / "status.json", state="failed", message="out of memory")
    row = tuned(study).comparison.loc[(2, "dropout")]
    assert (row["setting"], row["n"]) == ("rate 0.5 in 2 runs, rate 0.1 in 1", 3)


@pytest.mark.parametrize("lost", ["run", "unfinished", "validation"])
def test_a_run_is_chosen_among_all_settings_or_not_at_all(study: Path, lost: str):
    path = training(study, "dropout", "rate 0.5", 0.4, 2)
    if lost == "run":
        shutil.rmtree(path.parent)
    elif lost == "unfinished":
        edit_json(path.parent / "status.json", state="running")
    else:
        edit_json(path / "scores.json", val_accuracy=None)
    row, kept = tuned(study).comparison.loc[(1, "dropout")], [0, 2]
    ours = []
    for seed in np.array(SEEDS)[kept]:
        own = [record(study, "dropout", name, 0.4, seed) for name in SETTINGS["dropout"]]
        ours.append(max(own, key=lambda each: each["val_accuracy"])["metrics"]["accuracy"])
    assert_difference(row, np.array(ours), scores(study, "baseline", "", 0.4)[kept])
    assert (row["n"], row["wanted"]) == (2, 3)


def test_nothing_is_tuned_while_a_condition_has_nothing_to_compare(study: Path):
    for seed in SEEDS:
        shutil.rmtree(training(study, "quantization", "W2/A2", 0.4, seed).parent)
        shutil.rmtree(training(study, "dropout", "rate 0.1", 0.4, seed).parent)
    assert tuned(study) is None


@pytest.mark.parametrize("make", [write_search, lambda folder: write_grid(folder, PLAIN, (0.4,))])
def test_a_search_and_a_study_without_settings_are_not_tuned(tmp_path: Path, make):
    assert tuned(make(tmp_path)) is None


def test_what_does_not_compete_is_not_tuned(study: Path):
    manifest = json.loads((study / "study.json").read_text())
    manifest["variants"][1]["reference_only"] = True
    edit_json(study / "study.json", variants=manifest["variants"])
    set_validation(study, "dropout", "rate 0.5", 0.4, 0.99, 0.99, 0.99)
    found = tuned(study)
    assert found.comparison.loc[(1, "dropout"), "setting"] == "rate 0.1"
    assert "dropout" not in found.free[1][0]


def test_the_choice_may_be_among_all_variants_too(study: Path):
    set_validation(study, "baseline", "", 0.4, 0.1, 0.999, 0.1)
    options = {name: chosen_by_loop(study, name, 0.4) for name in ("dropout", "quantization")}
    expected, names = [], []
    for place, seed in enumerate(SEEDS):
        if seed == 2:
            expected.append(scores(study, "baseline", "", 0.4)[place])
            names.append("baseline")
            continue
        best = max(options, key=lambda name: scores(study, name, options[name][0][place], 0.4, "val_accuracy")[place])
        expected.append(options[best][1][place])
        names.append(best)
    arms, score = tuned(study).free[1]
    assert score == pytest.approx(np.mean(expected)) and all(name in arms for name in names)
    shutil.rmtree(training(study, "baseline", "", 0.4, 1).parent)
    assert tuned(study).free[1] is None


def test_it_is_known_whether_validation_chooses_the_reference_settings(study: Path):
    assert not tuned(study).is_reference
    for rate in RATES:
        for variant, own in SETTINGS.items():
            for place, setting in enumerate(own):
                set_validation(study, variant, setting, rate, *[0.9 - place / 10] * 3)
    assert tuned(study).is_reference


def test_the_reference_stopped_early_stands_beside_the_tuned(study: Path, tmp_path: Path):
    found = tuned(study)
    for place, rate in enumerate(RATES):
        stopped = []
        for seed in SEEDS:
            lines = (training(study, "baseline", "", rate, seed) / "metrics.jsonl").read_text().splitlines()
            stopped.append(max(map(json.loads, lines), key=lambda line: line["val_accuracy"])["test_accuracy"])
        row = found.comparison.loc[(place, "baseline stopped early")]
        assert row["mean"] == pytest.approx(np.mean(stopped)) and not row["competes"]
        assert row["difference"] == pytest.approx((np.array(stopped) - scores(study, "baseline", "", rate)).mean())
    settings = {**SETTINGS, "early stopping": {"": {}}}
    with_rival = tuned(write_grid(tmp_path / "rival", settings, (0.4,)))
    assert "baseline stopped early" not in with_rival.comparison.loc[0].index
