"""Variants tuned alike: what noisy validation chooses, by an independent loop, and what the report says of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.study.report import write_study_report
from tests.html_check import HtmlCheck
from tests.report_sample import edit_json, write_json
from tests.study_sample import RATES, SETTINGS, write_grid
from tests.test_study_report import report, row

SEEDS = (1, 2, 3)
SECTION = "Each variant tuned by noisy validation"


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_grid(tmp_path_factory.mktemp("study"))
    write_study_report(folder)
    return folder


@pytest.fixture
def study(complete: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(complete, tmp_path / "study"))


def path(folder: Path, variant: str, setting: str, rate: float, seed: int) -> Path:
    arm = f"{variant}-{setting}".replace("/", "-").replace(" ", "-").strip("-")
    return folder / "runs" / f"{arm}-{rate}-seed{seed}-1a2b3c4d" / f"seed{seed}" / "scores.json"


def scores(folder: Path, variant: str, setting: str, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy by seed, on the test set and on noisy validation labels."""
    found = [json.loads(path(folder, variant, setting, rate, seed).read_text()) for seed in SEEDS]
    return np.array([each["metrics"]["accuracy"] for each in found]), np.array([each["val_accuracy"] for each in found])


def tuned(folder: Path, variant: str, rate: float) -> tuple[list[str], np.ndarray]:
    """The setting of the best noisy validation by seed, and the test accuracy there."""
    every = {setting: scores(folder, variant, setting, rate) for setting in SETTINGS[variant]}
    chosen = [max(every, key=lambda name: every[name][1][place]) for place in range(len(SEEDS))]
    return chosen, np.array([every[name][0][place] for place, name in enumerate(chosen)])


def signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def with_interval(values: np.ndarray) -> str:
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return f"{signed(values.mean())} ({signed(low)} to {signed(high)})"


def part(text: str) -> str:
    return text.partition(f"## {SECTION}\n")[2].partition("\n## ")[0]


def table(text: str, after: str) -> dict[str, list[str]]:
    """The cells of the table after a sentence, by the first one of each line."""
    lines = [line for line in text.partition(after)[2].partition("|\n\n")[0].splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0]: cells[1:] for cells in found}


def test_every_run_stands_at_the_setting_of_its_best_noisy_validation(study: Path):
    for seed, value in zip(SEEDS, (0.1, 0.9, 0.1), strict=True):  # one seed chooses otherwise than the mean would
        edit_json(path(study, "quantization", "W8/A8", 0.4, seed), val_accuracy=value)
    text = part(report(study))
    differences, margins = table(text, "Difference to baseline"), table(text, "How far the leader")
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "| noise " in line]
    seen = set()
    for index, rate in enumerate(RATES):
        reached = {"baseline": scores(study, "baseline", "", rate)[0]}
        for variant in ("dropout", "quantization"):
            chosen, reached[variant] = tuned(study, variant, rate)
            seen.add(tuple(chosen))
            assert differences[variant][index] == with_interval(100 * (reached[variant] - reached["baseline"]))
            cell = next(line for line in shown if line[:2] == [variant, f"noise {100 * rate:.0f} %"])[3]
            assert cell.endswith(f": {100 * reached[variant].mean():.1f}")
            assert all(f"{name} ({chosen.count(name)}" in cell for name in set(chosen)) or len(set(chosen)) == 1
        leader = margins["leader"][index]
        if leader in reached:
            other = next(name for name in ("dropout", "quantization") if name != leader)
            assert margins[other][index] == with_interval(100 * (reached[leader] - reached[other]))
    assert {("W4/A4", "W8/A8", "W4/A4"), ("W8/A8",) * 3, ("rate 0.5", "rate 0.1", "rate 0.1")} <= seen


def test_the_first_line_is_on_the_tuned_and_the_text_on_the_reference_settings_too(study: Path):
    for seed in SEEDS:
        edit_json(path(study, "quantization", "W2/A2", 0.8, seed), val_accuracy=0.99, metrics={"accuracy": 0.9})
    text = report(study)
    first = text.split("\n\n")[2].strip("*")
    baseline, tuned = scores(study, "baseline", "", 0.8)[0], scores(study, "quantization", "W2/A2", 0.8)[0]
    own = with_interval(100 * (tuned - baseline)).replace(" (", ", ").rstrip(")")
    assert first.startswith("Each variant tuned by noisy validation: quantization is best at noise 40 %")
    assert f"and 80 % ({own})" in first
    plain = (
        with_interval(100 * (scores(study, "quantization", "W4/A4", 0.8)[0] - baseline)).replace(" (", ", ").rstrip(")")
    )
    beforehand = text.partition(
        "At one setting each, chosen beforehand (dropout (rate 0.1) and quantization (W4/A4)): "
    )[2]
    assert f"and 80 % ({plain}): points over baseline" in beforehand
    assert row(text, "Results", "quantization")[3].startswith(
        f"{100 * scores(study, 'quantization', 'W4/A4', 0.8)[0].mean():.1f}"
    )
    assert HtmlCheck((study / "report.html").read_text()).problems == []


def validation(folder: Path, setting: str) -> float:
    """Of the first seed at noise 40 %."""
    variant = next(name for name, own in SETTINGS.items() if setting in own and name != "baseline")
    return scores(folder, variant, setting, 0.4)[1][0]


def test_hindsight_and_the_choice_among_all_variants_are_told_apart(study: Path):
    for seed in SEEDS:
        edit_json(path(study, "quantization", "W8/A8", 0.4, seed), metrics={"accuracy": 0.99}, val_accuracy=0.1)
        if seed > 1:
            edit_json(path(study, "baseline", "", 0.4, seed), val_accuracy=0.999)
    text = report(study)
    first = max(
        (tuned(study, name, 0.4) for name in ("dropout", "quantization")),
        key=lambda each: validation(study, each[0][0]),
    )
    free = np.array([first[1][0], *scores(study, "baseline", "", 0.4)[0][1:]]).mean()
    told = text.partition("Free to choose the variant too, noisy validation reaches ")[2]
    assert f"{100 * free:.1f} % at noise 40 % (baseline (2 runs) and " in told
    assert "In hindsight another setting reaches more: " in text
    assert "quantization (W8/A8) 99.0 % at noise 40 %" in text.partition("In hindsight")[2].partition(";")[0]
    assert "quantization (W8/A8) 99.0 %" not in text.split("\n\n")[2]


def test_where_validation_chooses_the_reference_settings_one_comparison_is_told(study: Path):
    for rate in RATES:
        for seed in SEEDS:
            for variant, setting in (("dropout", "rate 0.5"), ("quantization", "W8/A8"), ("quantization", "W2/A2")):
                edit_json(path(study, variant, setting, rate, seed), val_accuracy=0.1)
    text = report(study)
    assert text.split("\n\n")[2].startswith("**quantization is best at noise 40 %")
    assert "chosen beforehand, which noisy validation chooses too: dropout (rate 0.1) and quantization (W4/A4)." in text
    assert "Validation chooses the reference settings" in part(text) and "Difference to" not in part(text)


def test_hindsight_needs_every_run_and_choosing_only_those_of_a_seed(study: Path):
    shutil.rmtree(path(study, "dropout", "rate 0.5", 0.4, 2).parents[1])
    text = report(study)
    line = next(line for line in part(text).splitlines() if line.startswith("| dropout | noise 40 %"))
    assert line.endswith("| missing |")
    kept = np.array([True, False, True])
    gain = 100 * (tuned_without(study, 0.4, kept) - scores(study, "baseline", "", 0.4)[0][kept])
    mean, half = gain.mean(), stats.t.ppf(0.975, 1) * stats.sem(gain)
    assert table(part(text), "Difference to baseline")["dropout"][1] == (
        f"{signed(mean)} ({signed(mean - half)} to {signed(mean + half)})"
    )


def tuned_without(folder: Path, rate: float, kept: np.ndarray) -> np.ndarray:
    """Dropout's test accuracy at the setting chosen, of the seeds that have all runs."""
    found = []
    for seed in np.array(SEEDS)[kept]:
        every = [json.loads(path(folder, "dropout", name, rate, seed).read_text()) for name in SETTINGS["dropout"]]
        found.append(max(every, key=lambda each: each["val_accuracy"])["metrics"]["accuracy"])
    return np.array(found)


def test_a_setting_that_failed_is_never_chosen_and_stops_nobody(study: Path):
    for seed in SEEDS:
        edit_json(path(study, "dropout", "rate 0.5", 0.8, seed), val_accuracy=0.95)
    run = path(study, "dropout", "rate 0.5", 0.8, 2).parents[1]
    edit_json(run / "status.json", state="failed", message="out of memory")
    text = part(report(study))
    line = next(line for line in text.splitlines() if line.startswith("| dropout | noise 80 %"))
    assert "rate 0.5 (2 runs) and rate 0.1 (1)" in line


@pytest.mark.parametrize("lost", ["runs", "validation"])
def test_nothing_is_tuned_before_there_is_something_to_choose_from(study: Path, lost: str):
    for seed in SEEDS:
        for setting in SETTINGS["dropout"]:
            scored = [
                path(study, name, own, 0.4, seed) for name, own in (("dropout", setting), ("quantization", "W4/A4"))
            ]
            for each in filter(Path.exists, scored):
                if lost == "runs":
                    shutil.rmtree(each.parents[1])
                else:
                    edit_json(each, val_accuracy=None)
    text = report(study)
    assert "tuned by noisy validation:" not in text
    assert "Variants are tuned once the runs of all their settings are done for a seed." in part(text)
    assert "Compared at one setting each, chosen beforehand: dropout (rate 0.1) and quantization (W4/A4)." in text
    assert "At one setting each" not in text and "In hindsight" not in text


def test_what_does_not_compete_is_not_tuned(study: Path):
    manifest = json.loads((study / "study.json").read_text())
    for variant in manifest["variants"][1:]:
        variant["reference_only"] = True
    write_json(study / "study.json", manifest)
    text = report(study)
    assert "tuned by noisy validation:" not in text and "In hindsight" not in text


def test_the_reference_stopped_early_stands_beside_the_tuned(study: Path):
    stopped = {}
    for rate in RATES:
        for seed in SEEDS:
            lines = path(study, "baseline", "", rate, seed).parent / "metrics.jsonl"
            known = [
                line for line in map(json.loads, lines.read_text().splitlines()) if line.get("val_accuracy") is not None
            ]
            stopped.setdefault(rate, []).append(max(known, key=lambda line: line["val_accuracy"])["test_accuracy"])
    gains = [100 * (np.array(stopped[rate]) - scores(study, "baseline", "", rate)[0]) for rate in RATES]
    found = table(part(report(study)), "Difference to baseline")["**baseline stopped early**"]
    shown = [cell.strip("*") for cell in found]
    assert shown == [with_interval(gain) if gain.std() > 1e-9 else signed(gain.mean()) for gain in gains]


def test_a_study_without_conditions_has_its_points_and_margins_too(tmp_path: Path):
    folder = write_grid(tmp_path, rates=(0.8,))
    manifest = json.loads((folder / "study.json").read_text())
    cells = [{**cell, "condition": {}} for cell in manifest["cells"]]
    write_json(folder / "study.json", {**manifest, "axes": {}, "cells": cells})
    text = part(report(folder))
    assert table(text, "Difference to baseline")["variant"] == ["points"]
    margin = tuned(folder, "quantization", 0.8)[1] - tuned(folder, "dropout", 0.8)[1]
    assert table(text, "How far the leader")["dropout"] == [with_interval(100 * margin)]
    assert table(text, "How far the leader")["leader"] == ["quantization"]
